"""Write the generated tables into the READMEs, between their markers: python tools/make_tables.py"""

import json
from pathlib import Path
import statistics

from gluon_classics.models.registry import FAMILIES
from gluon_classics.reproduction import results
import make_editions

ROOT = Path(__file__).parents[1]
READMES = ("README.md", "README.zh-CN.md")
SPEED = ROOT / "benchmarks" / "speed.json"
SPEED_COLUMNS = {  # titles, and the ratios of speed.json
    "training, to the blog's way": "train / blog",
    "training, to PyTorch": "train / torch",
    "epoch, to training steps": "epoch / step",
    "epoch, to PyTorch": "epoch / torch",
    "prediction, to PyTorch": "predict / torch",
    "one image, to PyTorch": "predict 1 / torch",
    "PyTorch's memory, to ours": "torch's memory / ours",
    "share of the convolution peak": "train / convolution peak",
}


def networks_table() -> str:
    """The families of the registry as a Markdown table, with links to their editions."""
    rows = ["| family | networks | parameters |", "|---|---|--:|"]
    for family in FAMILIES:
        infos = make_editions.editions(family)
        names = ", ".join(f"`{info.name}`" for info in infos)
        counts = sorted({info.params for info in infos})
        params = " to ".join(f"{count:,}" for count in (counts[0], *counts[1:][-1:]))
        link = f"[{make_editions.title(family)}](docs/editions.md#{make_editions.anchor(family)})"
        rows.append(f"| {link} | {names} | {params} |")
    return "\n".join(rows)


def speed_table() -> str:
    """The ratios of benchmarks/speed.json as a Markdown table, with their geometric means."""
    measured = json.loads(SPEED.read_text(encoding="utf-8"))
    networks = measured["networks"]
    rows = ["| network | " + " | ".join(SPEED_COLUMNS) + " |", "|---|" + "--:|" * len(SPEED_COLUMNS)]
    for name, figures in networks.items():
        medians = [f"{figures['ratios'][ratio]['median']:.2f}" for ratio in SPEED_COLUMNS.values()]
        label = f"`{name}`, {figures['size']}x{figures['size']}, batch {figures['batch_size']}"
        rows.append(f"| {label} | {' | '.join(medians)} |")
    means = [
        f"{statistics.geometric_mean(figures['ratios'][ratio]['median'] for figures in networks.values()):.2f}"
        for ratio in SPEED_COLUMNS.values()
    ]
    cores, processor = measured["threads"]["ours"], measured["machine"]["processor"]
    rows += [f"| geometric mean | {' | '.join(means)} |", "", _measured(measured, f"{cores} cores, {processor}")]
    return "\n".join(rows)


def _measured(measured, where):
    options, commit = measured["options"], measured["commit"]
    turns = f"{options['rounds']} turns of {options['seconds']:g} seconds"
    return f"Measured on {where}: {turns}, commit {commit[:7]}, load {measured['machine']['load']:.1f} before."


def results_table() -> str:
    """The records in results/ as a Markdown table."""
    return results.markdown(results.read(ROOT / "results"))


TABLES = {"networks": networks_table, "speed": speed_table, "results": results_table}


def with_tables(text: str) -> str:
    """`text` with the current tables between their markers."""
    for name, table in TABLES.items():
        start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, has_start, rest = text.partition(start)
        _, has_end, after = rest.partition(end)
        if not (has_start and has_end):
            raise ValueError(f"the markers {start.strip()} and {end} are missing")
        text = f"{before}{start}{table()}\n{end}{after}"
    return text


def main():
    for name in READMES:
        path = ROOT / name
        path.write_text(with_tables(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
