"""Sinks: each receives every `Sighting`."""


class ReaderGoneError(BrokenPipeError):
    """No one reads what is written any more: there is no one to work for."""
