"""Malformed, oversized and tricky requests to the live page: 300 of what `make fuzz` sends."""

from __future__ import annotations

import fuzz_requests


def test_requests_that_nobody_should_send() -> None:
    statuses, faults = fuzz_requests.run(300, seed=7)
    assert not faults
    assert statuses.total() == 300 and statuses["200"] > 20 and statuses["400"] > 20
