"""Every published row has its recipe, with the settings and the values that were published."""

from dataclasses import FrozenInstanceError
import json

from gluon_classics.errors import ClassicsError
from gluon_classics.reproduction.equivalence import Range, Spread
from gluon_classics.reproduction.formatting import as_dict
from gluon_classics.reproduction.recipes import FIGURES, get_recipe, list_recipes
import pytest

RECIPES = {recipe.name: recipe for recipe in list_recipes()}
D = "fashion-mnist"

# name: batch, side, learning rate, epochs, initialisation
TUTORIAL = {
    f"lenet-{D}-scratch": (256, 28, 0.2, 5, "normal(0.01)"),
    f"lenet-{D}-gluon": (256, 28, 0.5, 5, "uniform(0.07)"),
    f"lenet-{D}-gluon-10-epochs": (256, 28, 0.5, 10, "uniform(0.07)"),
    f"alexnet-{D}-blog": (64, 224, 0.01, 1, "xavier"),
    f"alexnet-{D}-10-epochs": (64, 224, 0.01, 10, "xavier"),
    f"vgg11_tutorial-{D}-tutorial": (64, 96, 0.05, 1, "xavier"),
    f"nin-{D}-tutorial": (64, 224, 0.1, 1, "xavier"),
    f"googlenet_tutorial-{D}-tutorial": (64, 96, 0.01, 1, "xavier"),
    f"resnet18_tutorial-{D}-tutorial": (64, 96, 0.05, 1, "xavier"),
    f"densenet_tutorial-{D}-tutorial": (64, 32, 0.1, 1, "xavier"),
    **{f"{net}-{D}-blog": (64, 224, 0.01, 1, "xavier") for net in ("lenet", "vgg", "nin", "googlenet", "resnet")},
}
FIRST = {
    f"lenet_d2l_first-{D}-d2l-first": (256, 28, 0.9, 5, "xavier"),
    f"lenet_d2l_first-{D}-d2l-first-notebook": (256, 28, 0.9, 5, "xavier"),
    f"lenet_bn_scratch_first-{D}-d2l-first": (256, 28, 1.0, 5, "xavier"),
    f"lenet_bn_first-{D}-d2l-first": (256, 28, 1.0, 5, "xavier"),
    f"alexnet-{D}-d2l-first": (128, 224, 0.01, 5, "xavier"),
    f"vgg11_d2l-{D}-d2l-first": (128, 224, 0.05, 5, "xavier"),
    f"nin-{D}-d2l-first": (128, 224, 0.1, 5, "xavier"),
    f"googlenet_d2l-{D}-d2l-first": (128, 96, 0.1, 5, "xavier"),
    f"resnet18_d2l-{D}-d2l-first": (256, 96, 0.05, 5, "xavier"),
    f"densenet_d2l-{D}-d2l-first": (256, 96, 0.1, 5, "xavier"),
}
KEEP = {
    f"{name}-keep": FIRST[name]
    for name in (
        f"lenet_d2l_first-{D}-d2l-first",
        f"lenet_d2l_first-{D}-d2l-first-notebook",
        f"lenet_bn_first-{D}-d2l-first",
    )
}
UP_TO_17 = {
    f"lenet_d2l-{D}-d2l-0.17": (256, 28, 0.9, 10, "xavier"),
    f"lenet_d2l-{D}-d2l-0.17-notebook": (256, 28, 0.9, 10, "xavier"),
    f"lenet_bn_scratch_first-{D}-d2l-0.17": (256, 28, 1.0, 10, "xavier"),
    f"lenet_bn_first-{D}-d2l-0.17": (256, 28, 1.0, 10, "xavier"),
    f"lenet_bn_scratch-{D}-d2l-0.17": (256, 28, 1.0, 10, "xavier"),
    f"lenet_bn-{D}-d2l-0.17": (256, 28, 1.0, 10, "xavier"),
    f"alexnet-{D}-d2l-0.17": (128, 224, 0.01, 10, "xavier"),
    f"vgg11_d2l-{D}-d2l-0.17": (128, 224, 0.05, 10, "xavier"),
    f"nin-{D}-d2l-0.17": (128, 224, 0.1, 10, "xavier"),
    f"googlenet_d2l-{D}-d2l-0.17": (128, 96, 0.1, 10, "xavier"),
    f"resnet18_d2l-{D}-d2l-0.17": (256, 96, 0.05, 10, "xavier"),
    f"densenet_d2l-{D}-d2l-0.17": (256, 96, 0.1, 10, "xavier"),
}
ONE = {
    f"lenet_d2l-{D}-d2l-1.0": (128, 28, 0.1, 10, "xavier"),
    f"lenet_bn_scratch-{D}-d2l-1.0": (128, 28, 0.1, 10, "uniform(0.07)"),
    f"lenet_bn-{D}-d2l-1.0": (128, 28, 0.1, 10, "uniform(0.07)"),
    f"alexnet-{D}-d2l-1.0": (128, 224, 0.01, 10, "xavier"),
    f"nin-{D}-d2l-1.0": (128, 224, 0.05, 10, "xavier"),
    f"googlenet_d2l-{D}-d2l-1.0": (128, 96, 0.01, 10, "xavier"),
    f"resnet18_d2l-{D}-d2l-1.0": (128, 96, 0.01, 10, "xavier"),
    f"densenet_d2l-{D}-d2l-1.0": (128, 96, 0.01, 10, "xavier"),
    f"regnetx32_d2l-{D}-d2l-1.0": (128, 96, 0.05, 10, "xavier"),
}
ELSEWHERE = {
    "lenet_straight_dope-mnist-straight-dope",
    "lenet_bn_straight_dope-mnist-straight-dope",
    "lenet5-mnist-paper",
    "lenet_cifar10-cifar10-exercise",
}
OURS_ARE_THE_FIRST = {f"{net}-{D}-blog" for net in ("vgg16", "se_resnet18", "efficientnet_b0")}
FROM_TABLES = {**TUTORIAL, **FIRST, **KEEP, **UP_TO_17, **ONE}


