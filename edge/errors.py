"""What can go wrong on the device, each with its subject, its fault and its remedy.

EdgeError
├── ImageError           an image cannot be read
├── SourceError          a folder or pattern yields no image
├── ModelError           a .tflite file cannot be used
│   └── ScoresError      it can, but gives no scores for an image
├── ConfigurationError   a setting is wrong
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
    """An image cannot be read."""


class SourceError(EdgeError):
    """A folder or pattern yields no image."""


class ModelError(EdgeError):
    """A model file cannot be used."""


class ScoresError(ModelError):
    """A model gives no scores for one image; others may have some."""


class ConfigurationError(EdgeError):
    """A setting is wrong: nothing will mend itself, and no one should try again."""


class RuntimeMissingError(EdgeError):
    """No TFLite runtime can be used here."""


def one_line(text: str) -> str:
    """Escape what would break a line or a terminal: newlines, controls, undecodable bytes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def cell(value: object) -> object:
    """Escape control characters, and protect spreadsheets against formula injection.

    Source: https://owasp.org/www-community/attacks/CSV_Injection
    """
    if not isinstance(value, str):
        return value
    text = one_line(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") and len(text) > 1 else text


def reason_of(error: BaseException | None) -> str:
    """Return in one line why something failed, without the number and path of an OSError."""
    said = error.strerror if isinstance(error, OSError) else ""
    return one_line(said or str(error) or type(error).__name__)


def checked(name: str, value: float, least: float, most: float) -> None:
    """Reject a setting that is no number from `least` to `most`. Raises: ConfigurationError."""
    whole = isinstance(least, int)
    kinds = (int,) if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not least <= value <= most:
        kind = "a whole number" if whole else "a number"
        fault = f"must be {kind} from {least:.10g} to {most:.10g}. Received: {value!r}"
        raise ConfigurationError(name, fault, "change it, or leave it out")
