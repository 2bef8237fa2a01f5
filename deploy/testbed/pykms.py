"""In place of kms++, which Debian has not got for Python: picamera2 imports it for windows."""

from __future__ import annotations


class _Formats:
    """Answers to every format's name; nothing is ever shown in them."""

    def __getattr__(self, name: str) -> str:
        return name


PixelFormat = _Formats()
