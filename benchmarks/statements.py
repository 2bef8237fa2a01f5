"""Count the statements of edge and convert, or of the folders given; docstrings left out."""

from __future__ import annotations

import ast
import sys
from pathlib import Path


def statements(source: str) -> int:
    """Count statements at any depth, without docstrings."""
    return sum(
        isinstance(node, ast.stmt)
        and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        for node in ast.walk(ast.parse(source))
    )


def main(folders: list[str]) -> None:
    """Print the count of each folder, and of all."""
    total = 0
    for folder in folders or ["edge", "convert"]:
        count = sum(statements(path.read_text()) for path in Path(folder).rglob("*.py"))
        print(f"{count:6} {folder}")
        total += count
    print(f"{total:6} statements")


if __name__ == "__main__":
    main(sys.argv[1:])
