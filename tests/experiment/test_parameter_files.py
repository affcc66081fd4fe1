"""A parameter file is complete and fits, or an error; names of other programs are matched only if there is one way."""

import resource
import struct
import zipfile

from gluon_classics.data.datasets import SAMPLE_FOLDER, load_dataset
from gluon_classics.errors import RunError, SettingsError
from gluon_classics.experiment.build import build, head_parameters, prepare
from gluon_classics.experiment.parameter_files import load_parameters, save_parameters
from gluon_classics.experiment.parameter_format import read_arrays
from gluon_classics.experiment.parameter_matching import match
from gluon_classics.experiment.settings import Settings
import mxnet as mx
from mxnet import nd
from mxnet.gluon import nn
import numpy as np
import pytest

CPU = [mx.cpu()]


def network():
    net = nn.Sequential()
    net.add(nn.Dense(40))
    net.only_in_training = ("auxiliary",)
    return net


@pytest.fixture
def saved(tmp_path):
    """Return a network for images of 4 x 4 pixels and its parameter file."""
    net = network()
    net.initialize(mx.init.Normal(1))
    net(nd.zeros((1, 1, 4, 4))).wait_to_read()  # a convolution reorders its weights in the background
    save_parameters(net, tmp_path / "net.params")
    return net, tmp_path / "net.params"


@pytest.mark.parametrize("missing", [1, 100, 2000])
def test_a_file_that_lacks_its_last_bytes_is_an_error_and_the_old_file_stays(missing, saved):
    """MXNet does not report bytes that cannot be written while it closes the file."""
    net, path = saved
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) - missing, hard))
    try:
        with pytest.raises(RunError, match="is the disk full"):
            save_parameters(net, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_parameters_for_training_alone_are_left_out(saved):
    net, path = saved
    nd.save(str(path), {**nd.load(str(path)), "auxiliary.weight": nd.ones(3)})
    other = network()
    load_parameters(other, path, CPU, (1, 4, 4))
    np.testing.assert_array_equal(other[0].weight.data().asnumpy(), net[0].weight.data().asnumpy())


def test_a_name_with_and_without_its_kind_is_refused(saved):
    """One of the two would be used without a word."""
    _, path = saved
    arrays = nd.load(str(path))
    nd.save(str(path), {**arrays, "arg:0.weight": nd.zeros_like(arrays["0.weight"])})
    with pytest.raises(RunError, match="two parameters with the same name"):
        load_parameters(network(), path, CPU, (1, 4, 4))


def test_other_parameters_that_the_network_lacks_are_refused(saved):
    _, path = saved
    nd.save(str(path), {**nd.load(str(path)), "auxiliary.weight": nd.ones(3), "1.weight": nd.ones(3)})
    with pytest.raises(RunError, match=r"it also has 1\.weight and 1 more"):
        load_parameters(network(), path, CPU, (1, 4, 4))


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "uint8", "int32", "int8", "int64"])
def test_files_are_read_as_mxnet_reads_them(dtype, rng, tmp_path):
    arrays = {
        name: nd.array(rng.randint(0, 99, shape), dtype=dtype) for name, shape in {"a": (2, 3), "ü": (1,)}.items()
    }
    nd.save(str(tmp_path / "file"), arrays)
    found, expected = read_arrays(tmp_path / "file"), nd.load(str(tmp_path / "file"))
    assert list(found) == list(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array.asnumpy())


def test_the_older_versions_of_the_format_are_read(tmp_path):
    """MXNet's reader still knows them."""
    values, rest = np.arange(6, dtype="<f4"), struct.pack("<3i", 1, 0, 0)
    beginnings = [struct.pack("<3I", 2, 2, 3), struct.pack("<2I2q", 0xF993FAC8, 2, 2, 3)]
    for beginning in beginnings:
        names = struct.pack("<2Q", 1, 1) + b"w"
        content = struct.pack("<3Q", 0x112, 0, 1) + beginning + rest + values.tobytes() + names
        (tmp_path / "old").write_bytes(content)
        for found in (read_arrays(tmp_path / "old")["w"], nd.load(str(tmp_path / "old"))["w"].asnumpy()):
            np.testing.assert_array_equal(found, values.reshape(2, 3))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused(value, saved):
    net, path = saved
    net[0].bias.data()[3] = value
    save_parameters(net, path)
    with pytest.raises(RunError, match=r"0\.bias in .*net\.params is infinite or not a number"):
        load_parameters(network(), path, CPU, (1, 4, 4))


OTHER_FILES = {
    "old.pth": (b"\x80\x02}q\x00.", "a pickle file, as old versions of PyTorch"),
    "weights.h5": (b"\x89HDF\r\n\x1a\n" + bytes(99), "an HDF5 file, as Keras"),
    "weights.npy": (b"\x93NUMPY\x01\x00", "a NumPy file"),
    "weights.safetensors": (struct.pack("<Q", 2) + b"{}" + bytes(99), "a safetensors file"),
    "page.params": (b"<!DOCTYPE html><html>", "a web page"),
    "net-symbol.json": (b'{"nodes": []}', "a JSON file"),
    "pointer.params": (b"version https://git-lfs.github.com/spec/v1", "a pointer of Git LFS"),
    "empty.params": (b"", "it is empty"),
    "text.params": (b"weights", "not a parameter file, or it is damaged"),
}


