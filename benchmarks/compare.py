"""Has something become slower? Compares two files that `speed.py --json` wrote.

    python benchmarks/compare.py OLD.json NEW.json

A ratio is flagged when its new median is below the old one by more than the spread: when it is less than every turn of
the old run gave, and the old median more than every turn of the new one. Exit status 1 if one is flagged, 2 if the
files cannot be compared.
"""

import argparse
import json
from pathlib import Path
import sys

from gluon_classics.utils import console


def read(path):
    """The ratios of a file, by network and name. Ends with one line and status 2 if it has none."""
    try:
        networks = json.loads(Path(path).read_text(encoding="utf-8"))["networks"]
        return {
            (network, name): ratio for network, figures in networks.items() for name, ratio in figures["ratios"].items()
        }
    except OSError as error:
        problem = error.strerror
    except (ValueError, KeyError, TypeError, AttributeError):
        problem = "not a file that benchmarks/speed.py --json wrote"
    print(f"{path}: {problem}", file=sys.stderr)
    sys.exit(2)


def fell(old, new):
    """Whether the ratio fell by more than the spread of either run explains."""
    return new["median"] < old["low"] and old["median"] > new["high"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("old", metavar="OLD.json")
    parser.add_argument("new", metavar="NEW.json")
    options = parser.parse_args()
    old, new = read(options.old), read(options.new)
    common = [key for key in old if key in new]
    if not common:
        print("the two files have no ratio in common", file=sys.stderr)
        sys.exit(2)
    flagged = [key for key in common if fell(old[key], new[key])]
    rows = [
        (*key, f"{old[key]['median']:.2f}", f"{new[key]['median']:.2f}", "fell" if key in flagged else "")
        for key in common
    ]
    console.table(["network", "ratio", "old:", "new:", ""], rows)
    for key in sorted(set(old) ^ set(new)):
        console.say(f"only in one of the files: {key[0]}, {key[1]}")
    sys.exit(1 if flagged else 0)


if __name__ == "__main__":
    main()
