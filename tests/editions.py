"""Which networks stand for all of them."""

from gluon_classics import list_models
import pytest

# each has something that no other one here has: tanh, partial connections, groups and LRN, global pooling, branches,
# shortcuts with projections, concatenated feature maps, squeeze and excitation with stochastic depth
REPRESENTATIVES = {
    *("lenet_slides", "lenet5", "alexnet_2012", "nin_cifar10"),
    *("googlenet_v1", "resnet50_v1", "densenet_d2l", "efficientnet_b0"),
}
# for pytest.mark.parametrize: the representatives, and all others as slow tests
EVERY_NETWORK = [
    pytest.param(name, marks=() if name in REPRESENTATIVES else pytest.mark.slow) for name in list_models()
]
