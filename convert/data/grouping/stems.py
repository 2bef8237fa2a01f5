"""Names of files: which photos an augmentation tool made of one, by the stems of their names."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

# What tools and people append to the name of the photo that they changed.
_EDITS = (
    "aug augmented rot rotate rotated rotation flip flipped fliph flipv fliplr flipud hflip vflip "
    "mirror mirrored crop cropped zoom zoomed shear sheared shift shifted bright brightness dark "
    "darker contrast blur blurred noise noisy gray grey grayscale scale scaled resized hue sat "
    "saturation color colour jitter gamma sharp cutout translate copy edited"
)
_EDIT = re.compile(
    rf"(?P<stem>.+?)(?:[-_. ]+(?:{'|'.join(_EDITS.split())})[-_. ]?-?\d*(?:\.\d+)?(?: \(\d+\))?)+",
    re.IGNORECASE,
)
_ROBOFLOW = re.compile(r"(?P<stem>.+?)(?:_(?:jpe?g|png|webp|bmp))?\.rf\.[0-9a-zA-Z]{6,}")
# Of ImageDataGenerator: prefix, index of the photo, a number that is drawn.
_KERAS = re.compile(r"(?P<bare>.*?[^\W\d_].*?|)_(?P<index>\d{1,5})_\d{1,7}")
_COPY = re.compile(r"(?P<stem>.+?) ?\(\d+\)")  # also how Windows numbers unrelated photos

MAX_SHARE = 0.5  # of a class's photos with one stem; above it, names mean nothing
FEW = 10  # photos, of which one stem may be all


def stems_of(names: Sequence[str]) -> list[str]:
    """The stem of each of a class's file names, without suffix; equal stems belong together.

    A number in brackets counts only beside a photo of the bare name. A stem that most of a class
    share means nothing.
    """
    present = set(names)
    stems = [_stem(name, present) for name in names]
    counts = Counter(stems)
    common = {
        stem for stem, count in counts.items() if count > FEW and count > MAX_SHARE * len(names)
    }
    return [name if stem in common else stem for name, stem in zip(names, stems, strict=True)]


def pairs_of(names: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs of indices of a class's file names, without suffix, that have equal stems."""
    members: defaultdict[str, list[int]] = defaultdict(list)
    for index, stem in enumerate(stems_of(names)):
        members[stem].append(index)
    return [(own[0], other) for own in members.values() for other in own[1:]]


def _stem(name: str, present: set[str]) -> str:
    found = _ROBOFLOW.fullmatch(name)
    if found:
        return _stem(found["stem"], present)
    found = _EDIT.fullmatch(name)
    if found:
        return found["stem"]
    found = _COPY.fullmatch(name)
    if found and found["stem"] in present:
        return found["stem"]
    found = _KERAS.fullmatch(name)
    if found:
        return found["bare"] if found["bare"] in present else f"{found['bare']}_{found['index']}"
    return name