def test_there_is_a_recipe_for_every_published_row_and_no_other():
    assert set(RECIPES) == {*FROM_TABLES, *ELSEWHERE, *OURS_ARE_THE_FIRST}


def test_only_the_notebooks_recipes_have_the_weights_that_all_builds_share():
    assert [name for name, recipe in RECIPES.items() if recipe.settings.weights == "notebook"] == [
        f"lenet_d2l_first-{D}-d2l-first-notebook",
        f"lenet_d2l_first-{D}-d2l-first-notebook-keep",
        f"lenet_d2l-{D}-d2l-0.17-notebook",
    ]


@pytest.mark.parametrize("name", list(FROM_TABLES))
def test_settings_are_the_published_ones(name):
    settings = RECIPES[name].settings
    found = (settings.batch_size, settings.resize, settings.learning_rate, settings.epochs, settings.init)
    assert found == FROM_TABLES[name]
    assert (settings.optimizer, settings.momentum, settings.weight_decay, settings.schedule) == ("sgd", 0, 0, "")
    tutorial = name in TUTORIAL
    assert settings.last_batch == ("discard" if tutorial else "damp" if name in FIRST else "keep")
    assert settings.resize_in == ("published" if tutorial else "uint8")


def published(name):
    """For each epoch with published runs their loss, train and test accuracy."""
    runs = {}
    for run in RECIPES[name].runs:
        runs.setdefault(run.epoch, []).append((run.train_loss, run.train_accuracy, run.test_accuracy))
    return runs


