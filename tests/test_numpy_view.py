"""MXNet works on every NumPy from 1.20 on, and NumPy is unchanged for everybody else."""

import ast
import builtins
import hashlib
import operator
from pathlib import Path
import subprocess
import sys
import textwrap
import types

from gluon_classics import _numpy_view, get_model, utils
import mxnet as mx
from mxnet import nd
from mxnet.gluon import nn
import mxnet.numpy as mx_np
from mxnet.test_utils import assert_almost_equal
import numpy as np
import pytest

VIEW = mx.nd.ndarray.np


@pytest.fixture
def square():
    return mx_np.array([[1.0, 2.0], [4.0, 3.0]])


def run(code):
    """Run the code in a new process, in which warnings are errors."""
    options = ["-W", "error", "-c", textwrap.dedent(code)]
    process = subprocess.run([sys.executable, *options], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr


# --- NumPy is unchanged


def test_loading_mxnet_changes_no_name_of_numpy():
    """Except submodules, which every import of them adds."""
    run("""
        import types
        import numpy
        before = dict(vars(numpy))
        import gluon_classics
        import mxnet, mxnet.gluon.contrib.estimator
        after = {k: v for k, v in vars(numpy).items() if k in before or not isinstance(v, types.ModuleType)}
        assert after.keys() == before.keys()
        assert all(after[name] is before[name] for name in before)
    """)


def test_only_mxnet_sees_the_view():
    import scipy.sparse

    assert VIEW is not np
    assert sys.modules["numpy"] is np
    assert mx.nd.sparse.np is mx.test_utils.np is VIEW
    assert scipy.sparse._base.np is np


def test_loaders_that_mxnet_shares_with_other_modules_are_unchanged():
    """Pytest's own loader runs mxnet.test_utils, as it runs this file."""
    shared = mx.test_utils.__loader__
    assert shared is __loader__
    assert "exec_module" not in vars(shared)
    assert __builtins__["__import__"] is builtins.__import__


def test_the_other_names_come_from_numpy():
    assert VIEW.float32 is np.float32
    assert VIEW.random is np.random
    assert VIEW.testing is np.testing  # loaded when it is read


# --- the names


def names_read(path):
    """Return the names that a file reads from the module numpy, such as `random.seed`."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    imports = [alias for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    aliases = {alias.asname or alias.name for alias in imports if alias.name == "numpy"}
    chains = [ast.unparse(node).split(".", 1) for node in nodes if isinstance(node, ast.Attribute) and is_chain(node)]
    return {name for alias, name in chains if alias in aliases}


def is_chain(node):
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name)


def reads(view, name):
    """Return whether a name can be read. Only its modules count: what follows a function or type is not NumPy's."""
    for part in name.split("."):
        if not hasattr(view, part):
            return False
        view = getattr(view, part)
        if not isinstance(view, (types.ModuleType, types.SimpleNamespace)):
            return True
    return True


@pytest.mark.filterwarnings("ignore")  # of the names that a version only deprecates, and of MXNet's escape sequences
@pytest.mark.skipif(sys.version_info < (3, 9), reason="ast.unparse is new in Python 3.9")
def test_the_view_has_every_name_that_mxnet_reads():
    files = list(Path(mx.__file__).parent.rglob("*.py"))
    names = set().union(*map(names_read, files))
    assert {"bool", "PZERO", "alltrue", "compat.basestring", "core.numeric.normalize_axis_tuple"} <= names
    assert [name for name in sorted(names) if not reads(VIEW, name)] == []


def test_mxnet_loads_on_a_numpy_without_the_removed_names():
    """As on NumPy 2.4, where each of these is gone. SciPy, which MXNet loads, also needs some of them."""
    run("""
        import sys
        import numpy
        sys.modules["scipy"] = None
        for name in ("alltrue", "in1d", "trapz", "msort", "product", "round_", "sometrue"):
            vars(numpy).pop(name, None)
        for name in ("PZERO", "NZERO", "PINF", "NINF", "Inf", "NAN", "NaN"):
            vars(numpy).pop(name, None)
        import gluon_classics
        import mxnet.gluon.contrib.estimator
        assert mxnet.np.NINF == -numpy.inf
        assert mxnet.nd.ones((2, 3)).sum().asscalar() == 6
    """)


def test_values_can_be_assigned_through_a_mask(square):
    square[square > 2] = 0
    np.testing.assert_array_equal(square.asnumpy(), [[1, 2], [0, 0]])


def test_a_python_bool_becomes_an_array_of_numbers_as_on_numpy_1():
    """MXNet asks whether a value is an instance of `numpy.bool`, which is NumPy's own type from NumPy 2 on."""
    assert mx_np.array([1.0, 2.0])[True].shape == (1, 2)
    assert VIEW.bool is bool


def test_mxnets_own_test_helpers_work():
    assert_almost_equal(nd.ones(3), np.ones(3))
    with pytest.raises(AssertionError):
        assert_almost_equal(nd.ones(3), np.zeros(3))


def test_arrays_of_mx_np_can_be_padded(square):
    padded = mx_np.pad(square, ((1, 1), (1, 1)), mode="constant")
    np.testing.assert_array_equal(padded.asnumpy(), np.pad([[1, 2], [4, 3]], 1))


def test_axes_can_be_moved_without_a_warning():
    assert nd.moveaxis(nd.zeros((2, 3, 4)), 0, -1).shape == (3, 4, 2)


@pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")  # NumPy's, in the versions before the removal
def test_functions_of_mx_np_that_numpy_removed_compute_the_same(square):
    assert bool(mx_np.alltrue(square))
    assert not bool(mx_np.alltrue(square - 1))
    np.testing.assert_array_equal(mx_np.in1d(square, mx_np.array([3.0, 1.0])).asnumpy(), [True, False, False, True])
    np.testing.assert_array_equal(mx_np.msort(square[:, ::-1]).asnumpy(), [[2, 1], [3, 4]])
    np.testing.assert_array_equal(mx_np.trapz(square).asnumpy(), [1.5, 3.5])


def test_numpys_functions_still_dispatch_to_mxnet(square):
    """MXNet registers its own functions under NumPy's, and the replaced names must not take their place."""
    for function in (np.prod, np.any, np.round, np.all):
        result = function(square)
        assert isinstance(result, mx_np.ndarray)
        np.testing.assert_array_equal(result.asnumpy(), function(square.asnumpy()))
    assert np.prod(square, axis=0, keepdims=True).shape == (1, 2)


def test_a_function_that_numpy_dropped_without_a_successor_says_so():
    with pytest.raises((NotImplementedError, RuntimeError), match="NumPy"):
        mx_np.npv(0.1, [1.0])


# --- shapes as text


def test_shapes_may_contain_numpys_integers():
    shape = tuple(np.array([2, 3]))
    assert nd.zeros(shape).shape == (2, 3)
    assert nd.zeros((3, 2)).reshape(shape).shape == (2, 3)
    assert mx.sym.FullyConnected(mx.sym.var("x", shape=shape), num_hidden=4).infer_shape()[1] == [(2, 4)]


def test_layers_may_have_numpys_integers_as_sizes():
    one, three = np.array([1, 3])
    net = nn.HybridSequential()
    net.add(nn.Conv2D(three, kernel_size=(three, three), in_channels=one), nn.Dense(three))
    net.initialize()
    net.hybridize()
    assert net(nd.ones((1, 1, 4, 4))).shape == (1, 3)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("(np.int64(3), np.int64(-1))", "(3, -1)"),
        ("[np.float32(0.1), 2]", "[0.1, 2]"),
        ("((np.int64(1),), (np.uint8(2),))", "((1,), (2,))"),
        ("(3, 4)", "(3, 4)"),
        ("mynp.int64(3)", "mynp.int64(3)"),
    ],
)
def test_numbers_of_numpy_2_are_written_as_numpy_1_did(text, plain):
    assert _numpy_view._plain(text) == plain


# --- the same bits


def test_initial_weights_and_the_order_of_images_are_the_same_in_every_environment():
    """The digest comes from NumPy 1.23.5 on Python 3.11. Random numbers do not depend on the processor; sums do."""
    utils.seed_everything(0)
    net = get_model("lenet")
    net.initialize(mx.init.Xavier())
    net(nd.zeros((1, 1, 28, 28)))
    nd.waitall()
    weights = [parameter.data().asnumpy() for parameter in net.collect_params().values()]
    digest = hashlib.sha256(b"".join(map(operator.methodcaller("tobytes"), weights)))
    digest.update(np.random.permutation(1000).astype("<i8").tobytes())
    assert digest.hexdigest() == "954634c66de46f18d338413dd3243af9a0c036617e5abe3047417f9550418a31"
