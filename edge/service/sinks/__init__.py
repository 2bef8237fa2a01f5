"""Where sightings go: each is a `Sink`."""


class ReaderGoneError(BrokenPipeError):
    """Nobody reads what is written any more: there is nobody to work for."""
