"""The six networks against the tables of what the blog prints: shapes, parameters, multiply-accumulates, names."""

from pathlib import Path
import subprocess
import sys

import gluon_classics
from gluon_classics import AlexNet, GoogLeNet, LeNet, NiNNet, ResNet, VGGNet, get_model, list_models, model_info, utils
from gluon_classics.errors import InputError, InputSizeError
from gluon_classics.models.registry import FAMILIES, register, registered
from layer_tables import Layer, conv, dense, maps, units
from mxnet import gluon, nd
import pytest

NAMES = ["lenet", "alexnet", "vgg", "nin", "googlenet", "resnet"]

# The side of the smallest image each network takes, from the arithmetic of its layers, last layer first:
# an unpadded window k with stride s gives n maps from s * (n - 1) + k pixels.
SMALLEST = {
    "lenet": 12,  # pool 1 <- 2, conv@3 <- 4, pool <- 8, conv@5 <- 12
    "alexnet": 67,  # pool 1 <- 3, pool <- 7, pool <- 15, conv@11/4 <- 67
    "vgg": 32,  # five halvings
    "nin": 67,  # as alexnet
    "googlenet": 93,  # avgpool 1 <- 2, pools <- 5 <- 11 <- 23 <- 47, conv@7/2 with padding 3 <- 93
    "resnet": 75,  # avgpool 1 <- 3, halved (rounding up) from 5 <- 9 <- 17, pool <- 35, conv@7/2 <- 75
}


def together(shape, *layers):
    return Layer(shape, *(sum(layer[field] for layer in layers) for field in (1, 2, 3)))


def inception(inputs, n1_1, n2_1, n2_3, n3_1, n3_5, n4_1, side):
    """As printed: all six convolutions are 1x1."""
    convs = [(inputs, n1_1), (inputs, n2_1), (n2_1, n2_3), (inputs, n3_1), (n3_1, n3_5), (inputs, n4_1)]
    return together((n1_1 + n2_3 + n3_5 + n4_1, side, side), *(conv(i, 1, o, side) for i, o in convs))


def norm(channels):
    """Gamma and beta are trained; the running mean and variance are not."""
    return Layer((), 2 * channels, 2 * channels, 0)


def residual(inputs, channels, side, projected=False):
    parts = [conv(inputs, 3, channels, side), norm(channels), conv(channels, 3, channels, side), norm(channels)]
    return together((channels, side, side), *parts, *([conv(inputs, 1, channels, side)] if projected else []))


