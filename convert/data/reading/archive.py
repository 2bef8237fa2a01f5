"""Zip archives of photos, unpacked once; nothing is written outside of their folder."""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import re
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from convert.data.reading.set_names import is_system
from convert.errors import DatasetError, OutputError
from edge.sources.photos import is_picture

MAX_BYTES = 50_000_000_000  # unpacked
MAX_FILES = 1_000_000
MAX_RATIO = 200  # unpacked to packed; photos hardly shrink
SPARE_BYTES = 1_000_000_000  # that stay free on the disk
BLOCK = 1 << 20
REMEDY = "unpack it yourself and use the folder"


def unpacked(path: Path, into: Path | None = None) -> Path:
    """Return the folder of photos: the path itself, or what zip archives hold.

    Args:
        path: a folder, or a zip archive, also one that is all that a folder holds. Where there are
            only archives in it, as Teachable Machine saves one for each class, each becomes a
            folder of its name.
        into: a folder that keeps what is unpacked, for the next time; None: a temporary one, which
            goes as the process ends.

    Raises: DatasetError for an archive that is damaged, encrypted, too large, or writes outside.
        OutputError on a full disk.
    """
    alone = _archives_in(path)
    if len(alone) == 1:
        (path,) = alone
    folder = path
    if path.is_file() and zipfile.is_zipfile(path):
        into = into or _temporary()
        with _opened(path) as archive:
            files = _checked(path, archive)
            folder = into / f"{path.stem}-{_key(files)}"
            if not folder.is_dir():
                _unpack(path, archive, files, folder)
    inner = _archives_in(folder)
    return _each_unpacked(folder, inner, into or _temporary()) if inner else folder


def _temporary() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="convert-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive. Raises: DatasetError where it is damaged, now or while it is read."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, ValueError) as error:
        raise DatasetError(path, f"is damaged ({error})", "copy it again") from error
    except OSError as error:
        fault = f"cannot be read ({error.strerror})"
        raise DatasetError(path, fault, "change its permissions") from error


def _archives_in(folder: Path) -> list[Path]:
    """The zip archives of a folder that holds no folders and no images beside them."""
    if not folder.is_dir():
        return []
    try:
        entries = [
            path
            for path in sorted(folder.iterdir())
            if not path.name.startswith(".") and not is_system(path.name)
        ]
    except OSError:  # the walk reports it
        return []
    if len(entries) == 1 and entries[0].is_dir():
        return _archives_in(entries[0])
    if any(path.is_dir() or is_picture(path) for path in entries):
        return []
    return [path for path in entries if path.suffix.lower() == ".zip" and zipfile.is_zipfile(path)]


def _each_unpacked(folder: Path, archives: Sequence[Path], into: Path) -> Path:
    """Unpack archives side by side, each into a folder of its name, all or none."""
    digest = hashlib.sha256()
    for path in archives:
        with _opened(path) as archive:
            digest.update(f"{path.name} {_key(_checked(path, archive))}\n".encode())
    target = into / f"{folder.name}-{digest.hexdigest()[:16]}"
    if target.is_dir():
        return target
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        for path in archives:
            with _opened(path) as archive:
                name = re.sub(r"[-_ ]samples$", "", path.stem)  # Teachable Machine's
                _unpack(path, archive, _checked(path, archive), partial / name)
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def _checked(path: Path, archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The files of an archive that may be unpacked. Raises: DatasetError."""
    files = [info for info in archive.infolist() if not info.is_dir()]
    for info in files:
        parts = PurePosixPath(info.filename.replace("\\", "/")).parts
        if ".." in parts or parts[:1] == ("/",) or (parts and parts[0].endswith(":")):
            raise DatasetError(
                path, f"writes outside of its folder ({info.filename})", "use another"
            )
        if info.flag_bits & 1:
            raise DatasetError(path, "is encrypted", REMEDY)
    total = sum(info.file_size for info in files)
    packed = max(1, sum(info.compress_size for info in files))
    if total > MAX_BYTES or len(files) > MAX_FILES or total > MAX_RATIO * packed + SPARE_BYTES:
        fault = (
            f"holds {len(files)} files of {total / 1e9:.1f} GB; the limits are {MAX_FILES} files, "
            f"{MAX_BYTES / 1e9:.0f} GB, and {MAX_RATIO} times the size of the archive"
        )
        raise DatasetError(path, fault, REMEDY)
    return [info for info in files if not stat.S_ISLNK(info.external_attr >> 16)]


def _key(files: list[zipfile.ZipInfo]) -> str:
    content = "\n".join(f"{info.filename} {info.CRC} {info.file_size}" for info in files)
    return hashlib.sha256(content.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _unpack(
    path: Path, archive: zipfile.ZipFile, files: list[zipfile.ZipInfo], folder: Path
) -> None:
    """Unpack all files, or none."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        needed = sum(info.file_size for info in files) + SPARE_BYTES
        if shutil.disk_usage(partial).free < needed:
            fault = f"needs {needed / 1e9:.1f} GB of free space to be unpacked"
            raise DatasetError(path, fault, "free some space, or use another -o")
        for info in files:
            _write(archive, info, partial / info.filename.replace("\\", "/"))
        partial.rename(folder)
    except OSError as error:
        fault = f"cannot be unpacked ({error.strerror})"
        raise OutputError(path, fault, "free some space, or use another -o") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write(archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path) -> None:
    """Write one file; zipfile checks its CRC-32 and ends at its promised size."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(info) as source, target.open("wb") as file:
        shutil.copyfileobj(source, file, BLOCK)
