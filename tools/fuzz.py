"""Fuzz the package, and count what came of it: python tools/fuzz.py

    python tools/fuzz.py                              all families, the default number of cases
    python tools/fuzz.py --family records --cases 900 --seed 3
    python tools/fuzz.py --replay records:3000012     one case, with everything that is known about it
    python tools/fuzz.py --kills 100                  also that many SIGKILLs, see fuzzing/faults.py
    python tools/fuzz.py --write docs/reliability.md  also write the table of counts into the page

The exit status is 1 if there is a failure: any verdict except a clean error and a plausible acceptance.
"""

from __future__ import annotations

import argparse
from pathlib import Path
import sys
import time

import fuzzing
from fuzzing import harness, kills, page
from fuzzing.case import FAILURES
from gluon_classics._console import visible


def main(arguments=None) -> int:
    options = _options().parse_args(arguments)
    began = time.monotonic()
    with harness.new_world() as world:
        if options.replay:
            family, _, seed = options.replay.partition(":")
            jobs = [harness.Job(f"fuzzing.{family}", int(seed))]
        else:
            jobs = harness.jobs(options.family or fuzzing.FAMILIES, options.seed, options.cases)
        done: list = []

        def show(result):
            done.append(result)
            if options.verbose or options.replay:
                print(f"{result.job.name} {_words(result)}", flush=True)
            elif len(done) % 200 == 0:
                print(
                    f"{len(done)} of {len(jobs)} cases, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True
                )

        results = harness.run(jobs, world, options.workers, show=show)
        killed = kills.run(options.kills, options.seed, world) if options.kills else None
    seconds = time.monotonic() - began
    table = page.table(harness.counts(results))
    print(table)
    for result, number in harness.failures(results):
        print(f"{number} x {_words(result)}")
        print(f"    python tools/fuzz.py --replay {result.job.name}")
    if killed:
        print(killed.line)
    if options.write:
        page.write(Path(options.write), _command(options), len(results), seconds, table, killed)
    has_failed = any(result.verdict in FAILURES for result in results) or bool(killed and killed.failures)
    return 1 if has_failed else 0


def _words(result):
    return visible(f"{result.kind}: {result.what}: {result.verdict}: {result.reason}")


def _options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0, help="seed of all cases (default: 0)")
    parser.add_argument("--family", action="append", choices=fuzzing.FAMILIES, help="family; may be repeated")
    parser.add_argument("--cases", type=int, help="cases of each family (default: the family's own number)")
    parser.add_argument("--replay", metavar="FAMILY:SEED", help="run one case")
    parser.add_argument("--kills", type=int, default=0, help="number of SIGKILLs at random moments (default: 0)")
    parser.add_argument("--workers", type=int, default=2, help="processes (default: 2)")
    parser.add_argument("--write", metavar="PAGE", help="page to write the table of counts into")
    parser.add_argument("--verbose", action="store_true", help="print each case")
    return parser


def _command(options):
    """Return the command that makes the same counts."""
    words = ["python tools/fuzz.py", f"--seed {options.seed}"]
    words += [f"--family {family}" for family in options.family or []]
    words += [f"--{name} {getattr(options, name)}" for name in ("cases", "kills") if getattr(options, name)]
    return " ".join(words)


if __name__ == "__main__":
    sys.exit(main())
