"""File runs of original/run.py in results/original/, and write original_runs.json and the table of results/README.md.

    python tools/make_original.py [RUN ...]

A run is filed under the recipe with its settings. Existing records are not changed.
"""

from __future__ import annotations

import json
from pathlib import Path
import sys

from gluon_classics._files import write_text
from gluon_classics.data.catalogue import KNOWN
from gluon_classics.reproduction import table
from gluon_classics.reproduction.recipes import ORIGINAL, Recipe, list_recipes
from gluon_classics.reproduction.recipes_d2l import FIRST
from markers import with_content

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results" / "original"
README = ROOT / "results" / "README.md"
START, END = "<!-- commands -->\n", "<!-- /commands -->"
SMALL = 28  # height and width of images that are not resized
OPTIONS = ("batch_size", "resize", "lr", "last_batch", "epochs")  # of original/run.py, with a value
LENETS = tuple(f"lenet_{name}" for name in ("d2l_first", "d2l", "bn_scratch_first", "bn_scratch", "bn_first", "bn"))
PROGRAMS = {  # the variants of recipes that are a source's own settings, with the networks and the environment
    ("blog",): (("lenet", "alexnet", "vgg", "nin", "googlenet", "resnet"), "1.1.0-mkl"),
    ("d2l-first-unseeded", "d2l-0.17-unseeded"): (LENETS, "1.7.0"),
    ("d2l-first", "d2l-0.17"): (("googlenet_d2l",), "1.7.0"),
}


def settings_of(recipe: Recipe) -> dict:
    """Return the settings with which original/run.py trains as a recipe's source does, but for the seed.

    In its English editions, D2L uses MXNet's NumPy arrays and another epsilon in the batch normalization that it writes
    out. This package has one network for both, `original/` two.
    """
    settings = recipe.settings
    is_english = recipe.variant.startswith("d2l-") and recipe.edition != FIRST
    is_by_hand = settings.model == "lenet_bn_scratch_first"
    return {
        "network": f"{settings.model}_english" if is_by_hand and is_english else settings.model,
        "batch_size": settings.batch_size,
        "resize": 0 if settings.resize == SMALL else settings.resize,
        "lr": settings.learning_rate,
        "last_batch": settings.last_batch,
        "numpy_mode": is_english,
        "epochs": settings.epochs,
    }


def recipe_of(record: dict) -> Recipe:
    """Return the recipe with the settings of a record.

    A network of D2L without a seed has the weights of its notebook: these are the recipes with unseeded weights, where
    there are any.

    Raises:
        ValueError: There is none, or the data is not the published one.
    """
    settings = dict(record["settings"])
    seed = settings.pop("seed")
    if record["data"]["sha256"] != KNOWN[record["data"]["name"]].sha256:
        raise ValueError("its data is not the published one")
    if settings["resize"] == SMALL:
        settings["resize"] = 0
    wanted = {"optimizer": "sgd", "init": "xavier", "data": record["data"]["name"]}
    found = [
        recipe
        for recipe in list_recipes()
        if settings_of(recipe) == settings
        and all(getattr(recipe.settings, name) == value for name, value in wanted.items())
    ]
    unseeded = "unseeded-numpy" if settings["numpy_mode"] else "unseeded"
    weights = "seeded" if seed is not None else unseeded
    found = [recipe for recipe in found if recipe.settings.weights == weights] or found
    if not found:
        raise ValueError("no recipe has its settings")
    return found[0]


def add(folder: Path) -> None:
    """Add the record of a run."""
    text = (folder / "record.json").read_text(encoding="utf-8")
    record = json.loads(text)
    kind, number = number_of(record)
    path = RESULTS / recipe_of(record).name / f"{kind}-{number}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise ValueError(f"{path} is another run with this seed")
    write_text(path, text)


def number_of(record: dict) -> tuple[str, int]:
    """Return what tells runs with the same settings apart: "seed" and the seed, or "order" and that of the images."""
    seed = record["settings"]["seed"]
    return ("seed", seed) if seed is not None else ("order", record["order_seed"])


