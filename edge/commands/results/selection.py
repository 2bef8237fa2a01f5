"""Which images a process classifies: those of its share that have no result yet."""

from __future__ import annotations

import argparse
import os
import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from edge.sources.frame import Frame

if TYPE_CHECKING:
    from edge.commands.results.resume import EarlierResults


class Shard(NamedTuple):
    """One of several shares of the images, for several processes or machines."""

    number: int  # from 1
    of: int

    def has(self, path: str) -> bool:
        """Whether an image is in this share: its path, as it is given, decides alone."""
        return zlib.crc32(os.fsencode(path)) % self.of == self.number - 1


def parse_shard(text: str) -> Shard:
    """Read `I/N`, the I-th of N shares. Raises: ArgumentTypeError."""
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        problem = f"must be I/N, with I from 1 to N, such as 1/4. Received: {text}"
        raise argparse.ArgumentTypeError(problem)
    return Shard(int(match[1]), int(match[2]))


@dataclass(frozen=True)
class Selection:
    """The files and frames to classify. Standard input and cameras are not selected by it."""

    shard: Shard | None = None
    earlier: EarlierResults | None = None

    def file(self, path: str) -> bool:
        """Whether to read a file."""
        in_shard = not self.shard or self.shard.has(path)
        return in_shard and not (self.earlier and self.earlier.has(path))

    def frame(self, frame: Frame) -> bool:
        """Whether to classify a frame of a file that was read: a video may be done in part."""
        if not self.earlier or frame.position_s is None:
            return True
        return not self.earlier.has(frame.source, frame.position_s)
