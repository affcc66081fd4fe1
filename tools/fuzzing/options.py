"""Hostile values for each option and argument of each command, and values of the wrong kind."""

from __future__ import annotations

import math
import shutil

import click

from . import runs
from .case import Case, Command
from .worker import ADDRESS_SPACE

CASES = 420
TIME_LIMIT = 120
TEXTS = (
    *(
        "",
        " ",
        "-",
        "--",
        "x",
        "x" * 5000,
        "\x1b[31mred",
        "a\nb",
        "a\rb",
        "\x9b",
        "ä€中",
        "\udcff",
        "%s%n",
        "$(touch no)",
    ),
    *("~nosuchuser", "~nosuchuser/x", "/dev/null", "/dev/full", "/proc/self/mem", "/proc/nothing", ".", "..", "a/b/c"),
    *("nothing", "nothing.png", "CON", "\u202etxt", "a" * 256, "*", "?", "None", "null", "[]", "{}"),
)
NUMBERS = (
    *("-1", "0", "-0", "1.5", "nan", "inf", "-inf", "1e309", "9" * 309, "9" * 5000, str(2**31), str(2**31 - 1)),
    *(str(2**32), str(2**63), str(2**64), "1e-400", "1e308", "0x10", "1_000", " 7 ", "\uff17", "²", "٣", "+1", "1,5"),
)
# values of options that have a form
FORMS = {
    "ctx": (
        "cpu:" + "9" * 30,
        "cpu:-1",
        "gpu",
        "cpu,cpu",
        "cpu:0,cpu:00",
        "cpu,",
        ",",
        "CPU",
        "cpu:²",
        "cpu:1.5",
        "tpu",
    ),
    "input_shape": (
        *("1x28", "1x28x28x28", "0x0x0", "1x1x1", "3x0x28", "1x100000x100000", "1x2147483648x1", f"1x{2**63}x1"),
        *(f"{'9' * 309}x1x1", "1x28x-28", "²x28x28", "1X28X28", "1x28x28 ", "axbxc", "999999x28x28", "1x1x5"),
    ),
    "schedule": (
        *("2:nan", "2:inf", "-1:0.5", "1:0", "1:-1", "1:1e308", "warmup:0", "warmup:" + "9" * 30, "decay:0.5:1e-300"),
        *("plateau:0.1", "plateau:0.1:0", "plateau:0:1", "plateau:0.1:1:0", "plateau:1e400:1", "plateau:0.5:1:1:1"),
        *("cosine cosine", "2:0.5 2:0.5", "cosine:1", "decay:0.5", "2", ":", "warmup:1.5", "9" * 30 + ":0.5", "²:1"),
    ),
    "augment": (
        *("flip flip", "crop:-1", "crop:99999", "crop:1.5", "resized-crop:0", "resized-crop:0.5:9", "scale:9:5", ":"),
        *("scale:1:2", "color:nan", "lighting", "lighting:inf", "affine:1", "none none", "flip:", "²", "crop scale"),
    ),
    "mean": ("0.5,0.5", "nan", ",", "1e39", "-1e38", "0.5;0.5", "²", "0 0 0 0"),
    "std": ("0", "-1", "1e-45", "inf", "1,1", ",,", "1e-38"),
    "init": (
        "xavier(0)",
        "xavier(1e400)",
        "normal(-1)",
        "normal(1e38)",
        "uniform()",
        "he(2)",
        "published",
        "normal(²)",
    ),
    "optimizer": (
        "adam",
        "SGD",
        "test",
        "sgd ",
        "adadelta",
        "lbsgd",
        "groupadagrad",
        "diagonallm",
        "lars",
        "__class__",
    ),
    "model": ("LeNet", "lenet ", "resnet", "lenet-5", "__init__", "../lenet", "lenet\n"),
}
FORMS["name"] = FORMS["first"] = FORMS["second"] = FORMS["network"] = FORMS["model"]
# options that ask for more work: a large number is a right request, which takes long
WORK = ("epochs", "steps", "runs", "checkpoint_minutes", "batch", "subset", "workers")
LITTLE_WORK = ("-1", "0", "1.5", "nan", "inf", "1e309", "x", "", "2", "²")
LEFT_OUT = ("certify", "doctor")  # take minutes, or look at the machine
NOT_TRIED = ("publish", "help", "version")


