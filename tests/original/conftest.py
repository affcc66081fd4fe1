"""Make the programs in `original/` and `tools/` importable."""

from pathlib import Path
import sys

CHECKOUT = Path(__file__).parents[2]
sys.path[:0] = [str(CHECKOUT / "tools"), str(CHECKOUT / "original")]
