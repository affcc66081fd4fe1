"""Print how many planted mistakes the comparison of ports locates and names: python tools/count_planted_bugs.py"""

from collections import Counter
from pathlib import Path
import sys

from gluon_classics.porting.comparison.comparison import compare

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "porting"))
from bug import LENET
import forward_bugs
from numpy_port import forward_port
import planted_bugs
import traces

NAMED, UNNAMED, PAIRS = "mistakes with a variant", "mistakes without a variant", "pairs of mistakes"


def main() -> None:
    """Count the mistakes of `tests/porting/planted_bugs.py`, and the pairs of `forward_bugs.py`."""
    counts: Counter = Counter()
    for bug in (*planted_bugs.NAMED, *planted_bugs.UNKNOWN):
        trace = traces.small_trace(bug.network, bug.steps)
        first = compare(trace, bug.port(trace)).first
        kind = NAMED if bug.words else UNNAMED
        counts[kind, "planted"] += 1
        counts[kind, "located"] += first is not None and first.layer == bug.place
        is_right = first is not None and (bug.words in first.cause if bug.words else not first.named)
        counts[kind, "right"] += is_right and first.layer == bug.place
    for places in forward_bugs.PAIRS:
        trace = traces.small_trace(LENET)
        pair = forward_bugs.pair(places)
        report = compare(trace, forward_port(trace, pair[2]))
        found = {finding.layer: finding.cause for finding in report.findings}
        counts[PAIRS, "planted"] += 1
        counts[PAIRS, "located"] += set(found) == set(places)
        counts[PAIRS, "right"] += all(bug.words in found.get(bug.place, "") for bug in pair[:2])
    for kind, word in ((NAMED, "named"), (UNNAMED, "reported as unknown"), (PAIRS, "both named")):
        planted, located, right = (counts[kind, column] for column in ("planted", "located", "right"))
        print(f"{kind}: {planted} planted, {located} located, {right} {word}")


if __name__ == "__main__":
    main()
