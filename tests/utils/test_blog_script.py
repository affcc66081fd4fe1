"""The blog's script runs unchanged from the root of the repository, with `import utils`."""

from pathlib import Path
import re
import subprocess
import sys

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
    r"Start training on  \[cpu\(0\)\]\n"
    r"Epoch 0\. Loss: \d\.\d{3}, Train acc 0\.\d\d, Test acc 0\.\d\d, Time \d+\.\d sec\n"
)


def run(code, environment):
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize(
    ("network", "arguments"), [("LeNet", ""), pytest.param("ResNet", "10", marks=pytest.mark.slow)]
)
def test_the_blogs_script_runs_unchanged_and_prints_its_lines(network, arguments, environment):
    assert re.fullmatch(LINES, run(SCRIPT.format(network=network, arguments=arguments), environment))


def test_do_exp_runs_the_blogs_experiment(environment):
    assert re.fullmatch(LINES, run("import utils; utils.do_exp()", environment))
