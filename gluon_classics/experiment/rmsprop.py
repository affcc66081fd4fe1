"""RMSProp as in TensorFlow 1 (`tf.train.RMSPropOptimizer`), which EfficientNet was trained with.

MXNet's `rmsprop` has no momentum, and its mean square starts from 0.
"""

from __future__ import annotations

import mxnet as mx
from mxnet import nd


@mx.optimizer.register
class TFRMSProp(mx.optimizer.Optimizer):
    """RMSProp with momentum: the gradient is divided by the root of its mean square, then accumulated.

    Args:
        momentum: Share of the previous step that a step keeps.
        decay: Share of the mean square that a step keeps.
        epsilon: Added to the mean square.
        **kwargs: Arguments of all of MXNet's optimizers.
    """

    def __init__(self, momentum=0.0, decay=0.9, epsilon=0.001, **kwargs):
        super().__init__(**kwargs)
        self.momentum = momentum
        self.decay = decay
        self.epsilon = epsilon

    def create_state(self, _index, weight):
        return nd.ones_like(weight), nd.zeros_like(weight)

    def update(self, index, weight, grad, state):
        self._update_count(index)
        mean_square, step = state
        grad = grad * self.rescale_grad + self._get_wd(index) * weight
        mean_square[:] = self.decay * mean_square + (1 - self.decay) * grad**2
        step[:] = self.momentum * step + self._get_lr(index) * grad / (mean_square + self.epsilon).sqrt()
        weight[:] -= step
