"""Hold out a share of each class, so that what looks alike stays on one side."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence

from convert.data.photo import Photo


def split(
    photos: Sequence[Photo], alike: Mapping[str, int], share: float, seed: int
) -> tuple[list[Photo], list[Photo]]:
    """Keep a part, hold out `share` of each class; what looks alike stays on one side.

    The order comes from the seed and the photos' content, so that neither names nor the machine's
    order of files changes the split. Groups that fit are taken first; where one is then still
    missing, the smallest that comes closer to the share.
    """
    members: dict[int, list[Photo]] = {}
    for photo in photos:
        members.setdefault(alike[photo.sha256], []).append(photo)

    def place(group: int) -> bytes:
        first = min(photo.sha256 for photo in members[group])
        return hashlib.sha256(f"{seed} {first}".encode()).digest()

    order = sorted(members, key=place)
    counts = {group: Counter(photo.label for photo in members[group]) for group in order}
    total = Counter(photo.label for photo in photos)
    wanted = {  # of one photo, none: it is needed to learn from
        label: min(count - 1, max(1, round(share * count))) for label, count in total.items()
    }
    held: Counter[int] = Counter()
    chosen = []
    for group in order:
        if all(held[label] + n <= wanted[label] for label, n in counts[group].items()):
            held += counts[group]
            chosen.append(group)
    taken = set(chosen)
    for group in sorted(set(order) - taken, key=lambda g: (len(members[g]), place(g))):
        if _comes_closer(counts[group], held, wanted, total):
            held += counts[group]
            taken.add(group)
    kept = [photo for group in order if group not in taken for photo in members[group]]
    return kept, [photo for group in order if group in taken for photo in members[group]]


def _comes_closer(
    group: Mapping[int, int],
    held: Mapping[int, int],
    wanted: Mapping[int, int],
    total: Mapping[int, int],
) -> bool:
    """Whether holding out a group too large for what is missing is better than not to."""
    if any(held[label] + n >= total[label] for label, n in group.items()):
        return False  # nothing would be left to learn from
    over = sum(abs(held[label] + n - wanted[label]) for label, n in group.items())
    short = sum(abs(held[label] - wanted[label]) for label in group)
    return over < short or any(not held[label] for label in group)
