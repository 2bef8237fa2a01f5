"""The command lines: thin skins over the library. Data on stdout, everything else on stderr.

Exit status: 0 done, 1 something failed, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from edge import __version__
from edge.errors import ConfigurationError, EdgeError, one_line


class _Version(argparse.Action):
    """Prints version and place in one line, which argparse's own action would wrap."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Print it and exit."""
        print(f"{parser.prog} {version()}")
        parser.exit()


class Parser(argparse.ArgumentParser):
    """A parser that prints errors in one line: a usage of many options would hide them."""

    def error(self, message: str) -> NoReturn:
        """Name the option and the fault, and exit with 2."""
        fault = one_line(message.removeprefix("argument "))
        complain(self.prog, f"{fault}; see {self.prog} --help")
        sys.exit(2)


def add_version(parser: argparse._ActionsContainer) -> None:
    """Add --version."""
    help = "print the version and where it runs from"
    nowhere = argparse.SUPPRESS  # as argparse's own: it leaves nothing in the arguments
    parser.add_argument(
        "--version", action=_Version, nargs=0, dest=nowhere, default=nowhere, help=help
    )


def version() -> str:
    """Return the version, and the folder and Python that it runs from."""
    folder = Path(__file__).resolve().parents[2]
    python = ".".join(map(str, sys.version_info[:3]))
    return f"{__version__} from {folder} (Python {python}, {sys.executable})"


def run(command: Callable[[], int], name: str) -> int:
    """Run a command to its exit status: no error that a user can correct shows a traceback."""
    for stream in ("stdout", "stderr"):
        if getattr(sys, stream) is None:  # closed by the caller: no one is to hear of it
            setattr(sys, stream, Path(os.devnull).open("w"))  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):  # a name that the terminal's encoding lacks
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
    except KeyboardInterrupt as error:
        if error.args:  # what is kept
            complain(name, error)
        return 130
    except BrokenPipeError:  # the reader of our output left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # a full disk, a folder without permissions
        subject, fault = error.filename or "output", error.strerror or str(error)
        complain(name, EdgeError(subject, fault, "check its permissions and the free space"))
        return 1


def complain(name: str, problem: object) -> None:
    """Print one line to stderr, if that is writable."""
    with contextlib.suppress(OSError):
        print(f"{name}: {problem}", file=sys.stderr, flush=True)
