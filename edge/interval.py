"""Confidence interval of a share, given the number of photos."""

from __future__ import annotations

import math

Z_95 = 1.959964  # of the normal distribution


def wilson(right: float, total: float) -> tuple[float, float]:
    """Return the 95 % interval of right / total (Wilson 1927, https://doi.org/10.2307/2276774)."""
    share, square = right / total, Z_95**2
    centre = share + square / (2 * total)
    spread = Z_95 * math.sqrt(share * (1 - share) / total + square / (4 * total**2))
    scale = 1 + square / total
    # At 0 and 1 an end is the value itself, but for rounding.
    low, high = max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)
    return min(share, low), max(share, high)
