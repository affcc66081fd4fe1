"""The blog's script runs unchanged from the root of the repository, with `import utils`."""

from pathlib import Path
import re
import subprocess
import sys

from gluon_classics.data.datasets import SAMPLE_FOLDER, load_dataset
from gluon_classics.utils import experiment, loader
import pytest

pytestmark = pytest.mark.short

CHECKOUT = Path(__file__).parents[2]

# The calls and the settings are the blog's.
SCRIPT = """
import utils
from gluon_classics import {network}
from mxnet import gluon, init

def do_exp():
    ctx = utils.try_gpu()
    train_data, test_data = utils.load_data_fashion_mnist(batch_size=64, resize=224)
    net = {network}({arguments})
    net.initialize(ctx=ctx, init=init.Xavier())
    softmax_cross_entropy = gluon.loss.SoftmaxCrossEntropyLoss()
    trainer = gluon.Trainer(net.collect_params(), 'sgd', {{'learning_rate': 0.01}})
    utils.train(train_data, test_data, net, softmax_cross_entropy, trainer, ctx, num_epochs=1)

if __name__ == '__main__':
    do_exp()
"""
LINES = (
    r"Start training on  cpu\(0\)\n"
    r"Epoch 0\. Loss: \d\.\d{3}, Train acc 0\.\d\d, Test acc 0\.\d\d, Time \d+\.\d sec\n"
)


@pytest.fixture(scope="module")
def few_images(environment, make_home):
    """Return environment variables for a process that finds one batch of training images and one of test images."""
    return {**environment, "MXNET_HOME": str(make_home(64, 64))}


def run(code, environment):
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize(
    ("network", "arguments"), [("LeNet", ""), pytest.param("ResNet", "10", marks=pytest.mark.slow)]
)
def test_the_blogs_script_runs_unchanged_and_prints_its_lines(network, arguments, few_images):
    assert re.fullmatch(LINES, run(SCRIPT.format(network=network, arguments=arguments), few_images))


@pytest.mark.slow
def test_do_exp_runs_the_blogs_experiment(few_images):
    expected = r"initialize weight on cpu\(0\)\n" + LINES
    assert re.fullmatch(expected, run("import utils; utils.do_exp()", few_images))


def test_do_exp_loads_the_data_as_printed(monkeypatch):
    """The blog's loader leaves out last partial batches; its shuffling turns training images into float32."""
    found = {}

    def train(train_data, test_data, net, _loss, trainer, ctx, num_epochs):
        found.update(train=train_data, test=test_data, rate=trainer.learning_rate, epochs=num_epochs)

    sample = load_dataset(str(SAMPLE_FOLDER))
    monkeypatch.setattr(experiment, "train", train)
    monkeypatch.setattr(loader, "load_dataset", lambda **_: sample)
    experiment.do_exp()
    for name, number_type in (("train", "float32"), ("test", "uint8")):
        data = found[name]
        assert (data.batch_size, data.last_batch, data.shuffle) == (64, "discard", name == "train")
        assert (data.transform.resize, data.transform.resize_in) == (224, number_type)
    assert (found["rate"], found["epochs"]) == (0.01, 1)
