"""Check a file of weights before TensorFlow is imported, which takes seconds."""

from __future__ import annotations

from pathlib import Path

from convert.errors import WeightsError

IMAGENET, NONE, AUTO = "imagenet", "none", "auto"
# Of HDF5, a zip archive, and a pickle of protocol 2: PyTorch's files of EfficientNet-Lite.
_SIGNATURES = {".h5": b"\x89HDF\r\n\x1a\n", ".keras": b"PK", ".pth": b"\x80\x02"}


def check_file(path: Path) -> None:
    """Raise WeightsError where a file cannot hold weights."""
    if not path.is_file():
        raise WeightsError(path, "no such weights file", "check the path")
    if path.suffix not in _SIGNATURES:
        raise WeightsError(path, "is not a Keras weights file", "use a .h5 file")
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        raise WeightsError(
            path, f"cannot be read ({error.strerror})", "change its permissions"
        ) from error
    if not head.startswith(_SIGNATURES[path.suffix]):
        raise WeightsError(path, "is damaged, or not an HDF5 file", "copy it again")