def _base(command, place):
    """Return right arguments of a command by parameter: what is given unless the case replaces it."""
    run = place.world / "whole"
    return {
        "train": {"name": "lenet", "epochs": "1", "batch_size": "16", "out": place.folder / "new"},
        "resume": {"run": place.folder / "run"},
        "evaluate": {"target": run},
        "predict": {"run": run, "images": place.world / "images" / "0.png"},
        "report": {"runs": run, "out": place.folder / "report.html"},
        "summary": {"name": "lenet"},
        "diff": {"first": "lenet", "second": "lenet_d2l"},
        "draw": {"name": "lenet", "out": place.folder / "picture.svg"},
        "reproduce": {
            "recipe": "lenet-fashion-mnist-gluon",
            "subset": "16",
            "epochs": "1",
            "out": place.folder / "runs",
        },
        "results": {"folder": place.folder},
        "describe": {"name": "lenet"},
        "pack": {"source": _classes(place) if command == "pack" else "", "out": place.folder / "new.rec"},
        "statistics": {"source": _classes(place) if command == "statistics" else ""},
        "trace": {"names": "lenet", "out": place.folder / "trace", "steps": "1"},
        "compare": {"trace": place.folder / "trace", "port": place.folder / "port.npz"},
        "export": {"network": "lenet", "target": "safetensors", "out": place.folder / "exported"},
    }.get(command, {})


def _classes(place):
    """Make a folder with two classes of five images, and return it."""
    content = (place.world / "images" / "0.png").read_bytes()
    for number in range(10):
        image = place.folder / "photos" / "ab"[number % 2] / f"{number}.png"
        image.parent.mkdir(parents=True, exist_ok=True)
        image.write_bytes(content)
    return place.folder / "photos"


def _arguments(command, values):
    """Return the command line with these values of parameters."""
    line, last = [], []
    for parameter in command.params:
        if parameter.name in values:
            value = str(values[parameter.name])
            if isinstance(parameter, click.Argument):
                last.append(value)
            else:
                line.append(f"{max(parameter.opts, key=len)}={value}")
    return [*line, "--", *last]


def _commands():
    from gluon_classics.cli import main

    return {
        name: command
        for name, command in sorted(main.commands.items())
        if name not in LEFT_OUT and any(not getattr(parameter, "is_flag", False) for parameter in command.params)
    }


def is_wrong(parameter, value: str) -> bool | None:
    """Return True if the value is not of the parameter's type; None if only its meaning can tell."""
    kind = parameter.type
    if isinstance(kind, click.Choice):
        return True if value not in kind.choices else None
    if isinstance(kind, (click.types.IntParamType, click.types.FloatParamType)):
        try:
            number = int(value) if isinstance(kind, click.types.IntParamType) else float(value)
        except ValueError:
            return True
        low, high = getattr(kind, "min", None), getattr(kind, "max", None)
        beyond = (low is not None and number < low) or (high is not None and number > high)
        return True if beyond or (isinstance(number, float) and not math.isfinite(number)) else None
    return None


def _case(rng, place, choose):
    commands = _commands()
    name = rng.choice(list(commands))
    command = commands[name]
    choices = [
        parameter
        for parameter in command.params
        if not getattr(parameter, "is_flag", False) and parameter.name not in NOT_TRIED
    ]
    values = _base(name, place)
    if "run" in values and name == "resume":
        runs.copy(place, "stopped")
    parameter = rng.choice(choices)
    value = choose(parameter)
    values[parameter.name] = value
    act = Command.of(name, *_arguments(command, values))
    return Case(f"{name} {parameter.name} = {value[:30]!r}", act, is_wrong(parameter, value))


