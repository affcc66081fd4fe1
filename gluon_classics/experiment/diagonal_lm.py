"""LeNet-5's own step sizes: a diagonal Levenberg-Marquardt method (LeCun et al. 1998, appendix C).

Each weight w_k changes by -rate / (MU + h_kk) times its gradient. h_kk is an estimate of the second derivative of the
loss, a mean over 500 examples. It is propagated back through squared weights and squared slopes and is therefore never
negative. For a weight that several connections share, the derivatives are added as if the connections were independent.

Departs   MU is .2 (paper: .02), and h_kk is estimated again after every 500 examples (paper: before each pass). With
          the paper's small initial weights, h_kk starts near 0 and soon grows. With the paper's values all units
          saturated within the first 3,000 examples, and with an MU of .05 too. The last layer's curvature is exact,
          since the paper does not say how to propagate it through the RBF units.
"""

from __future__ import annotations

import functools
import itertools

from gluon_classics.errors import ClassicsError
from gluon_classics.models.lenet5 import LeNet5Distances, MAPLoss, Squash
from gluon_classics.utils.loader import DataLoader
from gluon_classics.utils.seeding import RandomStreams
from gluon_classics.utils.training import Callback
import mxnet as mx
from mxnet import autograd, nd

MU = 0.2
MOST_WEIGHTS = 60  # arrays that are updated together: the most that multi_sgd_update takes
EXAMPLES = 500  # for one estimate, and between two estimates


@mx.optimizer.register
class DiagonalLM(mx.optimizer.Optimizer):
    """Gradient descent that divides the rate of each weight by MU plus its curvature. Call `estimate` first.

    All weights are updated together: with batches of one image, most of the time would go into calls of operators.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.aggregate_num = MOST_WEIGHTS
        self.scales: dict[int, nd.NDArray] = {}  # 1 / (MU + h), by the number of the parameter in its trainer

    def estimate(self, net: mx.gluon.nn.Block, loss: mx.gluon.loss.Loss, images: nd.NDArray) -> None:
        """Estimate the step sizes.

        Args:
            net: LeNet-5 with distances as outputs.
            loss: MAPLoss or TargetDistanceLoss.
            images: (N, C, H, W).

        Raises:
            ClassicsError: `net` is another network.
        """
        by_name = curvatures(net, loss, images)
        self.scales = {
            number: 1 / (MU + by_name[parameter.name])
            for number, parameter in self.param_dict.items()
            if parameter.name in by_name
        }

    def create_state(self, _index, _weight):
        return None

    def update(self, indices, weights, gradients, _states):
        self._update_count(indices)
        scales = (self.scales[index].as_in_context(weights[0].context) for index in indices)
        scaled = _products(len(weights))(*gradients, *scales)
        pairs = itertools.chain.from_iterable(zip(weights, scaled))
        rates = {"lrs": self._get_lrs(indices), "wds": self._get_wds(indices), "rescale_grad": self.rescale_grad}
        nd.multi_sgd_update(*pairs, out=weights, num_weights=len(weights), **rates)


@functools.lru_cache(maxsize=None)
def _products(_count):
    """Return the block for this many products. The optimizer cannot keep it: its attributes are in checkpoints."""
    block = _Products()
    block.hybridize(static_alloc=True, static_shape=True)
    return block


class _Products(mx.gluon.nn.HybridBlock):
    """Multiply the first half of the inputs by the second half, one by one."""

    def hybrid_forward(self, F, *arrays):
        half = len(arrays) // 2
        return [F.elemwise_mul(one, other) for one, other in zip(arrays[:half], arrays[half:])]


class StepSizeCallback(Callback):
    """Estimates the step sizes of a `DiagonalLM` after every `EXAMPLES` training examples."""

    def __init__(self, train_data: DataLoader, streams: RandomStreams) -> None:
        self._train_data = train_data
        self._streams = streams
        self._batches = max(1, EXAMPLES // train_data.batch_size)

    def before_batch(self, loop):
        if loop.batches % self._batches == 0:
            chosen = self._streams.some(loop.epoch, loop.batches, len(self._train_data.dataset), EXAMPLES)
            images, _ = self._train_data.batch(chosen)
            loop.trainer.optimizer.estimate(loop.net, loop.loss, images.as_in_context(loop.contexts[0]))


def curvatures(net: mx.gluon.nn.Block, loss: mx.gluon.loss.Loss, images: nd.NDArray) -> dict[str, nd.NDArray]:
    """Estimate the second derivative of the mean loss with respect to each trained parameter.

    Args:
        net: LeNet-5 with distances as outputs.
        loss: MAPLoss or TargetDistanceLoss. Their curvature does not depend on the labels.
        images: (N, C, H, W).

    Returns:
        The second derivatives by the name of the parameter, in its shape.

    Raises:
        ClassicsError: `net` is another network.
    """
    if not isinstance(net, LeNet5Distances):
        raise ClassicsError("the curvature can be estimated for lenet5 only: choose another optimizer")
    *layers, output = net
    squares, states = [], images
    for layer in layers:
        squares.append((_slope(layer, states) if isinstance(layer, Squash) else states) ** 2)
        states = layer(states)
    ctx = images.context
    trained = [parameter for parameter in net.collect_params().values() if parameter.grad_req != "null"]
    weights = [parameter.data(ctx).copy() for parameter in trained]
    at_output = _output_curvature(loss, states, output.codes.data(ctx)) / len(images)
    try:
        for parameter, weight in zip(trained, weights):
            parameter.data(ctx)[:] = weight**2
        with autograd.record():
            signal = nd.zeros_like(images)
            for layer, square in zip(layers, squares):
                # a linear layer passes gradients to its squared input and its squared weights
                linear = not isinstance(layer, Squash)
                signal = layer(square + signal - signal.detach()) if linear else signal * square
        signal.backward(at_output)
        return {parameter.name: parameter.grad(ctx).copy() for parameter in trained}
    finally:
        for parameter, weight in zip(trained, weights):
            parameter.data(ctx)[:] = weight


def _slope(layer, x):
    x = x.copy()
    x.attach_grad()
    with autograd.record():
        y = layer(x)
    return autograd.grad(y, x)[0]


def _output_curvature(loss, states, codes):
    """Return (N, 84): the exact second derivative of each example's loss by each unit before the RBF output."""
    if not isinstance(loss, MAPLoss):
        return nd.full(states.shape, 2, ctx=states.context)
    slopes = 2 * (states.expand_dims(1) - codes.expand_dims(0))
    # probabilities of the classes, and of none of them
    shares = nd.concat(-(slopes**2).sum(axis=2) / 4, nd.full((len(states), 1), -loss.j, ctx=states.context), dim=1)
    shares = shares.softmax()
    of_classes, of_none = shares[:, :-1].expand_dims(2), shares[:, -1:]
    mean = (of_classes * slopes).sum(axis=1)
    return 2 * of_none + (of_classes * slopes**2).sum(axis=1) - mean**2
