"""What edge-classify's command line names: images, video files, cameras."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from edge.commands.terminal import clock
from edge.errors import ImageError, SourceError
from edge.image.preprocess import InputSpec, Pixels, Size, read_image
from edge.sources.address import is_clip_name, may_be_address, parse
from edge.sources.frame import Frame
from edge.sources.photos import files, photos

if TYPE_CHECKING:
    from edge.commands.results.selection import Selection
    from edge.sources.address import Address
    from edge.sources.video.clip import Clip, Sampling


class Inputs:
    """The images and videos that the command line names."""

    def __init__(
        self, args: argparse.Namespace, listed: Sequence[str], selection: Selection
    ) -> None:
        """Args: the options; the paths of lists; which of them to classify."""
        self._args, self._listed, self._selection = args, listed, selection
        self._files = 0  # of those before the one that is being read
        self._clip: Clip | None = None  # that is being read
        self._at_s = 0.0  # how far

    def frames(self, input: InputSpec, onerror: Callable[[SourceError], None]) -> Iterator[Frame]:
        """Yield all of them, in order; a video's are as large as the model's input needs them."""
        wanted = self._selection.file
        options = {"recursive": self._args.recursive, "onerror": onerror, "wanted": wanted}

        def video(path: Path) -> Iterator[Frame]:
            return self._video(path, input)

        for frame in self._photos(options, video):
            self._files += frame.position_s is None
            if self._selection.frame(frame):
                yield frame

    def _photos(
        self, options: dict[str, object], video: Callable[[Path], Iterable[Frame]]
    ) -> Iterator[Frame]:
        given: dict[str, object] = {**options, "video": video}
        for path in self._args.paths:
            if address := _live(path):
                yield from self._live_frames(address, options["onerror"])  # type: ignore[arg-type]
            else:
                yield from photos([path], **given)  # type: ignore[arg-type]
        yield from photos(self._listed, literal=True, **given)  # type: ignore[arg-type]

    def names(self) -> Iterator[str]:
        """What their frames will be called, without reading one; a video is named once."""
        recursive = self._args.recursive
        for path in self._args.paths:
            if path == "-":
                yield path
            elif address := _live(path):
                yield address.name
            else:
                found = files(path, recursive=recursive, onerror=_nothing, clips=True)
                yield from filter(self._selection.file, map(str, found))
        for path in self._listed:
            found = files(path, recursive=recursive, literal=True, onerror=_nothing, clips=True)
            yield from filter(self._selection.file, map(str, found))

    @property
    def done(self) -> float:
        """How many files were read, the share of a video that is being read included."""
        clip = self._clip
        share = min(1.0, self._at_s / clip.duration_s) if clip and clip.duration_s else 0.0
        return self._files + share

    def _video(self, path: Path, input: InputSpec) -> Iterator[Frame]:
        from edge.sources.video.clip import Clip  # for videos alone

        whole = self._args.save_frames or max(self._args.roi or (0,)) > 1
        self._clip = Clip(path, self._sampling(), None if whole else _shrunk(input))
        try:
            for frame in self._clip:
                self._at_s = (frame.position_s or 0.0) - self._args.start
                yield frame
        finally:
            self._files += 1
            self._clip, self._at_s = None, 0.0

    def _live_frames(
        self, address: Address, onerror: Callable[[SourceError], None]
    ) -> Iterator[Frame]:
        """Yield a camera's newest frames, as many as are wanted."""
        from edge.sources.camera_format import CameraSettings
        from edge.sources.opening import open_camera

        settings = CameraSettings(password_file=self._args.password_file)
        with closing(open_camera(address, settings)) as camera:
            frames = (item for item in camera if isinstance(item, Frame))
            try:
                yield from itertools.islice(frames, self._args.frames)
            except SourceError as error:
                onerror(error)

    def _sampling(self) -> Sampling:
        from edge.sources.video.clip import Sampling

        args = self._args
        if args.every:
            return Sampling(args.start, 0.0, args.every)
        return Sampling(args.start, 1.0 if args.fps is None else args.fps)


def _live(path: str) -> Address | None:
    """Return the camera that is meant; None where it is a path. Raises: ConfigurationError."""
    if not may_be_address(path):
        return None
    address = parse(path)
    return address if address.is_live else None


def _shrunk(input: InputSpec) -> Callable[[Size], Size]:
    """Return what shrinks a video's frames as a file's image is: by the same power of two."""

    def shrink(size: Size) -> Size:
        by = input.framing.reduction(size, input.size)
        return -(-size[0] // by), -(-size[1] // by)

    return shrink


def has_time(names: Iterable[str]) -> bool:
    """Whether there is a video among them, whose frames have a time."""
    return any(map(is_clip_name, names))


class SavedImages:
    """Writes JPEG files, named after the image, or the video and the frame's time."""

    def __init__(self, folder: Path, option: str) -> None:
        """Make the folder that an option names. Raises: SourceError."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            fault = f"cannot be created ({error.strerror})"
            raise SourceError(f"{option} {folder}", fault, "use another folder") from error
        self._folder = folder
        self._names: dict[str, str] = {}  # of videos: videos of one name lie in several folders

    def save_frame(self, frame: Frame) -> None:
        """Write a frame of a video. Raises: ImageError."""
        if frame.position_s is not None:
            self.save(frame, read_image(frame.picture))

    def save(self, frame: Frame, pixels: Pixels) -> None:
        """Write (height, width, 3) pixels that were made of a frame. Raises: ImageError."""
        from edge.files import replace_file
        from edge.image.preprocess import encode_jpeg

        name = self._name(frame.source)
        if frame.position_s is not None:
            name += f"-{clock(frame.position_s, digits=3).replace(':', '-')}"
        path = self._folder / f"{name}.jpg"
        try:
            replace_file(path, encode_jpeg(pixels), durable=False)
        except OSError as error:
            fault = f"cannot be written ({error.strerror})"
            raise ImageError(str(path), fault, "free some space, or use another folder") from error

    def _name(self, source: str) -> str:
        if source not in self._names:
            stem, taken = Path(source).stem, set(self._names.values())
            name = next(
                n for i in range(1, len(taken) + 2) if (n := _numbered(stem, i)) not in taken
            )
            self._names[source] = name
        return self._names[source]


def _numbered(stem: str, number: int) -> str:
    return stem if number == 1 else f"{stem}-{number}"


def _nothing(error: SourceError) -> None:
    """Reported when the frames are read."""
