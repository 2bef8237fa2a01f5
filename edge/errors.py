"""What can go wrong on the device, each with its subject, its fault and its remedy.

EdgeError
├── ImageError           a picture cannot be read
├── SourceError          a folder or pattern yields no picture
├── ModelError           a .tflite file cannot be used
└── RuntimeMissingError  no TFLite runtime can be used
"""

from __future__ import annotations


class EdgeError(Exception):
    """Anything that a user can mend; its text is one line: `subject: fault; remedy`."""

    def __init__(self, subject: object, fault: str, remedy: str) -> None:
        """Args: what it is about (usually a path), what is wrong with it, what to do."""
        self.subject = one_line(str(subject))
        self.fault = one_line(fault)
        self.remedy = one_line(remedy)
        super().__init__(f"{self.subject}: {self.fault}; {self.remedy}")


class ImageError(EdgeError):
    """A picture cannot be read."""


class SourceError(EdgeError):
    """A folder or pattern yields no picture."""


class ModelError(EdgeError):
    """A model file cannot be used."""


class RuntimeMissingError(EdgeError):
    """No TFLite runtime can be used here."""


def one_line(text: str) -> str:
    """Escape what would break a line or a terminal: newlines, controls, undecodable bytes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
