"""What others measured on known boards: a figure far outside usually has a known cause."""

from __future__ import annotations

from dataclasses import dataclass

from edge.benchmark.conditions import Conditions
from edge.benchmark.worker import Combination, Facts

FAR = 1.3  # times outside the band; pycoral's own limit between a board and its reference
XNNPACK = "github.com/google/XNNPACK README, 2022"
ARM = "learn.arm.com, executorch-on-arm (the same kernels)"
SLOW = (
    "usually the governor (edge-doctor), throttling, a 32-bit system, fewer threads than cores, "
    "or a runtime without XNNPACK"
)
FAST = "usually another width or input size than the band's, or a higher clock than the board's"


@dataclass(frozen=True)
class Band:
    """Where the p50 of invoke lies on a board, with all cores and without throttling."""

    board: str  # how its name begins
    network: str
    dtype: str  # "float32" or "int8"
    low_ms: float
    high_ms: float
    source: str

    def judge(self, p50_ms: float) -> str:
        """Say what usually causes a figure far outside; empty where it is within reach."""
        where = f"the published {self.low_ms:g} to {self.high_ms:g} ms ({self.source})"
        if p50_ms > self.high_ms * FAR:
            return f"{p50_ms / self.high_ms:.1f} times slower than {where}: {SLOW}"
        if p50_ms < self.low_ms / FAR:
            return f"{self.low_ms / p50_ms:.1f} times faster than {where}: {FAST}"
        return ""


# MobileNetV2 1.0 at 224 x 224, 4 threads.
BANDS = (
    Band("Raspberry Pi 3 Model B Plus", "mobilenet_v2", "float32", 75, 110, XNNPACK),
    Band("Raspberry Pi 3 Model B Plus", "mobilenet_v2", "int8", 28, 75, XNNPACK),
    Band("Raspberry Pi 4", "mobilenet_v2", "float32", 40, 70, XNNPACK),
    Band("Raspberry Pi 4", "mobilenet_v2", "int8", 17, 30, XNNPACK),
    Band("Raspberry Pi 5", "mobilenet_v2", "float32", 10, 16, ARM),
    Band("Raspberry Pi 5", "mobilenet_v2", "int8", 4, 8, ARM),
)
WHOLE_NETWORK_BYTES = 2_400_000  # of int8 weights at width 1.0; 0.75 has 1.5 million


def band_of(facts: Facts, combination: Combination, machine: Conditions) -> Band | None:
    """Return the band for a model on a board; None where nothing comparable was published."""
    if "(1, 224, 224, 3)" not in facts.input or combination.threads != 4:
        return None
    dtype = "int8" if "int8" in facts.input else str(facts.edge.get("variant", "float32"))
    bytes_ = combination.path.stat().st_size / (4 if dtype == "float32" else 1)
    network = str(facts.edge.get("network", combination.path.stem))
    if bytes_ < WHOLE_NETWORK_BYTES or "mobilenet_v2" not in network:
        return None
    for band in BANDS:
        if (machine.model or "").startswith(band.board) and band.dtype == dtype:
            return band
    return None
