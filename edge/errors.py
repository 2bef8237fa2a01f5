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

import re


class EdgeError(Exception):
    """Anything that a user can correct; its text is one line: `subject: fault; remedy`."""

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
    """A setting is wrong: it stays wrong until someone corrects it, so a retry is of no use."""


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
    """Reject a setting that is not a number from `least` to `most`. Raises: ConfigurationError."""
    whole = isinstance(least, int)
    kinds = (int,) if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not least <= value <= most:
        kind = "a whole number" if whole else "a number"
        fault = f"must be {kind} from {least:.10g} to {most:.10g}. Received: {value!r}"
        raise ConfigurationError(name, fault, "use a number in this range, or remove the key")


# Debian's packages of the libraries that wheels and piwheels' builds need.
LIBRARIES = {
    "libf77blas.so.3": "libatlas3-base",
    "libcblas.so.3": "libatlas3-base",
    "libatlas.so.3": "libatlas3-base",
    "libopenblas.so.0": "libopenblas0",
    "libgfortran.so.5": "libgfortran5",
    "libgomp.so.1": "libgomp1",
    "libatomic.so.1": "libatomic1",
    "libstdc++.so.6": "libstdc++6",
    "libopenjp2.so.7": "libopenjp2-7",
    "libtiff.so.6": "libtiff6",
    "libjpeg.so.62": "libjpeg62-turbo",
    "libwebp.so.7": "libwebp7",
    "libwebpmux.so.3": "libwebpmux3",
    "libwebpdemux.so.2": "libwebpdemux2",
    "libxcb.so.1": "libxcb1",
    "liblcms2.so.2": "liblcms2-2",
    "libfreetype.so.6": "libfreetype6",
    "libusb-1.0.so.0": "libusb-1.0-0",
}


def library_remedy(reason: str) -> str:
    """Return the command that installs the library that an import misses; "" if none is named."""
    missing = re.search(r"(lib[\w.+-]+\.so[.\d]*): cannot open shared object", reason)
    if not missing:
        return ""
    name = missing[1]
    if name in LIBRARIES:
        return f"sudo apt install {LIBRARIES[name]}"
    return f"sudo apt install apt-file && sudo apt-file update && apt-file search {name}"
