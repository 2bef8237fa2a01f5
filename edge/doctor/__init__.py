"""What is wrong with this installation, and the command that repairs it.

Stands on the standard library alone: it must run where numpy or a runtime does not load.
"""
