"""Keep the newest result in a file that other programs can read at any time."""

from __future__ import annotations

from pathlib import Path

from edge.files import replace_file
from edge.service.sighting import Sighting, Sink
from edge.service.sinks.folders import Folder


class Latest(Sink):
    """A file that is always whole; best in memory, such as systemd's runtime directory.

    A zone that has a name has its own: latest.json becomes latest-door.json.
    """

    def __init__(self, path: Path) -> None:
        """Args: the file."""
        self.name, self.folder = str(path), Folder("latest", path.parent)
        self._path = path
        self._numbers: dict[str, int] = {}  # of the newest that is in it, by zone

    def __call__(self, sighting: Sighting) -> bool:
        """Replace the file, unless it is newer; return whether. Raises: OSError."""
        zone = sighting.zone
        if sighting.number < self._numbers.get(zone, 0):  # a late one: there is a newer
            return False
        path = self._path.with_stem(f"{self._path.stem}-{zone}") if zone else self._path
        replace_file(path, sighting.line.encode(), durable=False)
        self._numbers[zone] = sighting.number
        return True
