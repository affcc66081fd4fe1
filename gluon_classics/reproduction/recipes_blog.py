"""Recipes of the blog (March 2018) and of the Gluon tutorial that it follows.

Settings    the tutorial: github.com/d2l-ai/d2l-zh at 5b3f3497 (6 March 2018); the blog: its `do_exp`.
Results     the blog prints none; the tutorial's are from its authors and from people who ran its code.
No recipe   the tutorial's GoogLeNet with ReLU in its second stage (2.259 and 2.264 after an epoch): there is no such
            network here.

Both discard the last partial batch of training and test images. They resize training images in float32 and test images
in uint8. They use SGD without momentum, weight decay or schedule. The published runs of the BN-LeNets keep the last
batch, as the tutorial did in autumn 2017, and divide its gradients by the full batch size; so do our recipes for them.
"""

from __future__ import annotations

from typing import Any

from gluon_classics.experiment.settings import Settings

from .recipes import NOT_PUBLISHED, PublishedRun, Recipe

BLOG, TUTORIAL = "the blog, March 2018", "the Gluon tutorial, March 2018"
AS_PUBLISHED: dict[str, Any] = {"resize_in": "published", "last_batch": "discard"}
AUTUMN = (
    "the authors' run dates from autumn 2017, when their loader kept the last batch and resized all images in uint8, "
    "and their metrics were means over batches"
)
MEANS_OF_BATCHES = "the published metrics are means over batches, although the last one is smaller"
MARCH = "the text of March 2018 discards the last batch and starts from Gluon's default weights, Uniform(.07)"
# repositories of github.com and commits whose notebooks show the results
AUTHORS_LENET, AUTHORS_ALEXNET, AUTHORS_NIN, AUTHORS_BN = (
    f"the authors, d2l-ai/d2l-zh at {commit}" for commit in ("32cc8b39", "cb96ff41", "7a2c3f69", "48207ef1")
)
CHRISLUU = "chrisluu, d2l-ai/d2l-zh at c0a66f2e"
QYZHIZI, LUOYANCN = "qyzhizi/gluon-tutorials-qy at 92851bd", "luoyancn/mxnetai at eca3d34"
HUIJINTIAN = "huijintian/mxnet_learn at 9555016"
LIXIXI = "lixixi89055465/py_stu at 62877635"
UNKNOWN = "a public run, repository not known"


def _tutorial(model, variant="tutorial", runs=(), notes=(), **settings):
    return Recipe(variant, TUTORIAL, Settings(model, **AS_PUBLISHED, **settings), tuple(runs), None, notes)


def _batch_norm(model, init, *runs, variant="tutorial", notes=()):
    settings = Settings(model, epochs=5, batch_size=256, learning_rate=0.2, init=init, last_batch="scale")
    published = tuple(PublishedRun(source, 5, *metrics) for source, *metrics in runs)
    return Recipe(variant, TUTORIAL, settings, published, None, (MEANS_OF_BATCHES, *notes))


def _blog(model, runs=(), notes=(NOT_PUBLISHED,), short=None):
    settings = Settings(model, resize=224, **AS_PUBLISHED)
    return Recipe("blog", BLOG, settings, tuple(runs), None, notes, short)


# The blog's learning rate is for 938 steps at 224x224. With it, networks without batch normalization do not leave the
# plateau at 2.303 in the hundred steps of a short run. These use Adam. NiN starts from twice the variance, as He et al.
# propose for ReLU: with the blog's weights, rounding decides how long it stays on the plateau.
def _short(model, resize, subset, epochs, learning_rate, optimizer="adam", init="xavier"):
    return Settings(
        model, subset=subset, epochs=epochs, learning_rate=learning_rate, optimizer=optimizer, resize=resize, init=init
    )


ALEXNET_FIRST_EPOCH = (
    PublishedRun(AUTHORS_ALEXNET, 1, 1.000072, 0.625900, 0.784634),
    PublishedRun(QYZHIZI, 1, 1.018, 0.62, 0.80, decimals=2),
    PublishedRun(LUOYANCN, 1, 1.016907, 0.617954, 0.799064),
)
LENET_GLUON: dict[str, Any] = {
    "batch_size": 256,
    "resize": 28,
    "learning_rate": 0.5,
    "init": "uniform(0.07)",
    "runs": (
        PublishedRun(HUIJINTIAN, 1, 0.912, 0.66, 0.81, decimals=2),
        PublishedRun(QYZHIZI, 1, 1.095, 0.59, 0.77, decimals=2),
        PublishedRun(CHRISLUU, 1, 1.528184, 0.439112, 0.756445),
        PublishedRun(HUIJINTIAN, 5, 0.300, 0.89, 0.90, decimals=2),
        PublishedRun(QYZHIZI, 5, 0.310, 0.88, 0.88, decimals=2),
        PublishedRun(UNKNOWN, 5, 0.342376, 0.872029, 0.871795),
        PublishedRun(CHRISLUU, 5, 0.388841, 0.852870, 0.857715),
        PublishedRun(QYZHIZI, 10, 0.237, 0.91, 0.90, decimals=2),
    ),
}

