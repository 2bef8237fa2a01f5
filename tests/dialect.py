"""Find words of the project's old dialect in what people read, and name the usual word.

It reads the docstrings, comments and strings with a space of Python files, Markdown, the live page,
and deploy/: scripts, units and settings. It leaves out code between backticks, and names.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
READ = "edge convert deploy :!deploy/testbed docs models .github *.md *.toml Makefile".split()
SUFFIXES = {".py", ".md", ".toml", ".yml", ".sh", ".service", ".conf", ".html", ".js", ".css", ""}

# A regular expression, in which a space is any white space, and what to write instead.
WORDS = {
    r"(?:tells?|told|telling)": "report, print, log, pass",
    r"look-?alikes?": "near-duplicates",
    r"held back": "throttled",
    r"held out": "of the test set",
    r"sightings?": "result, event, state change",
    r"so (?:many|much|long)": "the number and its unit",
    r"afresh": "again; restart",
    r"answer(?:s|ed|ing)?": "prediction, result, label; response, reply",
    r"(?:longest|largest)(?! (?:power|of)\b)": "maximum, at most",
    r"(?:some|no)body": "someone, no one; viewers, clients",
    r"(?:those|people) who look": "viewers",
    r"(?:not |a )?quiet": "busy, idle",
    r"(?:vitals|fares|troubles?)": "health, status, problem",
    r"tak(?:e|es|en) over": "install, upgrade, use",
    r"ask(?:s|ed|ing)?": "request, require, check, query",
    r"pro(?:ve|ves|ved|ven|ving)": "verify, validate, check",
    r"refus(?:e|es|ed|al|ing)": "reject",
    r"(?:tried|tries)": "checked, validated; attempts",
    r"(?:says?|said|saying)": "print, report, state, name, carry",
    r"doubt(?:s|ed|ful)?": "unreliable, uncertain; label smoothing",
    r"flatter(?:s|ed|ing)?": "is too optimistic",
    r"false alarms?": "false positives",
    r"best category": "top label",
    r"(?:best|next) to the same": "near-duplicate",
    r"pictures?": "image",
    r"(?:its|the user.s) rights": "permissions",
    r"which is asked for": "requested",
    r"(?<!there\s)(?:is|are) no (?!longer|better|more)\.?\w+": "is not a ..., are not ...",
    r"mend(?:s|ed|ing)?": "correct, repair, fix",
    r"anew": "again",
    r"leave \S+(?: \S+)? out": "omit, remove",
    r"must be of": "must be one of",
    r"will do": "is enough, works",
    r"links? to nowhere": "broken symbolic link",
    r"as a rule": "usually",
    r"for ever": "forever, endlessly, without a limit",
    r"of late": "recently",
    r"one a (?:line|row)": "one per line",
    r"(?:go|goes|went|going) on with": "continue",
    r"do(?:es)? not import": "cannot be imported",
}
_WORDS = "|".join(f"({word})" for word in WORDS).replace(" ", r"[\s#]+")
_WORD = re.compile(rf"(?<![\w.`/-])(?:{_WORDS})(?![\w/(=]|-\w|\.\w)", re.IGNORECASE)
_STRING = (
    r"(?P<f>[fF][rR]?|[rR][fF]|)[rRbBuU]{0,2}"
    r'(?:"""(?:\\[\s\S]|[^\\])*?"""'
    r"|\'\'\'(?:\\[\s\S]|[^\\])*?\'\'\'"
    r'|"(?:\\[\s\S]|[^"\\\n])*"'
    r"|'(?:\\[\s\S]|[^'\\\n])*')"
)
_COMMENT = r"{0} [^\n]*(?:\n[ \t]*{0} [^\n]*)*"
_HELP = r"cat <<END\n[\s\S]*?\nEND\n"  # of a script
_TEMPLATE = r"`(?:\\.|\$\{[^}\n]*\}|[^\\`\n])*`"  # of JavaScript
# The languages of which only strings and comments are read: what else is one, and a comment's mark.
_QUOTED = {
    suffix: re.compile(f"{more}{_STRING}|{_COMMENT.format(mark)}")
    for suffix, (more, mark) in {
        ".py": ("", r"\#"),
        ".sh": (f"{_HELP}|", r"\#"),
        ".js": (f"{_TEMPLATE}|", "//"),
    }.items()
}
_FIELD = re.compile(r"\{[^{}\n]*\}")  # of an f-string, or of a template
_CODE = re.compile(r"(?m)^ +\w+: |^#?\w+ = |``[^`]*``|`[^`\n]*`|https?://\S+|<[^>\n]*>|\]\([^)]*\)")


class Hit(NamedTuple):
    """A word that people should not have to read."""

    path: str
    line: int
    word: str
    instead: str

    def __str__(self) -> str:
        """Name the place, the word and the usual one."""
        return f"{self.path}:{self.line}: '{self.word}': write {self.instead} (tests/dialect.py)"


def find(path: Path, name: str) -> Iterator[Hit]:
    """Yield the dialect in a file, which is called `name`."""
    text = path.read_text(encoding="utf-8")
    quotes = _QUOTED.get(path.suffix)
    pieces = quoted(text, quotes) if quotes else [(0, text)]
    for offset, piece in pieces:
        for match in _WORD.finditer(_blank(_CODE, piece)):
            line = text.count("\n", 0, offset + match.start()) + 1
            instead = list(WORDS.values())[match.lastindex - 1]
            yield Hit(name, line, re.sub(r"[\s#]+", " ", match[0]), instead)


def quoted(text: str, quotes: re.Pattern[str]) -> Iterator[tuple[int, str]]:
    """Yield the offset and text of each comment and of each string that has a space."""
    for match in quotes.finditer(text):
        piece = match[0]
        if match["f"] or piece[0] == "`":
            piece = _blank(_FIELD, piece)
        if piece[0] == "`":  # which is code elsewhere
            piece = f'"{piece[1:-1]}"'
        if re.search(r"\s", piece.strip("\"'\n ")):
            yield match.start(), piece


def files() -> list[tuple[Path, str]]:
    """Return the files that people read, each with its name in the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *READ], cwd=ROOT, capture_output=True, text=True, check=True
    )
    names = [name for name in listed.stdout.split("\0") if Path(name).suffix in SUFFIXES and name]
    return [(ROOT / name, name) for name in names if (ROOT / name).is_file()]


def _blank(what: re.Pattern[str], text: str) -> str:
    return what.sub(lambda match: re.sub(r"[^\n]", "~", match[0]), text)


if __name__ == "__main__":
    for path, name in files():
        for hit in find(path, name):
            print(hit)
