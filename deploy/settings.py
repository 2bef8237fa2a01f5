"""Read and set texts in a TOML file without touching the rest of it.

settings.py get FILE KEY                      print the text, or nothing
settings.py set FILE KEY TEXT [KEY TEXT...]   print the file with these texts set

A key is dotted: snapshots.folder is folder in [snapshots]. A line that sets the key is replaced,
else one that shows it behind a #, else a line is added to its section. Exit status 1: the file is
not TOML, or the key stands in a form that cannot be replaced.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from pathlib import Path


def value_of(text: str, key: str) -> object:
    """Return the value of a dotted key, or None."""
    value: object = tomllib.loads(text)
    for name in key.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def with_value(text: str, key: str, value: str) -> str:
    """Return the TOML text with the dotted key set. Raises: ValueError."""
    if value_of(text, key) == value:
        return text
    section, _, name = key.rpartition(".")
    lines = text.splitlines(keepends=True)
    start, end = _bounds(lines, section)
    if start is None:
        lines += ["" if not lines or lines[-1].endswith("\n") else "\n", f"\n[{section}]\n"]
        start = end = len(lines)
    # In TOML a text may hold any character but controls; JSON's escapes are TOML's.
    line = f"{name} = {json.dumps(value, ensure_ascii=False)}\n"
    for pattern in (rf"\s*{re.escape(name)}\s*=", rf"#\s*{re.escape(name)}\s*="):
        matches = [n for n in range(start, end) if re.match(pattern, lines[n])]
        if matches:
            lines[matches[0]] = line
            break
    else:
        lines.insert(start, line)
    changed = "".join(lines)
    if value_of(changed, key) != value:
        raise ValueError(f"{key} cannot be set; add this line yourself: {line.strip()}")
    return changed


def _bounds(lines: list[str], section: str) -> tuple[int | None, int]:
    """Return where the lines of a section begin and end; the first is None where it is absent."""
    headers = [n for n, line in enumerate(lines) if re.match(r"\s*\[", line)]
    start = 0
    if section:
        named = rf"\s*\[\s*{re.escape(section)}\s*\]"
        found = [n for n in headers if re.match(named, lines[n])]
        if not found:
            return None, len(lines)
        start = found[0] + 1
    return start, next((n for n in headers if n >= start), len(lines))


def main() -> int:
    """Print a text, or the whole file with texts set."""
    command, file, *words = sys.argv[1:]
    try:
        text = Path(file).read_text(encoding="utf-8")
        if command == "get":
            value = value_of(text, words[0])
            print(value if isinstance(value, str) else "")
            return 0
        for key, value in zip(words[::2], words[1::2], strict=True):
            text = with_value(text, key, value)
    except (OSError, ValueError) as error:
        print(f"{file}: {error}", file=sys.stderr)
        return 1
    print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
