"""The table of counts, and the page that it stands in."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from gluon_classics._files import write_text

from .case import FAILURES, VERDICTS

BEGIN, END = "<!-- written by tools/fuzz.py -->", "<!-- end -->"


def table(counts: dict[str, Counter]) -> str:
    """Return the numbers of verdicts by family as a Markdown table."""
    rows = [
        ["family", "cases", *VERDICTS],
        ["---", *["--:"] * (1 + len(VERDICTS))],
        *([family, *_cells(number)] for family, number in counts.items()),
        ["all", *_cells(sum(counts.values(), Counter()))],
    ]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows)


def _cells(number):
    return [f"{sum(number.values()):,}", *(f"{number[verdict]:,}" for verdict in VERDICTS)]


def write(path: Path, command: str, cases: int, seconds: float, table: str, killed) -> None:
    """Write the table with its command between the marks of a page."""
    text = path.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    lines = [f"`{command}`: {cases:,} cases in {seconds:,.0f} seconds.", "", table]
    lines += ["", killed.line] if killed else []
    write_text(path, f"{before}{BEGIN}\n\n" + "\n".join(lines) + f"\n\n{END}{after}")


def unexpected(counts: dict[str, Counter]) -> int:
    """Return the number of failures."""
    return sum(number[verdict] for number in counts.values() for verdict in FAILURES)
