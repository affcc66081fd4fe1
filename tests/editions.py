"""The networks that represent all others in parametrized tests."""

from gluon_classics import list_models
import pytest

# each has a feature that the others do not have: tanh, a bias for each unit, partial connections, groups with LRN,
# global pooling, branches, shortcuts with projections and without parameters, concatenated feature maps, squeeze and
# excitation with stochastic depth
REPRESENTATIVES = {
    *("lenet_slides", "lenet_1989", "lenet5", "alexnet_2012", "nin_cifar10"),
    *("googlenet_v1", "resnet50_v1", "resnet20_cifar10", "densenet_d2l", "efficientnet_b0"),
}
# for pytest.mark.parametrize; networks that are not representatives are slow tests
EVERY_NETWORK = [
    pytest.param(name, marks=() if name in REPRESENTATIVES else pytest.mark.slow) for name in list_models()
]
