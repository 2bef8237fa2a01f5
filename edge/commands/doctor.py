"""edge-doctor: what is wrong with this installation?"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from edge import __version__
from edge.commands import Parser, add_version, run
from edge.doctor.checks import CHECKS, examine
from edge.doctor.finding import FACTS, FAULT, NOT_HERE, OK, WARNING, Context, Finding
from edge.names import DOCTOR_SCHEMA

NAME = "edge-doctor"
COLOURS = {OK: "32", WARNING: "33", FAULT: "31;1", NOT_HERE: "2"}
EXAMPLES = """\
One line per check: ok, warning, fault (classification fails), or not here (nothing to check).
The remedies for warnings and faults follow at the end, faults last.

examples:
  edge-doctor                        the installation and the model that ships
  edge-doctor -m mine.tflite         another model
  edge-doctor --format json | jq '.checks[] | select(.status == "fault")'

exit status: 0 no fault, 1 at least one fault, 2 wrong usage, 130 interrupted
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Look for what is wrong; the console entry."""
    args = _parser().parse_args(argv)
    return run(lambda: _examine(args), NAME)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog=NAME,
        description="Check this installation, and print how to repair what is wrong.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    # As edge.commands.arguments has them, which cannot be imported without numpy.
    parser.add_argument(
        "-m", "--model", type=Path, help="a .tflite classifier (default: the one that ships)"
    )
    for name in FACTS:
        option = f"--{name.replace('_', '-')}"
        kind = partial(_readable, name)
        parser.add_argument(option, type=kind, help=f"same as edge-classify {option}")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    add_version(parser)
    return parser


def _readable(name: str, text: str) -> str:
    """Return an option's text, if it can be read. Raises: ArgumentTypeError."""
    try:
        from edge.image import notation

        read = {"normalize": notation.normalization, "input_size": notation.input_size}.get(name)
    except Exception:  # a damaged file, which its check reports
        return text
    try:
        if read:
            read(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def _examine(args: argparse.Namespace) -> int:
    facts = {name: value for name in FACTS if (value := getattr(args, name))}
    findings = examine(Context(model=args.model, facts=facts))
    if args.format == "json":
        found = dict(findings)
        print(json.dumps(_record(found), indent=1))
    else:
        found = {}
        for name, finding in findings:  # each as it comes: a camera takes its time
            print(_line(name, finding), flush=True)
            found[name] = finding
        for line in _summary(found):
            print(line)
    return 1 if any(finding.status == FAULT for finding in found.values()) else 0


def _record(found: dict[str, Finding]) -> dict[str, object]:
    counts = Counter(finding.status for finding in found.values())
    return {
        "schema": DOCTOR_SCHEMA,
        "edge_classify": __version__,
        "faults": counts[FAULT],
        "warnings": counts[WARNING],
        "checks": [{"name": name, **asdict(finding)} for name, finding in found.items()],
    }


_STATUS_WIDTH = max(map(len, COLOURS))
_NAME_WIDTH = max(map(len, CHECKS))


def _line(name: str, finding: Finding) -> str:
    status = _coloured(finding.status, finding.status.ljust(_STATUS_WIDTH))
    return f"{status}  {name.ljust(_NAME_WIDTH)}  {finding.found}"


def _summary(found: dict[str, Finding]) -> Iterator[str]:
    """What to do, faults last: there a terminal's reader looks first."""
    yield ""
    for status in (WARNING, FAULT):
        for name, finding in found.items():
            if finding.status == status:
                yield f"{_coloured(status, status)}: {name}: {finding.found}"
                yield f"    {finding.remedy}"
    counts = Counter(finding.status for finding in found.values())
    said = ", ".join(_counted(counts[status], status) for status in (FAULT, WARNING))
    yield f"{said}{'; classification works' if not counts[FAULT] else ''}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _coloured(status: str, text: str) -> str:
    """Colour for a terminal whose owner does not mind. Source: https://no-color.org"""
    wanted = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    if not wanted or os.environ.get("TERM") == "dumb":
        return text
    return f"\x1b[{COLOURS[status]}m{text}\x1b[0m"