def content() -> str:
    """Return the content of original_runs.json."""
    runs = {name: [_row(record) for record in records] for name, records in _records().items()}
    return json.dumps(runs, indent=2) + "\n"


def _records():
    """Return the records by the name of their recipe."""
    runs: dict[str, list] = {}
    for path in sorted(RESULTS.glob("*/*.json")):
        runs.setdefault(path.parent.name, []).append(json.loads(path.read_text(encoding="utf-8")))
    return runs


def _row(record):
    last = record["epochs"][-1]
    metrics = {name: last[name] for name in ("train_loss", "train_accuracy", "test_accuracy")}
    return {"source": f"MXNet {era_of(record)}", "epoch": len(record["epochs"]), **metrics}


def era_of(record: dict) -> str:
    """Return the name that tools/era.py has for the environment of a record. The oldest do not name the package."""
    environment = record["environment"]
    _, _, build = environment.get("package", "mxnet").partition("-")
    return "-".join(filter(None, (environment["mxnet"], build)))


# --- the table of commands


def command(settings: dict, version: str, folder: str, number: tuple[str, int] | None = None) -> str:
    """Return the command that trains with these settings on a version of MXNet.

    Args:
        settings: What `settings_of` returns, or the settings of a record.
        version: Environment of tools/era.py.
        folder: Name of the run folder. If there is a number, it follows.
        number: What `number_of` returns; None for a run without a seed, whose order of the images is drawn.
    """
    words = [f"python tools/era.py {version} original/run.py {settings['network']}"]
    words += [f"--{name.replace('_', '-')} {settings[name]}" for name in OPTIONS]
    if settings["numpy_mode"]:
        words.append("--numpy-mode")
    if number:
        kind, value = number
        words.append(f"--{'seed' if kind == 'seed' else 'order-seed'} {value}")
        folder += f"-{value}"
    return f"{' '.join(words)} -o runs/original/{folder}"


def commands() -> str:
    """Return a Markdown table of the runs of each recipe, with the command that repeats the first one."""
    records = _records()
    rows = []
    for recipe in list_recipes():
        groups: dict[tuple, list] = {}
        for record in sorted(records.get(recipe.name, []), key=number_of):
            groups.setdefault((era_of(record), number_of(record)[0]), []).append(record)
        for (version, kind), group in groups.items():
            numbers = [number_of(record)[1] for record in group]
            minutes = sorted(sum(epoch["seconds"] for epoch in record["epochs"]) / 60 for record in group)
            spread = " to ".join(dict.fromkeys(f"{value:.0f}" for value in (minutes[0], minutes[-1])))
            settings = group[0]["settings"]
            first = command(settings, version, settings["network"], (kind, numbers[0]))
            rows.append((recipe.name, f"{kind} {', '.join(map(str, numbers))}", spread, first))
        if not groups and _version(recipe):
            number = ("seed", 0) if recipe.variant == "blog" else None
            rows.append((recipe.name, "none", "", command(settings_of(recipe), _version(recipe), recipe.name, number)))
    titles = ("recipe", "runs", "minutes", "command")
    return table.markdown([dict(zip(titles, (*cells, f"`{line}`"))) for *cells, line in rows])


def _version(recipe):
    """Return the environment for a recipe without runs, or None if it is not a recipe of a program's source."""
    for variants, (networks, version) in PROGRAMS.items():
        if recipe.variant in variants and recipe.settings.model in networks:
            return version
    return None


def with_commands(text: str) -> str:
    """Return `text` with the current table between its markers."""
    return with_content(text, START, END, commands())


def main(folders):
    for folder in folders:
        try:
            add(Path(folder))
        except (OSError, ValueError, KeyError) as error:
            sys.exit(f"error: {folder} cannot be added: {error}. Name a folder that original/run.py completed")
    write_text(ORIGINAL, content())
    write_text(README, with_commands(README.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main(sys.argv[1:])
