"""Folders of photos: scanned, checked, split, decoded once."""
