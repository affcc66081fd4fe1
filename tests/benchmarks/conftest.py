"""The folder of the benchmarks is no package: put it on the path as running one of them does."""

from pathlib import Path
import sys

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