def hostile(rng, place):
    """Give any value to any option."""
    return _case(rng, place, lambda parameter: rng.choice(LITTLE_WORK if parameter.name in WORK else TEXTS + NUMBERS))


def formed(rng, place):
    """Give a value that has nearly the option's form."""

    def choose(parameter):
        if parameter.name in WORK:
            return rng.choice(LITTLE_WORK)
        if parameter.name in FORMS:
            return rng.choice(FORMS[parameter.name])
        if isinstance(parameter.type, (click.types.IntParamType, click.types.FloatParamType)):
            return rng.choice(NUMBERS)
        return rng.choice(TEXTS)

    return _case(rng, place, choose)


def sizes(rng, place):
    """Ask for sizes that no machine has."""
    number = rng.choice((2**16, 2**31 - 1, 2**31, 2**32, 2**63, 10**308))
    command = rng.choice(
        (
            ("train", "lenet", "--resize", number),
            ("train", "lenet", "--batch-size", number),
            ("train", "lenet", "--fit", "pad", "--resize", number),
            ("evaluate", place.world / "whole" / "net.params", "--model", "lenet", "--resize", number),
            ("evaluate", place.world / "whole", "--batch-size", number),
            ("predict", place.world / "whole", place.world / "images" / "0.png", "--top", number),
            ("summary", "lenet", "--classes", number),
            ("summary", "resnet", "--input", f"{number}x224x224"),
            ("summary", "lenet5", "--classes", 11),
            ("export", "lenet", "--to", "safetensors", "-o", "x", "--input", f"1x{number}x28"),
            ("describe", "resnet", "--input", f"3x{number}x{number}"),
            ("train", "lenet", "--seed", number),
        )
    )
    # it may take much memory, which was asked for, but must say when it is too much
    return Case(" ".join(map(str, command))[:90], Command.of(*command), memory=ADDRESS_SPACE)


def several(rng, place):
    """Give one more hostile value, or an option twice, or an unknown one."""
    more = rng.choice(("--nothing", "--epochs=1", "--data", "-o", "--json=1", "---", "--ctx=", "-h=x", "--top=0"))
    name = rng.choice(("train", "evaluate", "predict", "summary", "report", "resume", "results", "export"))
    words = [rng.choice((more, *TEXTS)) for _ in range(rng.randint(1, 4))]
    return Case(f"{name} with {len(words)} odd words", Command.of(name, *words))


def outputs(rng, place):
    """Write to where nothing can be written."""
    blocked = place.folder / "file"
    blocked.write_text("mine")
    target = rng.choice(("/dev/full", "/dev/null", "/proc/nothing/x", "/sys/x", blocked / "x", "x" * 300, "a\nb", ""))
    suffix = rng.choice(("", ".svg", ".png", ".html", ".onnx", ".zip", ".py"))
    out = f"{target}{suffix}"
    run = place.world / "whole"
    command = rng.choice(
        (
            ("train", "lenet", "--epochs", "1", "--out", out),
            ("report", run, "-o", out),
            ("report", run, "--tensorboard", out),
            ("draw", "lenet", "-o", out),
            ("trace", "lenet", "-o", out, "--steps", "1"),
            ("export", "lenet", "--to", rng.choice(("safetensors", "onnx", "pytorch", "flax")), "-o", out),
        )
    )
    return Case(f"{command[0]} to {out[:30]!r}", Command.of(*command), kept=(blocked,))


def odd_runs(rng, place):
    """Name something else where a run is wanted."""
    other = rng.choice(
        (place.world, place.world / "data", place.world / "images" / "0.png", "/dev/null", "", "~nosuchuser")
    )
    name = rng.choice(("resume", "evaluate", "predict", "report"))
    words = [place.world / "images" / "0.png"] if name == "predict" else []
    shutil.copy(place.world / "images" / "0.png", place.folder)
    return Case(f"{name} {str(other)[-20:]!r}", Command.of(name, other, *words), True)


KINDS = (hostile, formed, formed, sizes, several, outputs, odd_runs, hostile)