@pytest.mark.parametrize("name", OTHER_FILES)
def test_a_file_of_another_program_is_named(name, tmp_path):
    content, words = OTHER_FILES[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RunError, match=words) as error:
        read_arrays(tmp_path / name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("member", "words"), [("archive/data.pkl", "a file of PyTorch"), ("a.npy", r"\.npz"), ("config.json", "of Keras")]
)
def test_an_archive_of_another_program_is_named(member, words, tmp_path):
    with zipfile.ZipFile(tmp_path / "file", "w") as archive:
        archive.writestr(member, b"")
    with pytest.raises(RunError, match=words):
        read_arrays(tmp_path / "file")


def lenet_of_d2l(classes=10, prefix=None):
    """Return LeNet as "Dive into Deep Learning" writes it: without a layer that flattens."""
    net = nn.HybridSequential(prefix=prefix)
    with net.name_scope():
        net.add(
            *(nn.Conv2D(6, 5, padding=2, activation="sigmoid"), nn.AvgPool2D(2, 2)),
            *(nn.Conv2D(16, 5, activation="sigmoid"), nn.AvgPool2D(2, 2)),
            *(nn.Dense(120, activation="sigmoid"), nn.Dense(84, activation="sigmoid"), nn.Dense(classes)),
        )
    net.initialize(mx.init.Xavier())
    net.hybridize()
    net(nd.zeros((1, 1, 28, 28)))
    return net


def written(net, way, folder):
    """Write the parameters of a network in one of the ways of Gluon, and return the file."""
    path = folder / "net.params"
    if way == "save_parameters":
        net.save_parameters(str(path))
    elif way == "save_params":
        net.collect_params().save(str(path))
    else:
        net.export(str(folder / "net"))
        path = folder / "net-0000.params"
    return path


@pytest.mark.parametrize("way", ["save_parameters", "save_params", "export"])
@pytest.mark.parametrize("prefix", [None, "", "lenet0_"])
def test_parameters_of_the_same_network_in_another_program_are_matched(way, prefix, rng, tmp_path, capsys):
    theirs, ours = lenet_of_d2l(prefix=prefix), build("lenet_d2l", 10)
    images = nd.array(rng.rand(2, 1, 28, 28))
    expected = theirs(images).asnumpy()
    load_parameters(ours, written(theirs, way, tmp_path), CPU, (1, 28, 28))
    np.testing.assert_allclose(ours(images).asnumpy(), expected, rtol=1e-4, atol=1e-6)
    (line,) = capsys.readouterr().err.splitlines()
    assert "matched by order and shape" in line


def test_parameters_are_matched_only_in_one_way():
    own = {"0.weight": (4, 4), "0.bias": (4,), "2.weight": (4, 4), "2.bias": (4,)}
    names = ["dense0_weight", "dense0_bias", "dense1_weight", "dense1_bias"]
    found = dict(zip(names, own.values()))
    assert match(own, found) == dict(zip(own, names))
    swapped = {name: found[name] for name in [*names[2:], *names[:2]]}
    assert match(own, swapped) is None, "two layers of the same shape, in another order than their numbers"
    assert match(own, {**found, "dense2_bias": (4,)}) is None
    assert match(own, dict(zip(["a_gamma", *names[1:]], own.values()))) is None, "another role"
    crossed = {"a0_weight": (4, 4), "b0_bias": (4,), "b1_weight": (4, 4), "a1_bias": (4,)}
    assert match(own, crossed) is None, "the bias belongs to another layer than the weights"


def test_a_file_for_other_classes_is_named_and_a_new_head_can_be_trained(tmp_path):
    theirs = lenet_of_d2l(classes=3)
    theirs.save_parameters(str(tmp_path / "three.params"))
    with pytest.raises(
        RunError,
        match=r"was made for 3 classes, 10 are wanted \(6\.weight is \(3, 84\), not \(10, 84\)\): .*--new-head",
    ):
        load_parameters(build("lenet_d2l", 10), tmp_path / "three.params", CPU, (1, 28, 28))
    data = load_dataset(str(SAMPLE_FOLDER))
    settings = Settings("lenet_d2l", init_from=str(tmp_path / "three.params"), new_head=True)
    values = {p: a.data().asnumpy() for p, a in prepare(settings, CPU, data).net._collect_params_with_prefix().items()}
    seeded = prepare(Settings("lenet_d2l"), CPU, data).net._collect_params_with_prefix()
    np.testing.assert_array_equal(values["0.weight"], theirs[0].weight.data().asnumpy())
    np.testing.assert_array_equal(values["7.weight"], seeded["7.weight"].data().asnumpy())
    assert head_parameters("lenet_d2l", 10, (1, 28, 28)) == ["7.weight", "7.bias"]


def test_a_new_head_of_the_same_number_of_classes_is_drawn_too(tmp_path):
    first = build("lenet", 10)
    first.initialize(mx.init.One())
    first(nd.zeros((1, 1, 28, 28)))
    save_parameters(first, tmp_path / "net.params")
    settings = Settings("lenet", init_from=str(tmp_path / "net.params"), new_head=True)
    arrays = prepare(settings, CPU, load_dataset(str(SAMPLE_FOLDER))).net._collect_params_with_prefix()
    ones = {name for name, array in arrays.items() if name.endswith("weight") and (array.data() == 1).asnumpy().all()}
    (head,) = {name for name in arrays if name.endswith("weight")} - ones
    assert head == head_parameters("lenet", 10, (1, 28, 28))[0]


def test_a_new_head_needs_a_file():
    with pytest.raises(SettingsError, match="name one with init_from"):
        Settings("lenet", new_head=True)
