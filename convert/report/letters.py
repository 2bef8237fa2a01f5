"""Letters that the images of a report can draw: DejaVu Sans, else a font that the system has."""

from __future__ import annotations

import functools
from pathlib import Path


@functools.cache
def dejavu() -> Path:
    """DejaVu Sans, which matplotlib brings; it is slow to import where no letter is drawn."""
    import matplotlib

    return Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")


def spelled(text: str) -> str:
    """Replace letters that no font here has by their numbers: boxes would all be the same."""
    missing = {letter for letter in lacking(text) if font_for(letter) == dejavu()}
    return "".join(f"U+{ord(c):04X}" if c in missing else c for c in text)


def lacking(text: str) -> frozenset[str]:
    """The letters that DejaVu Sans has not."""
    known = _letters(dejavu())
    return frozenset(letter for letter in text if ord(letter) not in known and letter.isprintable())


@functools.lru_cache(maxsize=4096)
def font_for(text: str) -> Path:
    """A font that has all letters of a text; DejaVu Sans where it does, or none does."""
    wanted = {ord(letter) for letter in text if letter.isprintable()}
    if wanted <= _letters(dejavu()):
        return dejavu()
    return next((path for path in _system_fonts() if wanted <= _letters(path)), dejavu())


@functools.cache
def _system_fonts() -> tuple[Path, ...]:
    from matplotlib import font_manager

    return tuple(sorted(map(Path, font_manager.findSystemFonts())))


@functools.lru_cache(maxsize=512)
def _letters(path: Path) -> frozenset[int]:
    """The code points of a font; none of one that cannot be read, or whose letters are bitmaps."""
    from matplotlib.ft2font import FT2Font

    try:
        font = FT2Font(str(path))
    except (RuntimeError, OSError):
        return frozenset()
    return frozenset(font.get_charmap()) if font.scalable else frozenset()
