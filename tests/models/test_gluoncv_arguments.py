"""What GluonCV cannot build, or what is not a classifier, is refused in one line. A small module stands for GluonCV."""

import sys
from types import ModuleType

from gluon_classics import get_model
from gluon_classics.data.datasets import SAMPLE_FOLDER
from gluon_classics.errors import ClassicsError, InputError
from gluon_classics.experiment.settings import Settings
from gluon_classics.inspection.summary import summarize
from gluon_classics.runs.train import train
from mxnet.gluon import nn
import pytest


def classifier(pretrained=False, classes=1000):
    return chain(nn.GlobalAvgPool2D(), nn.Dense(classes))


def detector(pretrained=False, **others):
    return _detector(classes=("cat", "dog"), **others)


def _detector(classes):
    return chain(nn.Dense(len(classes)))


def custom_detector(classes, pretrained=False):
    return _detector(classes)


def without_classes(pretrained=False):
    return chain(nn.Dense(5))


def segmentation(pretrained=False, classes=21):
    return chain(nn.Conv2D(classes, 1))


def fixed_classes(pretrained=False, classes=1000):
    return chain(nn.GlobalAvgPool2D(), nn.Dense(1000))


def videos(pretrained=False, classes=400):
    return chain(nn.Conv3D(classes, 1))


class Auxiliary(nn.HybridBlock):
    def __init__(self, classes):
        super().__init__()
        self.output = nn.Dense(classes)

    def hybrid_forward(self, F, images):
        return self.output(images), self.output(images)


class Tracker(nn.HybridBlock):
    def hybrid_forward(self, F, template, search):
        return template + search


def auxiliary(pretrained=False, classes=1000):
    return Auxiliary(classes)


def tracker(pretrained=False, classes=1000):
    return Tracker()


MODELS = {
    builder.__name__: builder
    for builder in (
        *(classifier, detector, custom_detector, without_classes, segmentation),
        *(fixed_classes, videos, auxiliary, tracker),
    )
}


def chain(*layers):
    net = nn.HybridSequential()
    net.add(*layers)
    return net


@pytest.fixture(autouse=True)
def small_gluoncv(monkeypatch):
    module, zoo = ModuleType("gluoncv"), ModuleType("gluoncv.model_zoo")
    zoo.get_model_list = lambda: list(MODELS)
    zoo.get_model = lambda name, **arguments: MODELS[name](**arguments)
    module.model_zoo = zoo
    monkeypatch.setitem(sys.modules, "gluoncv", module)


@pytest.mark.parametrize("name", ["detector", "custom_detector", "without_classes"])
def test_a_model_that_does_not_take_a_number_of_classes_is_no_classifier(name):
    with pytest.raises(ClassicsError) as caught:
        get_model(f"gluoncv:{name}", 10)
    what = f"GluonCV's {name} does not take a number of classes, so it is not a classifier of images"
    assert str(caught.value) == f"{what}: choose another model"


def test_a_model_that_takes_more_than_images_is_refused():
    with pytest.raises(ClassicsError, match="GluonCV's tracker takes more inputs than images: choose another model"):
        get_model("gluoncv:tracker")


def test_the_message_about_images_does_not_blame_their_channels_if_no_number_fits():
    with pytest.raises(InputError, match="it does not take single images of any size that was tried"):
        summarize(get_model("gluoncv:videos"), (3, 32, 32))
    colors = chain(nn.Conv2D(2, 3, in_channels=3), nn.Dense(5))
    with pytest.raises(InputError, match="it does not take 2 channels"):
        summarize(colors, (2, 32, 32))


def run(name, **options):
    given = {field: None for field in Settings.__dataclass_fields__ if field not in ("model", "data", "epochs")}
    train(
        f"gluoncv:{name}",
        **{**given, "resize": 8, "subset": 20, "batch_size": 20, **options},
        ctx="cpu",
        out=None,
        data=str(SAMPLE_FOLDER),
        checkpoint_minutes=10,
        epochs=1,
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("segmentation", "gluoncv:segmentation for N images are of shape Nx10x8x8, and the data need Nx10"),
        ("fixed_classes", "gluoncv:fixed_classes for N images are of shape Nx1000, and the data need Nx10"),
        ("auxiliary", "gluoncv:auxiliary gives several outputs in training that its loss cannot take"),
        ("detector", "is not a classifier"),
        ("tracker", "takes more inputs"),
    ],
)
def test_what_cannot_be_trained_leaves_no_run_folder(name, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ClassicsError) as caught:
        run(name)
    assert words in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_classifier_is_trained(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("classifier")
    assert len(list((tmp_path / "runs").iterdir())) == 1