ALEXNET = [(1.000072, 0.6259, 0.784634), (1.018, 0.62, 0.80), (1.016907, 0.617954, 0.799064)]
AT_EPOCH = {
    f"alexnet-{D}-blog": {1: ALEXNET},
    f"alexnet-{D}-10-epochs": {
        1: ALEXNET,
        5: [(0.357653, 0.869703, 0.881469)],
        10: [(0.27496, 0.899337, 0.907345)],
    },
    f"nin-{D}-tutorial": {1: [(2.034576, 0.228228, 0.354797)]},
    f"nin-{D}-blog": {1: [(2.290, 0.17, 0.18)]},
    f"vgg11_tutorial-{D}-tutorial": {1: [(0.866, 0.68, 0.85)]},
    f"resnet18_tutorial-{D}-tutorial": {1: [(0.430, 0.85, 0.90)]},
    f"densenet_tutorial-{D}-tutorial": {1: [(0.485, 0.83, 0.87), (0.533444, 0.813767, 0.867488)]},
    f"googlenet_tutorial-{D}-tutorial": {1: [(2.197808, 0.286786, 0.589143)]},
    f"lenet-{D}-scratch": {
        1: [(2.302478, 0.10198, 0.185998)],
        5: [(0.463232, 0.827841, 0.840645), (0.520524, 0.798764, 0.820117), (0.461873, 0.828893, 0.84345)],
    },
    f"lenet-{D}-gluon": {
        1: [(0.912, None, None), (1.528, None, None)],
        5: [(0.3, 0.89, 0.9), (0.31, 0.88, 0.88), (0.342376, 0.872029, 0.871795), (0.388841, 0.85287, 0.857715)],
        10: [(0.237, 0.91, 0.90)],
    },
    f"lenet_d2l_first-{D}-d2l-first": {5: [(0.6704, 0.733, 0.754), (0.6757, 0.732, 0.747), (0.6723, 0.733, 0.756)]},
    f"lenet_bn_scratch_first-{D}-d2l-first": {5: [(0.3051, 0.89, 0.87), (0.3043, 0.889, 0.867), (0.3011, 0.89, 0.863)]},
    f"lenet_bn_first-{D}-d2l-first": {5: [(0.3071, 0.889, 0.881), (0.2984, 0.891, 0.89), (0.3008, 0.89, 0.873)]},
    f"alexnet-{D}-d2l-first": {5: [(0.4256, 0.845, 0.867), (0.4259, 0.844, 0.871), (0.4241, 0.845, 0.867)]},
    f"vgg11_d2l-{D}-d2l-first": {5: [(0.2649, 0.902, 0.909), (0.261, 0.905, 0.911), (0.2646, 0.902, 0.913)]},
    f"nin-{D}-d2l-first": {5: [(0.5713, 0.791, 0.812), (0.5592, 0.796, 0.832), (0.5387, 0.803, 0.819)]},
    f"googlenet_d2l-{D}-d2l-first": {5: [(0.3442, 0.87, 0.87), (0.3361, 0.874, 0.881)]},
    f"resnet18_d2l-{D}-d2l-first": {5: [(0.1093, 0.961, 0.913), (0.108, 0.962, 0.912), (0.108, 0.962, 0.905)]},
    f"densenet_d2l-{D}-d2l-first": {5: [(0.21, 0.923, 0.879), (0.2132, 0.923, 0.857), (0.2107, 0.923, 0.923)]},
    f"nin-{D}-d2l-0.17": {10: [(0.408, 0.848, 0.840)]},
    f"vgg11_d2l-{D}-d2l-0.17": {10: [(None, 0.935, None)]},
    f"regnetx32_d2l-{D}-d2l-1.0": {10: [(0.1713, None, 0.9079)]},
    "lenet_straight_dope-mnist-straight-dope": {10: [(None, None, 0.9911)]},
    "lenet_bn_straight_dope-mnist-straight-dope": {10: [(None, None, 0.9924)]},
    "lenet5-mnist-paper": {20: [(None, None, 0.9905)]},
    "lenet_cifar10-cifar10-exercise": {10: [(None, None, 0.6605)]},
}
AT_EPOCH[f"lenet_d2l_first-{D}-d2l-first-notebook"] = AT_EPOCH[f"lenet_d2l_first-{D}-d2l-first"]
AT_EPOCH.update({f"{name}-keep": AT_EPOCH[name] for name in AT_EPOCH if f"{name}-keep" in RECIPES})
AT_EPOCH[f"lenet-{D}-gluon-10-epochs"] = AT_EPOCH[f"lenet-{D}-gluon"]


def test_the_values_of_single_runs_are_the_published_ones():
    assert {name: published(name) for name, recipe in RECIPES.items() if recipe.runs} == AT_EPOCH


BUILDS = {  # builds; mean and standard deviation of loss, train and test accuracy
    f"lenet_d2l-{D}-d2l-0.17": (87, (0.472, 0.002), (0.822, 0.001), (0.812, 0.024)),
    f"lenet_d2l-{D}-d2l-0.17-notebook": (87, (0.472, 0.002), (0.822, 0.001), (0.812, 0.024)),
    f"lenet_bn_scratch_first-{D}-d2l-0.17": (92, (0.248, 0.008), (0.908, 0.003), (0.856, 0.037)),
    f"lenet_bn_first-{D}-d2l-0.17": (90, (0.255, 0.009), (0.906, 0.004), (0.838, 0.039)),
    f"lenet_bn_scratch-{D}-d2l-0.17": (92, (0.248, 0.008), (0.908, 0.003), (0.856, 0.037)),
    f"lenet_bn-{D}-d2l-0.17": (90, (0.255, 0.009), (0.906, 0.004), (0.838, 0.039)),
    f"alexnet-{D}-d2l-0.17": (89, (0.334, 0.001), (0.878, 0.001), (0.887, 0.004)),
    f"vgg11_d2l-{D}-d2l-0.17": (68, (0.1755, 0.006), None, (0.925, 0.003)),
    f"nin-{D}-d2l-0.17": (62, None, None, None),
    f"googlenet_d2l-{D}-d2l-0.17": (61, (0.255, 0.054), (0.904, 0.019), (0.896, 0.011)),
    f"resnet18_d2l-{D}-d2l-0.17": (79, (0.012, 0.003), (0.997, 0.001), (0.908, 0.029)),
    f"densenet_d2l-{D}-d2l-0.17": (67, (0.144, 0.002), (0.947, 0.001), (0.882, 0.042)),
    f"lenet_d2l-{D}-d2l-1.0": (11, None, None, (0.7228, 0.0046)),
    f"lenet_bn_scratch-{D}-d2l-1.0": (11, None, None, (0.8761, 0.0125)),
    f"lenet_bn-{D}-d2l-1.0": (11, None, None, (0.8678, 0.0217)),
    f"alexnet-{D}-d2l-1.0": (11, None, None, (0.8874, 0.0033)),
    f"nin-{D}-d2l-1.0": (11, None, None, (0.8598, 0.0289)),
    f"googlenet_d2l-{D}-d2l-1.0": (11, None, None, (0.8326, 0.0177)),
    f"resnet18_d2l-{D}-d2l-1.0": (11, None, None, (0.9127, 0.0154)),
    f"densenet_d2l-{D}-d2l-1.0": (11, None, None, (0.8982, 0.0136)),
    f"regnetx32_d2l-{D}-d2l-1.0": (11, None, None, (0.8963, 0.0103)),
}


