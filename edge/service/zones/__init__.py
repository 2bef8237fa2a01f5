"""Zones: parts of the frame, each with a model, labels and a steady state of its own."""
