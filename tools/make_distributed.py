"""Write the tables into docs/distributed.md, between their markers: python tools/make_distributed.py

The communication is calculated from the counts of the networks. The speed was measured by benchmarks/workers.py.
"""

from __future__ import annotations

import json
from pathlib import Path

from gluon_classics import model_info
from gluon_classics._files import write_text
from markers import with_content

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "distributed.md"
SPEED = ROOT / "benchmarks" / "workers.json"
NETWORKS = ("alexnet_2012", "vgg16", "resnet18_v1", "resnet50_v1", "resnet152_v1", "efficientnet_b0")
HOSTS = (2, 4, 8, 16)
BATCH = 256  # images per update, divided among the hosts
FLOPS = 1e12  # of each host: multiplications and additions per second that it reaches
BITS = 10e9  # per second and direction, of the network connection of each host
PASSES = 3  # forward, and the two gradients of the backward pass
BYTES = 4  # of a float32 number


def traffic(parameters: int, hosts: int) -> float:
    """Return the bytes that a host sends in a step, with a worker and a server on each; it receives as many.

    As a worker, it sends its gradients to the servers of the others. As a server, it sends its part of the parameters
    to the others' workers.
    """
    return 2 * BYTES * parameters * (hosts - 1) / hosts


def seconds(model: str, hosts: int) -> tuple[float, float]:
    """Return the time that a step takes for computation and for communication."""
    facts = model_info(model)
    computation = PASSES * 2 * facts.macs * BATCH / hosts / FLOPS
    return computation, 8 * traffic(facts.params, hosts) / BITS


def communication() -> str:
    """Return the calculated times as a Markdown table."""
    titles = [f"{hosts} hosts" for hosts in HOSTS]
    rows = [
        f"| network | parameters | bytes per host and step | {' | '.join(titles)} |",
        "|---|--:|--:|" + "--:|" * len(HOSTS),
    ]
    for model in NETWORKS:
        parameters = model_info(model).params
        cells = []
        for hosts in HOSTS:
            computation, communication = seconds(model, hosts)
            cells.append(f"{computation:.2f} + {communication:.2f} s")
        most = traffic(parameters, HOSTS[-1])
        rows.append(f"| `{model}` | {parameters / 1e6:.1f} M | {most / 1e6:.0f} MB | {' | '.join(cells)} |")
    return "\n".join(rows)


def speed() -> str:
    """Return the measured speed as a Markdown table, as ratios to one process with one thread."""
    rows = ["| network | processes | images per second | images per second of processor time |", "|---|---|--:|--:|"]
    for row in json.loads(SPEED.read_text(encoding="utf-8"))["rows"]:
        name = "one process, " + row["contestant"] if "thread" in row["contestant"] else row["contestant"]
        values = [
            f"{row[key]:,.0f} ({row[key + '_ratio']:.2f})" for key in ("images_per_second", "images_per_cpu_second")
        ]
        rows.append(f"| `{row['model']}` | {name} | {' | '.join(values)} |")
    return "\n".join(rows)


def with_tables(text: str) -> str:
    """Return `text` with the current tables between their markers."""
    for name, table in (("communication", communication()), ("speed", speed())):
        text = with_content(text, f"<!-- {name} -->\n", f"<!-- /{name} -->", table)
    return text


def main():
    write_text(PAGE, with_tables(PAGE.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