# network and side of its input -> its layers (inception and residual blocks are one layer here), in order
TABLES = {
    ("lenet", 28): [
        conv(1, 5, 20, 24),
        maps(20, 12),
        conv(20, 3, 50, 10),
        maps(50, 5),
        units(1250),
        dense(1250, 128),
        dense(128, 10),
    ],
    ("alexnet", 224): [
        conv(1, 11, 96, 54),
        maps(96, 26),
        conv(96, 5, 256, 26),
        maps(256, 12),
        conv(256, 3, 384, 12),
        conv(384, 3, 384, 12),
        conv(384, 3, 256, 12),
        maps(256, 5),
        units(6400),
        dense(6400, 4096),
        units(4096),
        dense(4096, 4096),
        units(4096),
        dense(4096, 10),
    ],
    ("vgg", 224): [
        *(conv(1, 3, 64, 224), conv(64, 3, 64, 224), maps(64, 112)),
        *(conv(64, 3, 128, 112), conv(128, 3, 128, 112), maps(128, 56)),
        *(conv(128, 3, 256, 56), conv(256, 3, 256, 56), maps(256, 28)),
        *(conv(256, 3, 512, 28), conv(512, 3, 512, 28), maps(512, 14)),
        *(conv(512, 3, 512, 14), conv(512, 3, 512, 14), maps(512, 7)),
        units(25088),
        dense(25088, 4096),
        units(4096),
        dense(4096, 4096),
        units(4096),
        dense(4096, 10),
    ],
    ("nin", 224): [
        *(conv(1, 11, 96, 54), conv(96, 1, 96, 54), conv(96, 1, 96, 54), maps(96, 26)),
        *(conv(96, 5, 256, 26), conv(256, 1, 256, 26), conv(256, 1, 256, 26), maps(256, 12)),
        *(conv(256, 3, 384, 12), conv(384, 1, 384, 12), conv(384, 1, 384, 12), maps(384, 5)),
        maps(384, 5),
        *(conv(384, 3, 10, 5), conv(10, 1, 10, 5), conv(10, 1, 10, 5)),
        maps(10, 1),
        units(10),
    ],
    ("googlenet", 224): [
        *(conv(1, 7, 64, 112), maps(64, 55)),
        *(conv(64, 1, 64, 55), conv(64, 3, 192, 55), maps(192, 27)),
        inception(192, 64, 96, 128, 16, 32, 32, side=27),
        inception(256, 128, 128, 192, 32, 96, 64, side=27),
        maps(480, 13),
        inception(480, 192, 96, 208, 16, 48, 64, side=13),
        inception(512, 160, 112, 224, 24, 64, 64, side=13),
        inception(512, 128, 128, 256, 24, 64, 64, side=13),
        inception(512, 112, 144, 288, 32, 64, 64, side=13),
        inception(528, 256, 160, 320, 32, 128, 128, side=13),
        maps(832, 6),
        inception(832, 256, 160, 320, 32, 128, 128, side=6),
        inception(832, 384, 192, 384, 48, 128, 128, side=6),
        maps(1024, 3),
        *(units(9216), dense(9216, 10)),
    ],
    ("resnet", 224): [
        conv(1, 7, 64, 109),
        *(maps(64, 54), residual(64, 64, 54), residual(64, 64, 54)),
        *(residual(64, 128, 27, projected=True), residual(128, 128, 27)),
        *(residual(128, 256, 14, projected=True), residual(256, 256, 14)),
        *(residual(256, 512, 7, projected=True), residual(512, 512, 7)),
        *(maps(512, 2), dense(2048, 10)),
    ],
}

# What comes out of the printed blocks, the networks' outermost layers (features alone where the table says so).
BLOCKS = {
    "googlenet": [(64, 55, 55), (192, 27, 27), (480, 13, 13), (832, 6, 6), (1024, 3, 3), (10,)],
    "resnet": [(64, 109, 109), (64, 54, 54), (128, 27, 27), (256, 14, 14), (512, 7, 7), (10,)],
    "nin": [(96, 26, 26), (256, 12, 12), (384, 5, 5), (384, 5, 5), (10, 5, 5), (10, 1, 1), (10,)],
}

# (network, side of the input, trainable parameters, running statistics)
COUNTS = [
    ("lenet", 28, 170_988, 0),
    ("lenet", 224, 18_673_388, 0),
    ("alexnet", 224, 46_764_746, 0),
    ("alexnet", 96, 21_598_922, 0),
    ("vgg", 224, 128_990_666, 0),
    ("vgg", 96, 45_104_586, 0),
    ("nin", 224, 1_992_166, 0),
    ("nin", 96, 1_992_166, 0),
    ("nin", 67, 1_992_166, 0),
    ("googlenet", 224, 2_829_754, 0),
    ("googlenet", 96, 2_747_834, 0),
    ("resnet", 224, 11_193_610, 7_680),
    ("resnet", 96, 11_178_250, 7_680),
]


def layers(summary):
    """The rows that are one line of a table: no chains, and nothing from inside an inception or residual block."""
    found = []
    for row in summary.rows:
        within = any(row.path.startswith(block + ".") for block in found)
        if not within and (row.leaf or not row.layer.startswith("Sequential")):
            found.append(row.path)
    return [row for row in summary.rows if row.path in found]


@pytest.fixture(params=TABLES, ids=lambda key: f"{key[0]}-{key[1]}")
def table(request):
    name, side = request.param
    return utils.summarize(get_model(name), (1, side, side)), TABLES[request.param]


def test_every_layer_has_the_shape_of_the_table(table):
    summary, expected = table
    assert [row.output_shape for row in layers(summary)] == [layer.shape for layer in expected]


def test_every_layer_has_the_parameters_of_its_formula(table):
    summary, expected = table
    assert [(row.params, row.running) for row in layers(summary)] == [
        (layer.params, layer.running) for layer in expected
    ]


def test_every_layer_has_the_multiply_accumulates_of_its_formula(table):
    summary, expected = table
    assert [row.macs for row in layers(summary)] == [layer.macs for layer in expected]


