"""The command lines: thin skins over the library. Data on stdout, everything else on stderr.

Exit status: 0 done, 1 something failed, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path

from edge.errors import ConfigurationError, EdgeError


def run(command: Callable[[], int], name: str) -> int:
    """Run a command to its exit status: no error that a user can mend shows a traceback."""
    for stream in ("stdout", "stderr"):
        if getattr(sys, stream) is None:  # closed by the caller: nobody is to hear of it
            setattr(sys, stream, Path(os.devnull).open("w"))  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):  # a name that the terminal's encoding cannot say
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        status = command()
        sys.stdout.flush()
        return status
    except ConfigurationError as error:
        complain(name, error)
        return 2
    except EdgeError as error:
        complain(name, error)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # a full disk, a folder without rights
        subject, fault = error.filename or "output", error.strerror or str(error)
        complain(name, EdgeError(subject, fault, "check its rights and the free space"))
        return 1


def complain(name: str, problem: object) -> None:
    """Say one line on stderr, as far as that can be written to."""
    with contextlib.suppress(OSError):
        print(f"{name}: {problem}", file=sys.stderr, flush=True)
