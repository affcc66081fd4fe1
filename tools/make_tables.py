"""Write the generated tables into the READMEs, between their markers: python tools/make_tables.py"""

import json
from pathlib import Path
import statistics

from gluon_classics.models.registry import FAMILIES
from gluon_classics.reproduction import results, table
import make_editions

ROOT = Path(__file__).parents[1]
READMES = ("README.md", "README.zh-CN.md")
SHOWN_RESULTS = (  # recipes in the README: each kind of published value, and each verdict
    "lenet-fashion-mnist-scratch",
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
PAPERS = {
    "lenet": "https://doi.org/10.1109/5.726791",
    "early_lenet": "https://doi.org/10.1162/neco.1989.1.4.541",
    "lenet5": "https://doi.org/10.1109/5.726791",
    "alexnet": "https://papers.nips.cc/paper/4824",
    "vgg": "https://arxiv.org/abs/1409.1556",
    "nin": "https://arxiv.org/abs/1312.4400",
    "googlenet": "https://arxiv.org/abs/1409.4842",
    "resnet": "https://arxiv.org/abs/1512.03385",
    "inception": "https://arxiv.org/abs/1512.00567",
    "squeezenet": "https://arxiv.org/abs/1602.07360",
    "resnet_v2": "https://arxiv.org/abs/1603.05027",
    "densenet": "https://arxiv.org/abs/1608.06993",
    "resnext": "https://arxiv.org/abs/1611.05431",
    "mobilenet": "https://arxiv.org/abs/1704.04861",
    "senet": "https://arxiv.org/abs/1709.01507",
    "regnet": "https://arxiv.org/abs/2003.13678",
    "efficientnet": "https://arxiv.org/abs/1905.11946",
}


def networks_table() -> str:
    """Return the families of the registry as a Markdown table, with links to their editions and papers."""
    rows = ["| family | networks | parameters | paper |", "|---|---|--:|---|"]
    for family in FAMILIES:
        infos = make_editions.editions(family)
        names = ", ".join(f"`{info.name}`" for info in infos)
        counts = sorted({info.params for info in infos})
        params = " to ".join(f"{count:,}" for count in (counts[0], *counts[1:][-1:]))
        link = f"[{make_editions.title(family)}](docs/editions.md#{make_editions.anchor(family)})"
        rows.append(f"| {link} | {names} | {params} | [paper]({PAPERS[family]}) |")
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