RECIPES = (
    _tutorial(
        "lenet",
        "scratch",
        epochs=5,
        batch_size=256,
        resize=28,
        learning_rate=0.2,
        init="normal(0.01)",
        runs=(
            PublishedRun(AUTHORS_LENET, 1, 2.302478, 0.101980, 0.185998),
            PublishedRun(AUTHORS_LENET, 5, 0.463232, 0.827841, 0.840645),
            PublishedRun(CHRISLUU, 5, 0.520524, 0.798764, 0.820117),
            PublishedRun(HUIJINTIAN, 5, 0.461873, 0.828893, 0.843450),
        ),
        notes=("the tutorial's version from scratch; its runs stay at chance for the whole first epoch",),
    ),
    _tutorial("lenet", "gluon", epochs=5, **LENET_GLUON),
    _tutorial("lenet", "gluon-10-epochs", epochs=10, **LENET_GLUON),
    _batch_norm(
        "lenet_bn_scratch_tutorial",
        "normal(0.01)",
        (AUTHORS_BN, 0.312399, 0.883760, 0.878516),
        (LUOYANCN, 0.316601, 0.882724, 0.884961),
    ),
    _batch_norm(
        "lenet_bn_tutorial",
        "normal(0.01)",
        (AUTHORS_BN, 0.266674, 0.901230, 0.899512),
        variant="tutorial-2017",
        notes=(MARCH,),
    ),
    _batch_norm(
        "lenet_bn_tutorial",
        "uniform(0.07)",
        (LUOYANCN, 0.252794, 0.907281, 0.894141),
    ),
    _tutorial(
        "alexnet",
        "10-epochs",
        epochs=10,
        resize=224,
        runs=(
            *ALEXNET_FIRST_EPOCH,
            PublishedRun(AUTHORS_ALEXNET, 5, 0.357653, 0.869703, 0.881469),
            PublishedRun(AUTHORS_ALEXNET, 10, 0.274960, 0.899337, 0.907345),
        ),
        notes=("the blog's settings, for 10 epochs", AUTUMN),
    ),
    _tutorial(
        "vgg11_tutorial",
        resize=96,
        learning_rate=0.05,
        runs=(PublishedRun(QYZHIZI, 1, 0.866, 0.68, 0.85, decimals=2),),
    ),
    _tutorial(
        "nin",
        resize=224,
        learning_rate=0.1,
        runs=(PublishedRun(AUTHORS_NIN, 1, 2.034576, 0.228228, 0.354797),),
        notes=(AUTUMN,),
    ),
    _tutorial(
        "googlenet_tutorial",
        resize=96,
        runs=(PublishedRun(LUOYANCN, 1, 2.197808, 0.286786, 0.589143),),
    ),
    _tutorial(
        "resnet18_tutorial",
        resize=96,
        learning_rate=0.05,
        runs=(PublishedRun(QYZHIZI, 1, 0.430, 0.85, 0.90, decimals=2),),
    ),
    _tutorial(
        "densenet_tutorial",
        resize=32,
        learning_rate=0.1,
        runs=(
            PublishedRun(QYZHIZI, 1, 0.485, 0.83, 0.87, decimals=2),
            PublishedRun(LUOYANCN, 1, 0.533444, 0.813767, 0.867488),
        ),
    ),
    _blog("lenet", short=_short("lenet", 28, subset=6000, epochs=3, learning_rate=0.05, optimizer="sgd")),
    _blog(
        "alexnet",
        runs=ALEXNET_FIRST_EPOCH,
        notes=("these are the tutorial's settings too", AUTUMN),
        short=_short("alexnet", 96, subset=3000, epochs=2, learning_rate=0.0005),
    ),
    _blog("vgg", short=_short("vgg", 32, subset=2000, epochs=3, learning_rate=0.0003)),
    _blog(
        "nin",
        runs=(PublishedRun(LIXIXI, 1, 2.290, 0.17, 0.18, decimals=2),),
        notes=("at this learning rate NiN does not learn in one epoch; it only begins to leave chance",),
        short=_short("nin", 96, subset=3000, epochs=3, learning_rate=0.0005, init="xavier(6)"),
    ),
    _blog("googlenet", short=_short("googlenet", 96, subset=3000, epochs=2, learning_rate=0.0003)),
    _blog("resnet", short=_short("resnet", 75, subset=2000, epochs=2, learning_rate=0.05, optimizer="sgd")),
    _blog("vgg16"),
    _blog("se_resnet18"),
    _blog("efficientnet_b0"),
)
