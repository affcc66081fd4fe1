"""Put the folder of the benchmarks, which is not a package, on the path, as running a benchmark does."""

from pathlib import Path
import sys

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
