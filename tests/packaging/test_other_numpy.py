"""NumPy 2, installed as docs/numpy.md says, gives the same bits as NumPy 1."""

import json
import os
from pathlib import Path
import subprocess
import sys
import venv

from gluon_classics.data import datasets
import numpy as np
import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(np.__version__.startswith("2."), reason="compares NumPy 1 of this environment with NumPy 2"),
    pytest.mark.skipif(sys.version_info < (3, 9), reason="NumPy 2 has no release for Python 3.8"),
]
CHECKOUT = Path(__file__).parents[2]
TRAIN = ["train", "lenet", "--data", str(datasets.SAMPLE_FOLDER), "--epochs", "1", "--out", "run"]
SCRIPT = """
import hashlib, json
from gluon_classics import get_model, utils
from mxnet import autograd, gluon, init, nd
import numpy as np

def digest(net):
    nd.waitall()
    values = (parameter.data().asnumpy().tobytes() for parameter in net.collect_params().values())
    return hashlib.sha256(b"".join(values)).hexdigest()

loss = gluon.loss.SoftmaxCrossEntropyLoss()
found = {}
for name, side, steps in (("lenet", 28, 20), ("resnet", 75, 3)):
    for is_compiled in (False, True):
        utils.seed_everything(0)
        net = get_model(name)
        net.initialize(init.Xavier())
        images, labels = nd.array(np.random.rand(4, 1, side, side)), nd.array(np.random.permutation(4))
        net(images)
        rows = found[f"{name} {is_compiled}"] = [digest(net)]
        forward = utils.hybridized(net) if is_compiled else net
        trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": .05, "momentum": .9, "wd": 1e-4})
        for _ in range(steps):
            with autograd.record():
                losses = loss(forward(images), labels)
            losses.backward()
            trainer.step(4)
            rows.append(losses.asnumpy().tobytes().hex())
        rows.append(digest(net))
print(json.dumps([np.__version__, found]))
"""


@pytest.fixture(scope="module")
def pythons(wheel, tmp_path_factory):
    """Return two functions that run Python with NumPy 1 and NumPy 2, each in its own folder."""
    folder = tmp_path_factory.mktemp("numpy")
    venv.create(folder / "environment", with_pip=True)
    path = f"{folder / 'environment' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    commands = (CHECKOUT / "docs" / "numpy.md").read_text().partition("```sh\n")[2].partition("```")[0]
    assert "-e '.[runtime,plot,reproduce]'" in commands
    commands = commands.replace("-e '.[runtime,plot,reproduce]'", f"'{wheel}[runtime]'")
    subprocess.run(["bash", "-euc", commands], check=True, env={**os.environ, "PATH": path, "PIP_ONLY_BINARY": ":all:"})

    def runner(interpreter, name, **variables):
        (folder / name).mkdir()

        def run(*arguments):
            environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
            return subprocess.run(
                [interpreter, "-W", "error", *arguments],
                cwd=folder / name,
                env=environment,
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            ).stdout

        run.folder = folder / name
        return run

    here = os.pathsep.join(map(str, (CHECKOUT, os.environ.get("PYTHONPATH", ""))))
    return (
        runner(sys.executable, "numpy1", PYTHONPATH=here),
        runner(folder / "environment" / "bin" / "python", "numpy2", PYTHONPATH=""),
    )


def test_training_gives_the_same_bits(pythons):
    """Weights before and after, and the losses of every step, eager and compiled."""
    (numpy1, expected), (numpy2, found) = (json.loads(python("-c", SCRIPT)) for python in pythons)
    assert numpy1.startswith("1.")
    assert numpy2.startswith("2.")
    assert found == expected


def test_the_command_line_records_the_same_run(pythons):
    """NumPy 2 adds numbers of different types with less precision, which must not reach the metrics."""
    runs = []
    for python in pythons:
        python("-m", "gluon_classics", *TRAIN)
        epochs = json.loads((python.folder / "run" / "run.json").read_text())["epochs"]
        metrics = [(epoch["train_loss"], epoch["train_accuracy"], epoch["test_accuracy"]) for epoch in epochs]
        runs.append((metrics, (python.folder / "run" / "net.params").read_bytes()))
    assert runs[0] == runs[1]