@pytest.mark.parametrize("name", BLOCKS)
def test_the_printed_blocks_end_at_the_shapes_of_the_table(name):
    summary = utils.summarize(get_model(name), (1, 224, 224))
    assert [row.output_shape for row in summary.rows if row.depth == 0] == BLOCKS[name]


@pytest.mark.parametrize(("name", "side", "params", "running"), COUNTS)
def test_networks_have_the_published_number_of_parameters(name, side, params, running):
    summary = utils.summarize(get_model(name), (1, side, side))
    assert (summary.params, summary.running) == (params, running)


@pytest.mark.parametrize("name", NAMES)
def test_the_registry_states_the_facts_of_the_network(name):
    info = model_info(name)
    side = 28 if name == "lenet" else 224
    assert (info.name, info.input_shape, info.classes) == (name, (1, side, side), 10)
    summary = utils.summarize(get_model(name), info.input_shape)
    assert (info.params, info.macs) == (summary.params, summary.macs)
    by_hand = TABLES[name, side]
    assert (info.params, info.macs) == (sum(layer.params for layer in by_hand), sum(layer.macs for layer in by_hand))
    assert info.gmac == pytest.approx(info.macs / 1e9)
    assert info.source
    assert info.departures


def test_vgg_counts_as_configuration_b_of_its_paper():
    """The paper's VGG-13 differs from the blog's in channels and classes alone: 133,047,848 parameters, 11.308 GMAC."""
    summary = utils.summarize(get_model("vgg", classes=1000), (3, 224, 224))
    assert summary.params == 133_047_848
    assert round(summary.macs / 1e9, 3) == 11.308


def eager_shapes(net, rows, images):
    """Output shapes, without the batch, that the blocks of `rows` give when `net` runs eagerly on `images`."""
    seen = {}

    def note(path):
        return lambda _block, _inputs, output: seen.__setitem__(path, output.shape[1:])

    for row in rows:
        block = net
        for part in row.path.split("."):
            block = block[int(part)] if part.isdigit() else getattr(block, part)
        block.register_forward_hook(note(row.path))
    net(images)
    return [seen[row.path] for row in rows]


@pytest.mark.parametrize("name", NAMES)
def test_counted_shapes_are_those_of_a_real_forward_pass(name):
    # a few pixels above the smallest side, so that most windows leave a rest
    side = SMALLEST[name] + 5
    net = get_model(name)
    rows = utils.summarize(net, (1, side, side)).rows
    net.initialize()
    assert eager_shapes(net, rows, nd.zeros((2, 1, side, side))) == [row.output_shape for row in rows]


@pytest.mark.parametrize("name", NAMES)
def test_counted_parameters_are_those_of_a_real_network(name):
    side = SMALLEST[name]
    net = get_model(name)
    summary = utils.summarize(net, (1, side, side))
    net.initialize()
    net(nd.zeros((1, 1, side, side)))
    parameters = net.collect_params().values()
    assert summary.params == sum(p.data().size for p in parameters if p.grad_req != "null")
    assert summary.running == sum(p.data().size for p in parameters if p.grad_req == "null")


def test_families_are_listed_in_the_order_of_their_history():
    families = [model_info(name).family for name in list_models()]
    assert list(dict.fromkeys(families)) == list(FAMILIES)
    assert families == sorted(families, key=FAMILIES.index)


def test_the_blogs_network_comes_first_in_its_family():
    first = {}
    for name in list_models():
        first.setdefault(model_info(name).family, name)
    assert [first[name] for name in NAMES] == NAMES


def test_facts_json_says_what_stands_beside_the_builders():
    said = {name: model_info(name) for name in list_models()}
    stands = {info.name: info for info in registered()}
    different = [name for name in {**stands, **said} if said.get(name) != stands.get(name)]
    assert different == [], f"facts.json is missing or out of date for {different}: run python tools/make_facts.py"
    assert list(said) == list(stands), "facts.json has another order: run python tools/make_facts.py"


def printed(code):
    """The words that Python code prints in a process of its own: here all families are loaded already."""
    root = Path(gluon_classics.__file__).parents[1]
    run = subprocess.run([sys.executable, "-c", code], cwd=root, stdout=subprocess.PIPE, text=True, check=True)
    return run.stdout.split()


