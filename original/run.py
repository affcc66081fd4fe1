"""Train a network to the end as the blog does, and write a record.

    python tools/era.py 1.1.0 original/run.py lenet -o runs/original/lenet-0 --seed 0

The state is saved every few minutes. The same command resumes. The result equals that of an uninterrupted run, except
for the dropout masks after the break.
"""

import argparse
import fcntl
import hashlib
import json
import os
import struct
import sys
import time

import blog
import mxnet as mx
from mxnet import gluon, nd
import numpy as np
import tensors

SAVE_EVERY = 180  # seconds between two saved states
PRINT_EVERY = 100  # batches


class State:
    """A run between two batches: how far it is, and the sums of its epoch. It is saved with the parameters."""

    def __init__(self, folder):
        self.folder = folder
        self.order_seed = None
        self.epoch = 0
        self.clear()
        self.epochs, self.resumed = [], []
        self.file = None

    def clear(self):
        """Start the sums of an epoch."""
        self.batches = self.images = self.correct = 0
        self.loss = self.seconds = 0.0

    def save(self, net):
        """Write the parameters, then the state that names their file. A stop in between loses nothing."""
        nd.waitall()  # MXNet's engine does not know that the backward pass writes running statistics
        self.file = f"parameters-{self.epoch}-{self.batches}.safetensors"
        arrays = {name: parameter.data().asnumpy() for name, parameter in blog.named(net).items()}
        tensors.save(os.path.join(self.folder, self.file), arrays)
        kept = {name: value for name, value in vars(self).items() if name != "folder"}
        write_json(os.path.join(self.folder, "state.json"), kept)
        for name in os.listdir(self.folder):
            if name.startswith("parameters-") and name != self.file:
                os.remove(os.path.join(self.folder, name))

    def load(self):
        """Read the saved state, if there is one."""
        path = os.path.join(self.folder, "state.json")
        if os.path.exists(path):
            with open(path) as file:
                vars(self).update(json.load(file))

    def restore(self, net, train_data, args):
        """Give the network its parameters, and the generators a state, as they are at this point of the run."""
        arrays, _ = tensors.load(os.path.join(self.folder, self.file))
        net(nd.zeros((1, 1, args.resize or 28, args.resize or 28)))
        for name, parameter in blog.named(net).items():
            parameter.set_data(nd.array(arrays[name]))
        for _ in range(self.epoch):
            np.random.shuffle(train_data.order)
        # the state of MXNet's generators cannot be saved: the dropout masks after a break are others
        mx.random.seed(self.order_seed + 1 + self.epoch * len(train_data) + self.batches)
        self.resumed.append({"epoch": self.epoch, "batches": self.batches})


def write_json(path, content):
    """Write a file in one step."""
    with open(path + ".part", "w") as file:
        file.write(json.dumps(content, indent=2, sort_keys=True) + "\n")
    os.replace(path + ".part", path)


def train_epoch(net, trainer, train_data, args, state):
    """Train the rest of an epoch."""
    loss = gluon.loss.SoftmaxCrossEntropyLoss()
    begin, saved = time.time() - state.seconds, time.time()
    for images, labels in train_data.batches(state.batches):
        outputs, losses = blog.forward_and_backward(net, loss, images, labels)
        trainer.step(args.batch_size if args.last_batch == "scale" else images.shape[0])
        state.loss += losses.sum().asscalar()
        state.correct += blog.correct(outputs, labels)
        state.images += images.shape[0]
        state.batches += 1
        state.seconds = time.time() - begin
        if state.batches % PRINT_EVERY == 0:
            rate = state.images / state.seconds
            print(f"batch {state.batches}, loss {state.loss / state.images:f}, {rate:.1f} images/s")
            sys.stdout.flush()
        if time.time() - saved > SAVE_EVERY:
            state.save(net)
            saved = time.time()


def end_epoch(net, test_data, state):
    """Evaluate, and start the next epoch."""
    begin = time.time()
    row = {
        "train_loss": state.loss / state.images,
        "train_accuracy": state.correct / state.images,
        "test_accuracy": blog.evaluate(test_data, net),
    }
    row["seconds"] = state.seconds + time.time() - begin
    print(f"epoch {state.epoch}: {row}")
    state.epochs.append(row)
    state.epoch += 1
    state.clear()
    state.save(net)


def run(args):
    """Train to the end, or resume. The record is record.json in the folder."""
    state = State(args.out)
    state.load()
    if state.order_seed is None:
        # the blog does not seed NumPy either, but a run that is resumed needs the same order again
        drawn = struct.unpack("<I", os.urandom(4))[0] >> 2
        state.order_seed = next(seed for seed in (args.seed, args.order_seed, drawn) if seed is not None)
    blog.seed_both(args.seed)
    np.random.seed(state.order_seed)
    train_data, test_data = blog.loaders(args)
    net = blog.make(args)
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": args.lr})
    if state.file:
        state.restore(net, train_data, args)
    while state.epoch < args.epochs:
        train_epoch(net, trainer, train_data, args, state)
        end_epoch(net, test_data, state)
    digest = hashlib.sha256()
    for loader in (train_data, test_data):
        digest.update(loader.dataset[0].asnumpy().tobytes() + loader.dataset[1].astype(np.uint8).tobytes())
    content = {
        "settings": blog.settings(args),
        "data": {"name": "fashion-mnist", "sha256": digest.hexdigest()},
        "environment": blog.environment(),
        "order_seed": state.order_seed,
        "epochs": state.epochs,
        "resumed": state.resumed,
    }
    write_json(os.path.join(args.out, "record.json"), content)


def parse(arguments=None):
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    blog.add_options(parser)
    parser.add_argument("-o", "--out", required=True, help="folder of the run")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument(
        "--order-seed", type=int, help="seed of the order of the images, without --seed (default: drawn)"
    )
    args = parser.parse_args(arguments)
    if args.seed is not None and args.order_seed is not None:
        parser.error("--seed decides the order of the images, too. Leave out --seed or --order-seed")
    return args


def main():
    args = parse()
    os.makedirs(args.out, exist_ok=True)
    if os.path.exists(os.path.join(args.out, "record.json")):
        print(f"{args.out} is complete")
        return
    with open(os.path.join(args.out, "lock"), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            sys.exit(f"error: another process is training in {args.out}")
        run(args)


if __name__ == "__main__":
    main()
