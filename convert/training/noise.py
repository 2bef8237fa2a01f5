"""Import TensorFlow without its start-up messages; its warnings are kept."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

from convert.errors import not_installed

# Of no use to who has no GPU, or cannot change it: lines that TensorFlow's C++ writes to stderr as
# it is loaded, and as it first looks for a GPU.
NOISE = (
    "oneDNN custom operations are on|Could not find cuda drivers|failed call to cuInit"
    "|before absl::InitializeLog"
)
# Several networks in one process, as of a cross-validation, are each traced, and rightly so.
RETRACING = "triggered tf.function retracing"


def import_tensorflow() -> None:
    """Import TensorFlow and Keras. Raises: ConversionError where TensorFlow is not installed."""
    if sys.modules.get("tensorflow"):
        return
    # Later, errors only.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with filtered_stderr():
        try:
            import tensorflow as tf
        except ModuleNotFoundError as error:
            raise not_installed(error.name or "tensorflow") from error

        tf.config.list_physical_devices()
    tf.get_logger().addFilter(lambda record: RETRACING not in record.getMessage())


@contextlib.contextmanager
def filtered_stderr() -> Iterator[None]:
    """Leave lines of NOISE out of what this process writes to the file descriptor of stderr.

    In its own process: the output before a crash, such as which instructions the processor
    lacks, still comes through.
    """
    sys.stderr.flush()
    try:
        command = ["grep", "--line-buffered", "-avE", NOISE]
        grep = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=2)
    except OSError:  # no grep, or no stderr
        yield
        return
    stderr = os.dup(2)
    with grep:
        assert grep.stdin
        os.dup2(grep.stdin.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
            grep.stdin.close()
