"""Short runs of the recipes on real images, and the bands that their results are expected in.

    python tests/reproduction/short_runs.py [--runs 10] [RECIPE ...]

repeats the short runs with independent seeds and writes n, mean and standard deviation of each metric to
gluon_classics/reproduction/short_bands.json. All runs train on the embedded sample, which every checkout has, and are
tested on its 1,000 test images.
"""

import argparse
import dataclasses
import gc
import json
import statistics
import time

from gluon_classics.data.datasets import SAMPLE_FOLDER
from gluon_classics.experiment.build import load_data, prepare
from gluon_classics.reproduction.recipes import BAND_METRICS, BANDS, get_recipe, list_recipes
import mxnet as mx

FIRST_SEED = 1000  # the tests use other seeds than the bands


def short_run(settings, seed):
    """Train once on the embedded sample and return the record of the last epoch."""
    settings = dataclasses.replace(settings, data=str(SAMPLE_FOLDER), seed=seed)
    experiment = prepare(settings, [mx.cpu()], load_data(settings))
    gc.collect()  # earlier networks hold memory until their cycles are found
    return experiment.train()[-1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=[recipe.name for recipe in list_recipes() if recipe.short])
    parser.add_argument("--runs", type=int, default=10)
    arguments = parser.parse_args()
    bands = json.loads(BANDS.read_text()) if BANDS.exists() else {}
    for name in arguments.names:
        results, start = [], time.perf_counter()
        for seed in range(FIRST_SEED, FIRST_SEED + arguments.runs):
            results.append(short_run(get_recipe(name).short, seed))
            print(name, seed, f"loss {results[-1].train_loss:.4f}, test accuracy {results[-1].test_accuracy:.4f}")
        print(f"{(time.perf_counter() - start) / arguments.runs:.1f} s a run")
        bands[name] = {"n": arguments.runs}
        for metric in BAND_METRICS:
            values = [getattr(result, metric) for result in results]
            bands[name][metric] = {
                "mean": round(statistics.mean(values), 4),
                "sd": round(statistics.stdev(values), 4) if len(values) > 1 else None,
            }
        BANDS.write_text(json.dumps(bands, indent=2) + "\n")


if __name__ == "__main__":
    main()