def test_the_order_of_the_registry_does_not_depend_on_what_was_imported_first():
    code = (
        "from gluon_classics import ResNet, AlexNet; from gluon_classics.models.registry import registered\n"
        "print(*(info.name for info in registered()))"
    )
    assert printed(code) == list_models()


def test_a_network_can_be_asked_for_before_any_list():
    assert printed("from gluon_classics import get_model; print(type(get_model('nin')).__name__)") == ["NiNNet"]


def test_a_network_loads_no_family_but_its_own():
    code = (
        "import sys; from gluon_classics import get_model, list_models, model_info; get_model('nin')\n"
        "families = {model_info(name).family for name in list_models()}\n"
        "print(*(family for family in families if f'gluon_classics.models.{family}' in sys.modules))"
    )
    assert printed(code) == ["nin"]


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: LeNet(), "lenet"),
        (lambda: AlexNet(), "alexnet"),
        (lambda: VGGNet(((2, 64), (2, 128), (2, 256), (2, 512), (2, 512))), "vgg"),
        (lambda: NiNNet(), "nin"),
        (lambda: GoogLeNet(10), "googlenet"),
        (lambda: GoogLeNet(num_class=10, verbose=False), "googlenet"),
        (lambda: ResNet(10), "resnet"),
        (lambda: ResNet(num_classes=10, verbose=False), "resnet"),
    ],
    ids=["LeNet", "AlexNet", "VGGNet", "NiNNet", "GoogLeNet", "GoogLeNet-named", "ResNet", "ResNet-named"],
)
def test_the_blogs_calls_give_the_registered_networks(call, name):
    def plan(block):
        summary = utils.summarize(block, model_info(name).input_shape)
        return [(row.path, row.layer, row.output_shape) for row in summary.rows]

    net = call()
    assert isinstance(net, gluon.nn.Sequential)
    assert plan(net) == plan(get_model(name))


def test_vggnet_builds_the_architecture_it_is_given():
    summary = utils.summarize(VGGNet(architecture=((1, 4), (3, 6))), (1, 8, 8))
    convolutions = [row.output_shape for row in summary.rows if row.layer.startswith("Conv2D")]
    assert convolutions == [(4, 8, 8), (6, 4, 4), (6, 4, 4), (6, 4, 4)]
    by_registry = utils.summarize(get_model("vgg", architecture=((1, 4), (3, 6))), (1, 8, 8))
    assert by_registry.params == summary.params


@pytest.mark.parametrize("name", NAMES)
def test_the_number_of_classes_can_be_changed(name):
    summary = utils.summarize(get_model(name, classes=7), (1, SMALLEST[name], SMALLEST[name]))
    assert summary.rows[-1].output_shape == (7,)


@pytest.mark.parametrize("classes", [0, -1, 2.5, True, "10"])
def test_a_number_of_classes_that_no_network_has_is_refused(classes):
    with pytest.raises(ValueError, match="classes must be a positive integer"):
        get_model("lenet", classes)


@pytest.mark.parametrize("call", [get_model, model_info])
@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ("LeNet", r"unknown network 'LeNet': did you mean 'lenet'\?"),
        ("ResNet18", r"did you mean 'resnet18_tutorial' or 'resnet18_d2l' or 'resnet18_v1' or 'resnet18_v2'\?"),
        ("resnet-50", r"did you mean 'resnet50_v1' or 'resnet50_v2'\?"),
        ("lenet_d2l ", r"did you mean 'lenet_d2l'\?"),
        ("densenet1", r"did you mean 'densenet121' or 'densenet161' or 'densenet169'\?$"),
        ("resnet1", r"did you mean 'resnet18_tutorial' or .*\? 'gluon-classics list' shows all$"),
        ("l", r"did you mean 'lenet'( or 'lenet_\w+'){5}\? 'gluon-classics list' shows all$"),
        ("lenet6", "did you mean 'lenet'"),
        ("VGGNet", r"did you mean 'vgg'\?"),
        ("transformer", "'gluon-classics list' shows all"),
    ],
)
def test_an_unknown_name_is_answered_with_a_hint(call, wrong, hint):
    with pytest.raises(ValueError, match=hint):
        call(wrong)