def test_the_distributions_over_official_builds_are_the_published_ones():
    found = {
        name: (builds.n, builds.train_loss, builds.train_accuracy, builds.test_accuracy)
        for name, builds in ((name, recipe.builds) for name, recipe in RECIPES.items())
        if builds
    }
    assert found == BUILDS
    ranges = {
        recipe.settings.model: recipe.builds.test_range
        for recipe in RECIPES.values()
        if recipe.builds and recipe.builds.test_range
    }
    assert ranges == {
        "lenet_d2l": (0.7, 0.836),
        "lenet_bn_scratch_first": (0.679, 0.898),
        "lenet_bn_scratch": (0.679, 0.898),
        "alexnet": (0.865, 0.895),
        "vgg11_d2l": (0.914, 0.93),
        "resnet18_d2l": (0.766, 0.93),
        "densenet_d2l": (0.707, 0.926),
    }
    failed = {name: recipe.builds.failed for name, recipe in RECIPES.items() if recipe.may_be_stuck}
    assert failed == {f"nin-{D}-d2l-0.17": 5, f"googlenet_d2l-{D}-d2l-0.17": 2}


def test_the_train_loss_decides_where_it_is_published_and_the_test_accuracy_elsewhere():
    for recipe in RECIPES.values():
        if recipe.target("train_loss"):
            assert recipe.deciding == "train_loss"
        elif recipe.target("test_accuracy"):
            assert recipe.deciding == "test_accuracy"
        else:
            assert not any(map(recipe.target, FIGURES))
            assert "nobody has published a result; ours is the first" in recipe.notes


def test_every_target_states_how_far_ours_may_be_away():
    for recipe in RECIPES.values():
        for target in filter(None, map(recipe.target, FIGURES)):
            if isinstance(target, Spread):
                assert target.margin == max(2 * target.sd, 0.005)
            else:
                assert isinstance(target, Range)
                assert target.low < target.high
                assert recipe.widening.why


def test_a_network_that_learns_nothing_reproduces_no_recipe():
    for recipe in RECIPES.values():
        target = recipe.target("train_loss")
        if isinstance(target, Range):
            assert target.high < 2.3024
        elif target:
            assert target.mean + target.margin < 2.3024


def test_every_published_value_names_its_source():
    for recipe in RECIPES.values():
        assert recipe.edition
        for entry in (*recipe.runs, *filter(None, [recipe.builds])):
            assert entry.source


def test_an_unknown_recipe_is_told_the_nearest_or_those_that_begin_with_its_name():
    with pytest.raises(ClassicsError, match=r"did you mean 'nin-fashion-mnist-tutorial' or .*'nin-fashion-mnist-d2l"):
        get_recipe("nin")
    with pytest.raises(ClassicsError, match=r"did you mean 'lenet_d2l-fashion-mnist-d2l-1\.0'"):
        get_recipe("lenet_d2l-fashion-mnist-d2l-1.1")
    with pytest.raises(
        ClassicsError, match=r"did you mean 'lenet_d2l-fashion-mnist-d2l-0\.17' or .*recipes' shows all$"
    ):
        get_recipe("lenet_d2l")
    with pytest.raises(ClassicsError, match=r"did you mean 'nin-fashion-mnist"):
        get_recipe("nin-blog")
    with pytest.raises(ClassicsError, match=r"^unknown recipe '\?': 'gluon-classics recipes' shows all$"):
        get_recipe("?")


def test_a_recipe_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        RECIPES[f"lenet-{D}-scratch"].variant = "other"


def test_a_recipe_can_be_said_as_json():
    said = json.loads(json.dumps(as_dict(RECIPES[f"lenet_d2l-{D}-d2l-0.17"])))
    assert said["targets"]["train_loss"] == {"kind": "spread", "n": 87, "mean": 0.472, "sd": 0.002, "margin": 0.005}
    assert said["deciding"] == "train_loss"
    assert said["settings"]["learning_rate"] == 0.9
