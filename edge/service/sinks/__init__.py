"""Where sightings go: each sink is a callable that takes a Sighting, and may have close()."""


class ReaderGoneError(BrokenPipeError):
    """Nobody reads what is written any more: there is nobody to work for."""
