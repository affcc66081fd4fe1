"""Write the generated tables into the READMEs, between their markers: python tools/make_tables.py"""

from pathlib import Path
import re

import gluon_classics

ROOT = Path(__file__).parents[1]
READMES = ("README.md", "README.zh-CN.md")


def networks_table() -> str:
    """The registry as a Markdown table."""
    rows = ["| name | input | parameters | GMAC | differs from the paper in |", "|---|---|--:|--:|---|"]
    for name in gluon_classics.list_models():
        info = gluon_classics.model_info(name)
        shape = "x".join(map(str, info.input_shape))
        departures = "; ".join(info.departures)
        rows.append(f"| `{name}` | {shape} | {info.params:,} | {info.gmac:.3f} | {departures} |")
    return "\n".join(rows)


def with_tables(text: str) -> str:
    """`text` with the current table between its markers."""
    pattern = re.compile(r"(<!-- networks -->\n).*?(<!-- /networks -->)", re.DOTALL)
    if not pattern.search(text):
        raise ValueError("the markers <!-- networks --> and <!-- /networks --> are missing")
    return pattern.sub(lambda match: f"{match[1]}{networks_table()}\n{match[2]}", text)


def main():
    for name in READMES:
        path = ROOT / name
        path.write_text(with_tables(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
