"""Write the generated tables into the READMEs, between their markers: python tools/make_tables.py"""

import json
from pathlib import Path
import statistics

from gluon_classics.reproduction import results, table
import make_editions

ROOT = Path(__file__).parents[1]
READMES = ("README.md", "README.zh-CN.md")
SHOWN_RESULTS = (  # recipes in the README: each kind of published value, and each verdict
    "lenet-fashion-mnist-blog",
    "lenet_d2l-fashion-mnist-d2l-0.17",
    "lenet_d2l-fashion-mnist-d2l-0.17-unseeded",
    "lenet_d2l-fashion-mnist-d2l-1.0",
    "lenet_bn-fashion-mnist-d2l-0.17",
    "alexnet-fashion-mnist-blog",
)
SPEED = ROOT / "benchmarks" / "speed.json"
SPEED_COLUMNS = {  # titles, and the ratios of speed.json
    "training": "train / torch",
    "prediction": "predict / torch",
    "one image": "predict 1 / torch",
}
GROUPS = (  # families that share a row of the README
    *(("lenet", "early_lenet", "lenet5"), ("alexnet",), ("vgg",), ("nin",), ("googlenet", "inception")),
    *(("resnet", "resnet_v2", "resnext"), ("densenet",), ("squeezenet", "mobilenet"), ("senet",), ("regnet",)),
    ("efficientnet",),
)
SHOWN_NAMES = 4  # of each row


def networks_table() -> str:
    """Return the families of the registry as a Markdown table, with links to their editions."""
    rows = ["| families | networks | parameters |", "|---|---|--:|"]
    for group in GROUPS:
        infos = [info for family in group for info in make_editions.editions(family)]
        names = ", ".join(f"`{info.name}`" for info in infos[:SHOWN_NAMES])
        if infos[SHOWN_NAMES:]:
            names += f" and {len(infos) - SHOWN_NAMES} more"
        counts = sorted({info.params for info in infos})
        params = " to ".join(f"{count:,}" for count in (counts[0], *counts[1:][-1:]))
        links = (
            f"[{make_editions.title(family)}](docs/editions.md#{make_editions.anchor(family)})" for family in group
        )
        rows.append(f"| {', '.join(links)} | {names} | {params} |")
    return "\n".join(rows)


def speed_table() -> str:
    """Return the ratios of benchmarks/speed.json as a Markdown table, with their geometric means."""
    measured = json.loads(SPEED.read_text(encoding="utf-8"))
    networks = measured["networks"]
    rows = ["| network | " + " | ".join(SPEED_COLUMNS) + " |", "|---|" + "--:|" * len(SPEED_COLUMNS)]
    for name, measures in networks.items():
        medians = [f"{measures['ratios'][ratio]['median']:.2f}" for ratio in SPEED_COLUMNS.values()]
        label = f"`{name}`, {measures['size']}x{measures['size']}, batch {measures['batch_size']}"
        rows.append(f"| {label} | {' | '.join(medians)} |")
    means = [
        f"{statistics.geometric_mean(measures['ratios'][ratio]['median'] for measures in networks.values()):.2f}"
        for ratio in SPEED_COLUMNS.values()
    ]
    where = f"{measured['threads']['ours']} cores, {measured['machine']['processor']}, commit {measured['commit'][:7]}"
    return "\n".join([*rows, f"| geometric mean ({where}) | {' | '.join(means)} |"])


def results_table() -> str:
    """Return the results of a few recipes as a Markdown table; docs/results.md has all."""
    verdicts = {verdict.recipe.name: verdict for verdict in results.read(ROOT / "results")}
    return table.markdown(table.summary([verdicts[name] for name in SHOWN_RESULTS]))


TABLES = {"networks": networks_table, "speed": speed_table, "results": results_table}


def with_tables(text: str) -> str:
    """Return `text` with the current tables between their markers."""
    for name, content in TABLES.items():
        start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, has_start, rest = text.partition(start)
        _, has_end, after = rest.partition(end)
        if not (has_start and has_end):
            raise ValueError(f"the markers {start.strip()} and {end} are missing")
        text = f"{before}{start}{content()}\n{end}{after}"
    return text


def main():
    for name in READMES:
        path = ROOT / name
        path.write_text(with_tables(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
