"""Write the generated tables into the READMEs and benchmarks/NOTES.md, between markers: python tools/make_tables.py"""

import json
from pathlib import Path
import statistics

from gluon_classics._files import write_text
from gluon_classics.reproduction import results, table
import make_editions
from markers import with_content

ROOT = Path(__file__).parents[1]
READMES = ("README.md", "README.zh-CN.md")
NOTES = "benchmarks/NOTES.md"
SHOWN_RESULTS = (  # recipes in the README: each kind of published value, and each verdict
    "lenet-fashion-mnist-blog",
    "lenet_d2l-fashion-mnist-d2l-0.17",
    "lenet_d2l-fashion-mnist-d2l-0.17-unseeded",
    "lenet_d2l-fashion-mnist-d2l-1.0",
    "lenet_bn-fashion-mnist-d2l-0.17",
    "alexnet-fashion-mnist-blog",
)
SPEEDS = sorted((ROOT / "benchmarks").glob("speed-*.json"))  # one for each instruction set
SPEED_COLUMNS = {  # titles, and the ratios of these files
    "training": "train / torch",
    "prediction": "predict / torch",
    "one image": "predict 1 / torch",
}
NOTES_COLUMNS = {
    "training": "train / torch",
    "epoch": "epoch / torch",
    "prediction": "predict / torch",
    "one image": "predict 1 / torch",
    "epoch / own steps": "epoch / step",
    "PyTorch's memory / ours": "torch's memory / ours",
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
    """Return the ratios of benchmarks/speed-*.json as a Markdown table, with their geometric means."""
    measured = _speeds()
    titles = [f"{title}, {kind['instruction_set']}" for title in SPEED_COLUMNS for kind in measured]
    rows = ["| our speed / PyTorch's fastest mode | " + " | ".join(titles) + " |", "|---|" + "--:|" * len(titles)]
    for name, figures in measured[0]["networks"].items():
        label = f"`{name}`, {figures['size']}x{figures['size']}, batch {figures['batch_size']}"
        medians = [f"{_median(kind, name, ratio):.2f}" for ratio in SPEED_COLUMNS.values() for kind in measured]
        rows.append(f"| {label} | {' | '.join(medians)} |")
    means = [f"{_mean(kind, ratio):.2f}" for ratio in SPEED_COLUMNS.values() for kind in measured]
    (cores,) = {kind["cores"] for kind in measured}
    return "\n".join([*rows, f"| geometric mean ({cores} cores) | {' | '.join(means)} |"])


def speed_ranges() -> str:
    """Return the medians and ranges of each instruction set as Markdown tables."""
    parts = []
    for kind in _speeds():
        limited = " (both libraries limited to it, on a machine with AVX-512)" if kind["limited_by"] else ""
        minutes = sum(sum(figures["seconds"].values()) for figures in kind["networks"].values()) / 60
        turns = kind["options"]["rounds"]
        parts.append(f"{kind['instruction_set']}{limited}, {turns} turns, {minutes:.0f} minutes:\n")
        parts += [f"| network | {' | '.join(NOTES_COLUMNS)} |", "|---|" + "--:|" * len(NOTES_COLUMNS)]
        for name, figures in kind["networks"].items():
            cells = [_range_words(figures["ratios"][ratio]) for ratio in NOTES_COLUMNS.values()]
            parts.append(f"| `{name}` | {' | '.join(cells)} |")
        means = [f"{_mean(kind, ratio):.2f}" for ratio in NOTES_COLUMNS.values()]
        parts.append(f"| geometric mean | {' | '.join(means)} |\n")
    return "\n".join(parts).strip()


def _range_words(ratio):
    if ratio["turns"] == 1:
        return f"{ratio['median']:.2f}"
    return f"{ratio['median']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})"


def lowest_mean() -> float:
    """Return the lowest geometric mean of training among the instruction sets."""
    return min(_mean(kind, SPEED_COLUMNS["training"]) for kind in _speeds())


def _speeds():
    """Return what benchmarks/speed.py measured on each kind of processor."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in SPEEDS]


def _mean(kind, ratio):
    return statistics.geometric_mean(_median(kind, name, ratio) for name in kind["networks"])


def _median(kind, network, ratio):
    return kind["networks"][network]["ratios"][ratio]["median"]


def results_table() -> str:
    """Return the results of a few recipes as a Markdown table; docs/results.md has all."""
    verdicts = {verdict.recipe.name: verdict for verdict in results.read(ROOT / "results")}
    return table.markdown(table.summary([verdicts[name] for name in SHOWN_RESULTS]))


TABLES = {
    **{page: {"networks": networks_table, "speed": speed_table, "results": results_table} for page in READMES},
    NOTES: {"speed": speed_ranges},
}


def with_tables(page: str, text: str) -> str:
    """Return the `text` of a page with the current tables between their markers."""
    for name, content in TABLES[page].items():
        text = with_content(text, f"<!-- {name} -->\n", f"<!-- /{name} -->", content())
    return text


def main():
    for page in TABLES:
        path = ROOT / page
        write_text(path, with_tables(page, path.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