def test_a_name_cannot_be_registered_twice():
    before = registered()

    def lenet(classes=10):
        raise AssertionError("the second builder must not be entered")

    with pytest.raises(ValueError, match="'lenet' is already registered"):
        register(source="", input_shape=(1, 1, 1), classes=1, params=0, macs=0)(lenet)
    assert registered() == before
    assert isinstance(get_model("lenet"), LeNet)


@pytest.mark.parametrize("name", NAMES)
def test_the_smallest_image_works_and_one_pixel_less_does_not(name, capfd):
    side = SMALLEST[name]
    net = get_model(name)
    assert utils.summarize(net, (1, side, side)).rows[-1].output_shape == (10,)
    too_small = f"cannot take {side - 1}x{side - 1} images: the smallest it takes is {side}x{side}"
    with pytest.raises(InputSizeError, match=f"^{type(net).__name__} {too_small}$"):
        utils.summarize(net, (1, side - 1, side - 1))
    assert capfd.readouterr().out == ""  # MXNet prints the shapes it could not match

    net.initialize()
    assert net(nd.zeros((1, 1, side, side))).shape == (1, 10)
    refusing = get_model(name)
    refusing.initialize()
    with pytest.raises(InputError, match=rf"cannot take images of shape \(1, 1, {side - 1}, {side - 1}\)"):
        refusing(nd.zeros((1, 1, side - 1, side - 1)))


def test_an_image_too_narrow_is_refused_however_high_it_is():
    with pytest.raises(InputSizeError, match="cannot take 40x11 images"):
        utils.summarize(LeNet(), (1, 40, 11))


def test_googlenets_3x3_and_5x5_convolutions_are_1x1_as_printed():
    rows = utils.summarize(GoogLeNet(), (1, 224, 224)).rows
    second = [row.layer for row in rows if row.path.endswith(("p2_conv_3", "p3_conv_5"))]
    assert len(second) == 2 * 9
    assert all(layer.split()[2:] == ["@1x1", "relu"] for layer in second)  # neither stride nor padding


@pytest.mark.parametrize("network", [GoogLeNet, ResNet])
def test_verbose_prints_the_shape_of_each_block(network, capsys):
    net = network(10, verbose=True)
    net.initialize()
    utils.summarize(net, (1, 96, 96))
    assert capsys.readouterr().out == ""  # counting is no forward pass
    net(nd.zeros((2, 1, 96, 96)))
    shapes = {
        GoogLeNet: [(64, 23, 23), (192, 11, 11), (480, 5, 5), (832, 2, 2), (1024, 1, 1)],
        ResNet: [(64, 45, 45), (64, 22, 22), (128, 11, 11), (256, 6, 6), (512, 3, 3)],
    }[network]
    lines = [f"Block {number} output: {(2, *shape)}" for number, shape in enumerate([*shapes, (10,)], start=1)]
    assert capsys.readouterr().out.splitlines() == lines


@pytest.mark.parametrize("network", [GoogLeNet, ResNet])
def test_networks_are_silent_unless_verbose(network, capsys):
    net = network(10)
    net.initialize()
    net(nd.zeros((1, 1, 96, 96)))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", NAMES)
def test_counting_leaves_the_network_untouched(name):
    net = get_model(name)
    hooks = []

    def state():
        hooks.clear()
        net.apply(lambda block: hooks.append(len(block._forward_hooks)))
        return list(hooks), [(p.shape, p._data, p._deferred_init) for p in net.collect_params().values()]

    before = state()
    utils.summarize(net, (1, 224, 224))
    with pytest.raises(InputSizeError):
        utils.summarize(net, (1, 5, 5))
    assert state() == before

    # the counted size binds nothing: images of another size and number of channels come first
    net.initialize()
    side = SMALLEST[name]
    assert net(nd.zeros((1, 3, side, side))).shape == (1, 10)


def test_an_initialised_network_is_counted_without_touching_its_values():
    net = LeNet()
    net.initialize()
    net(nd.zeros((1, 1, 28, 28))).wait_to_read()  # a convolution reorders its weights in the background
    before = [p.data().asnumpy() for p in net.collect_params().values()]
    assert utils.summarize(net, (1, 28, 28)).params == 170_988
    after = [p.data().asnumpy() for p in net.collect_params().values()]
    assert all((a == b).all() for a, b in zip(before, after))
