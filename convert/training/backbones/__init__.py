"""Backbones that keras.applications does not have, and the files of their weights."""
