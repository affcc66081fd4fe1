"""The contestants of `speed.py` that use MXNet: this package, and the blog's way of 2018."""

import time

import gluon_classics  # before MXNet: it sets the number of threads
from gluon_classics import utils
from gluon_classics.compiler.compiled import for_inference
from gluon_classics.utils.loader import DataLoader
from gluon_classics.utils.preprocess import Preprocess
from gluon_classics.utils.training import TrainingLoop
from loader import BlogLoader
import mxnet as mx
from mxnet import autograd, gluon, nd
import numpy as np
import turns

LOSS = gluon.loss.SoftmaxCrossEntropyLoss()
CTX = mx.cpu()


class Ours:
    """The network compiled, the package's loader and training loop."""

    def __init__(self, case):
        self.case = case
        mx.random.seed(1)
        self.net = gluon_classics.get_model(case.network)
        self.net.initialize(mx.init.Xavier(), ctx=CTX)
        images, labels = case.batch()
        self.images, self.labels = nd.array(images), nd.array(labels)
        self.net(self.images[:1])
        self.trainer = gluon.Trainer(self.net.collect_params(), "sgd", {"learning_rate": case.learning_rate})
        self.forward = self.compiled()

    def compiled(self):
        return utils.hybridized(self.net)

    def predictor(self):
        return for_inference(self.net)

    def facts(self):
        """Return the multiply-accumulates of one image, and the versions of the libraries."""
        macs = utils.summarize(self.net, self.images.shape[1:]).macs
        return {"macs": macs, "versions": {m.__name__: m.__version__ for m in (gluon_classics, mx, np)}}

    def memory(self):
        """Return the peak memory in megabytes."""
        return turns.peak_memory()

    def weights(self):
        """Return all parameters in the order of definition."""
        return [parameter.data().asnumpy() for parameter in self.net.collect_params().values()]

    def check(self, weights):
        """Return predictions and losses that start from these weights.

        The predictions are of the batch and of its first image alone. The losses are of four steps without dropout,
        each before its update.
        """
        for parameter, array in zip(self.net.collect_params().values(), weights):
            parameter.set_data(nd.array(array))
        forward = self.predictor()
        outputs = np.concatenate([forward(images).asnumpy() for images in (self.images, self.images[:1])])
        dropouts = []
        self.net.apply(lambda block: dropouts.append(block) if isinstance(block, gluon.nn.Dropout) else None)
        rates = [block._rate for block in dropouts]
        for block in dropouts:
            block._rate = 0
        forward, self.forward = self.forward, self.compiled()
        losses = [float(self.step().mean().asscalar()) for _ in range(4)]
        self.forward = forward
        for block, rate in zip(dropouts, rates):
            block._rate = rate
        return outputs, losses

    def step(self):
        """Make one update and return the losses before it, (N,)."""
        with autograd.record():
            losses = LOSS(self.forward(self.images), self.labels)
        losses.backward()
        self.trainer.step(len(self.images))
        nd.waitall()
        return losses

    def steps(self, seconds):
        """Return the images/s of training steps, each waited for."""
        self.step()
        return turns.rate(self.step, len(self.images), seconds)

    def epoch(self, _seconds):
        """Return the images/s of the training part of an epoch, with the loader and the metrics."""
        images, labels = self.case.data()
        preprocess = Preprocess(self.case.resize)
        train = DataLoader((images, labels), self.case.batch_size, True, preprocess)
        test = DataLoader((images[:1], labels[:1]), 1, False, preprocess)
        # an epoch here is short: compiling, once in a training, would be too large a part of it
        (record,) = TrainingLoop(self.forward, LOSS, self.trainer, CTX).run(train, test, 1)
        return record.images_per_second

    def predict(self, batch_size, seconds):
        """Return the images/s of predictions in batches of this size, each waited for."""
        images = self.images[:batch_size]
        forward = self.predictor()

        def predict():
            forward(images).wait_to_read()

        predict()
        return turns.rate(predict, batch_size, seconds)

    def convolution_peak(self, seconds):
        """Return the GFLOP/s of a 3x3 convolution with 128 input and output channels, on 64 images of 28x28."""
        maps, weight = nd.random.uniform(shape=(64, 128, 28, 28)), nd.random.uniform(shape=(128, 128, 3, 3))
        options = {"kernel": (3, 3), "pad": (1, 1), "num_filter": 128, "no_bias": True}

        def convolve():
            nd.Convolution(maps, weight, **options).wait_to_read()

        convolve()
        return turns.rate(convolve, 2 * 64 * 128 * 128 * 9 * 28 * 28 / 1e9, seconds)


class Blog(Ours):
    """The blog's code, rewritten: eager, images resized one by one, metrics read after every batch.

    The test accuracy is not part of the measured time.
    """

    def compiled(self):
        return self.net

    def predictor(self):
        return self.net

    def epoch(self, _seconds):
        images, labels = self.case.data()
        loader = BlogLoader(images, labels, self.case.batch_size, self.case.resize, shuffle=True)
        seen = loss_sum = right = 0
        start = time.perf_counter()
        for x, y in loader:
            with autograd.record():
                outputs = self.net(x)
                losses = LOSS(outputs, y)
            losses.backward()
            self.trainer.step(len(x))
            loss_sum += losses.sum().asscalar()
            right += (outputs.argmax(axis=1) == y).sum().asscalar()
            seen += len(x)
        nd.waitall()
        return seen / (time.perf_counter() - start)
