"""Compare two files from `speed.py --json` and flag what has become slower.

    python benchmarks/compare.py OLD.json NEW.json

A ratio is flagged if its new median is below all turns of the old run and its old median is above all turns of the new
run. A ratio with fewer than three turns is flagged if it fell by more than 5 %. The exit status is 1 if a ratio is
flagged, and 2 if the files cannot be compared. Different options or machines give a warning.
"""

import argparse
import json
import math
from pathlib import Path
import sys

from gluon_classics import _console

FIGURES = ("median", "low", "high", "turns")
FEW = 3  # turns
FEW_TURNS_LIMIT = 0.95  # of the old ratio: with few turns, a lower ratio is flagged


def read(path):
    """Return the ratios of a file by (network, name), and how they were measured.

    Raises:
        SystemExit: With status 2, after a message, if the file has no valid ratios.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        ratios = {
            (network, name): ratio
            for network, figures in content["networks"].items()
            for name, ratio in figures["ratios"].items()
        }
        if not all(math.isfinite(ratio[figure]) for ratio in ratios.values() for figure in FIGURES):
            raise ValueError("a ratio is not finite")
        machine = {name: value for name, value in content.get("machine", {}).items() if name != "load"}
        return ratios, {"machine": machine, **{name: content.get(name) for name in ("options", "cores", "threads")}}
    except OSError as error:
        problem = error.strerror
    except (ValueError, KeyError, TypeError, AttributeError):
        problem = "not a file that benchmarks/speed.py --json wrote"
    print(f"{path}: {problem}", file=sys.stderr)
    sys.exit(2)


def fell(old, new):
    """Return whether the ratio fell by more than the spread of the turns explains."""
    if min(old["turns"], new["turns"]) < FEW:
        return new["median"] < FEW_TURNS_LIMIT * old["median"]
    return new["median"] < old["low"] and old["median"] > new["high"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("old", metavar="OLD.json")
    parser.add_argument("new", metavar="NEW.json")
    options = parser.parse_args()
    (old, before), (new, now) = read(options.old), read(options.new)
    common = [key for key in old if key in new]
    if not common:
        print("the two files have no ratio in common", file=sys.stderr)
        sys.exit(2)
    flagged = [key for key in common if fell(old[key], new[key])]
    rows = [
        (*key, f"{old[key]['median']:.2f}", f"{new[key]['median']:.2f}", "fell" if key in flagged else "")
        for key in common
    ]
    _console.table(["network", "ratio", "old:", "new:", ""], rows)
    for name in before:
        if before[name] != now[name]:
            _console.warn(f"the files differ in {name}: {before[name]} -> {now[name]}")
    for key in sorted(set(old) ^ set(new)):
        _console.say(f"only in one of the files: {key[0]}, {key[1]}")
    sys.exit(1 if flagged else 0)


if __name__ == "__main__":
    main()
