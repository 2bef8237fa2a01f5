"""Ctrl-C in Keras's loops: heard between two batches, for TensorFlow does not bear it within one.

An exception that a signal raises inside its Python code skips the steps that give resources back:
it was seen to leave a freed executor in use, and the process crashed or hung.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

import keras


class Interrupt(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Raise KeyboardInterrupt at the end of the batch in which Ctrl-C came."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = False

    def ask(self, *_: object) -> None:
        """Handle SIGINT. A second one does not wait: a batch may take long."""
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        # Not print: the signal may have come in the middle of one.
        os.write(sys.stderr.fileno(), b"\nconvert: stopping after this batch (again: at once)\n")

    def check(self) -> None:
        """Raise KeyboardInterrupt if Ctrl-C came."""
        if self.asked:
            raise KeyboardInterrupt

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Let fit end here."""
        self.check()

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Let evaluate end here."""
        self.check()

    def on_predict_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Let predict end here."""
        self.check()


@contextlib.contextmanager
def between_batches() -> Iterator[Interrupt]:
    """Yield a callback for fit, evaluate and predict; meanwhile, Ctrl-C raises through it.

    Where SIGINT is ignored or handled by someone else, or in another thread, it changes nothing.
    """
    interrupt = Interrupt()
    theirs = signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    if theirs or threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    signal.signal(signal.SIGINT, interrupt.ask)
    try:
        yield interrupt
        interrupt.check()  # it came after the last batch
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
