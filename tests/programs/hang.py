"""Hang in native code, where no signal handler gets a turn."""

from __future__ import annotations

import hashlib

from edge.commands.watch import _ended_by_signals

with _ended_by_signals():
    print("hangs", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 1_000_000_000)  # minutes, and no turn for a handler
