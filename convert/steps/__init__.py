"""The sub-commands that stand alone: check, preview, evaluate."""
