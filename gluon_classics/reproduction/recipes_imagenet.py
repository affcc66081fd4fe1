"""Recipes of the papers' networks for ImageNet (ILSVRC-2012).

Settings    those of the editions (`ModelInfo.training`), and the way in which the paper tests: the middle of each image
            or ten crops. Batches are computed in parts as large as those on one of the authors' GPUs. Batch
            normalization sees these parts.
Results     top-1 and top-5 errors on the 50,000 validation images. We compared the tables of the papers with
            transcriptions in public repositories, and the figures of READMEs with these files. Of the networks below,
            we found no transcription for SE-ResNet-152.
No recipe   networks whose paper prints no result with one crop or ten of the network's size (ResNet v2, whose crops
            have 320x320 pixels), or no training (MobileNet v1, Inception-BN).

No run of these recipes has been made. `gluon-classics reproduce RECIPE --dry-run` says how long one would take.
"""

from __future__ import annotations

from typing import Any

from gluon_classics.experiment.published_training import not_done, published_settings

from .recipes import Builds, PublishedRun, Recipe

DATA = "imagenet"
METRICS = {"top-1": "test_accuracy", "top-5": "test_top_5_accuracy"}
TEN: dict[str, Any] = {"test_crops": "ten"}


def _paper(model, edition, *, top_1=None, printed=None, top_5=None, accuracy=False, runs=1, notes=(), **settings):
    """Make a recipe.

    Args:
        model: Name of the network.
        edition: The paper.
        top_1: Published top-1 error in percent, as text; None without one.
        printed: Where the paper prints the errors.
        top_5: The same for the top-5 error.
        accuracy: Whether these are accuracies, not errors.
        runs: Number of runs whose mean it is.
        notes: What differs from the paper, except for `not_done`.
        settings: Settings that differ from those of the edition.
    """
    chosen = published_settings(model, data=DATA, **settings)
    what = "accuracy" if accuracy else "error"
    percents = {name: text for name, text in (("top-1", top_1), ("top-5", top_5)) if text}
    source = f"{printed}: {', '.join(f'{text} % {name} {what}' for name, text in percents.items())}"
    decimals = min(len(text.partition(".")[2]) for text in percents.values()) + 2
    shares = {
        METRICS[name]: round(float(text) / 100 if accuracy else 1 - float(text) / 100, decimals)
        for name, text in percents.items()
    }
    published: dict[str, Any]
    if runs == 1:
        published = {"runs": (PublishedRun(source, chosen.epochs, **shares, decimals=decimals),)}
    else:
        means: dict[str, Any] = {metric: (share, None) for metric, share in shares.items()}
        published = {"builds": Builds(source, runs, **means, decimals=decimals)}
    missing = not_done(chosen)
    notes = (*notes, *([f"not done as published: {'; '.join(missing)}"] if missing else []))
    return Recipe("paper", edition, chosen, notes=notes, **published)


VGG = "Simonyan & Zisserman, arXiv:1409.1556"
DENSE = "the paper tests on the whole image, with convolutions instead of dense layers; here ten crops are tested"
JITTER = "the paper's test images have 384 pixels, the mean of the training images' 256 to 512"


def _vgg(model, top_1, top_5, **settings):
    """One of the paper's configurations, on 4 GPUs (section 3.3)."""
    notes = (DENSE, JITTER) if "image_size" in settings else (DENSE,)
    table = {"printed": "arXiv:1409.1556, table 3", "top_1": top_1, "top_5": top_5}
    return _paper(model, VGG, **table, notes=notes, micro_batch_size=64, **TEN, **settings)


def _resnet(model, table, top_1, top_5=None, notes=()):
    """One of the paper's networks, with 32 images on each GPU (the authors' README)."""
    printed = {"printed": f"arXiv:1512.03385, table {table}, ten crops", "top_1": top_1, "top_5": top_5}
    return _paper(model, "He, Zhang, Ren & Sun, arXiv:1512.03385", **printed, notes=notes, micro_batch_size=32, **TEN)


def _one_crop(top_1):
    place = "github.com/KaimingHe/deep-residual-networks at 069f0c0, README.md"
    return (f"with one crop, the authors print {top_1} % ({place})",)


def _densenet(model, top_1, top_5=None, printed="arXiv:1608.06993, table 3, one crop", notes=()):
    """One of the paper's networks, on 4 GPUs (the authors' README)."""
    edition = "Huang, Liu, van der Maaten & Weinberger, arXiv:1608.06993"
    size = published_settings(model).batch_size // 4
    return _paper(model, edition, printed=printed, top_1=top_1, top_5=top_5, notes=notes, micro_batch_size=size)


def _resnext(model, top_1):
    """One of the paper's networks, on 8 GPUs (the authors' README)."""
    printed = "arXiv:1611.05431, and github.com/facebookresearch/ResNeXt at 2206526, README.md"
    edition = "Xie, Girshick, Dollar, Tu & He, arXiv:1611.05431"
    return _paper(model, edition, printed=printed, top_1=top_1, micro_batch_size=32)


def _senet(model, top_1, top_5, notes=()):
    """One of the paper's networks, on 4 servers (the authors' README), as we assume with 8 GPUs."""
    printed = {"printed": "arXiv:1709.01507, table 2", "top_1": top_1, "top_5": top_5}
    return _paper(model, "Hu, Shen & Sun, arXiv:1709.01507", **printed, notes=notes, micro_batch_size=32)


def _regnet(model, top_1):
    """One of the paper's networks, on 8 GPUs (MODEL_ZOO.md)."""
    printed = "github.com/facebookresearch/pycls at 1caf15b, MODEL_ZOO.md"
    edition = "Radosavovic, Kosaraju, Girshick, He & Dollar, arXiv:2003.13678"
    return _paper(model, edition, printed=printed, top_1=top_1, runs=5, micro_batch_size=128)


def _efficientnet(number, top_1, top_5):
    """One of the paper's networks."""
    note = "batch normalization sees 64 images; how many the authors' TPU cores had is not printed"
    printed = {"printed": "arXiv:1905.11946, table 2", "top_1": top_1, "top_5": top_5, "accuracy": True}
    edition = "Tan & Le, arXiv:1905.11946"
    return _paper(f"efficientnet_b{number}", edition, **printed, notes=(note,), micro_batch_size=64)


RECIPES = (
    _paper(
        "alexnet_2012",
        "Krizhevsky, Sutskever & Hinton, NIPS 2012",
        printed="NIPS 2012, table 2, one network, ten crops",
        top_1="40.7",
        top_5="18.2",
        notes=("the paper's 37.5 % (top-5: 17.0 %) are for ILSVRC-2010, another data set",),
        **TEN,
    ),
    _vgg("vgg11", "29.6", "10.4"),
    _vgg("vgg11_lrn", "29.7", "10.5"),
    _vgg("vgg13", "28.7", "9.9"),
    _vgg("vgg16_c", "27.3", "8.8", image_size=384),
    _vgg("vgg16", "25.6", "8.1", image_size=384),
    _vgg("vgg19", "25.5", "8.0", image_size=384),
    _paper(
        "googlenet_v1",
        "Szegedy et al., arXiv:1409.4842",
        printed="arXiv:1409.4842, table 3, one network, one crop",
        top_5="10.07",
        notes=(
            "the paper prints no top-1 error",
            "batch size, initial rate, weight decay and number of epochs are those of BVLC's replica "
            "(github.com/BVLC/caffe at 9b89154, models/bvlc_googlenet, solver.prototxt): the paper does not print them",
        ),
        **{"epochs": 250, "batch_size": 32, "learning_rate": 0.01, "weight_decay": 2e-4},
    ),
    _resnet("resnet18_v1", 2, "27.88", notes=("the paper's ResNet-18 has option A, ours option B",)),
    _resnet("resnet34_v1", 3, "24.52", "7.46"),
    _resnet("resnet50_v1", 3, "22.85", "6.71", _one_crop("24.7")),
    _resnet("resnet101_v1", 3, "21.75", "6.05", _one_crop("23.6")),
    _resnet("resnet152_v1", 3, "21.43", "5.71", _one_crop("23.0")),
    _densenet("densenet121", "25.02", "7.71"),
    _densenet(
        "densenet161",
        "22.2",
        printed="github.com/liuzhuang13/DenseNet at 0085cc9, README.md, one crop",
        notes=(
            "the paper's last version has no DenseNet-161: the published network was trained in another way, with "
            "smaller batches for 100 epochs",
        ),
    ),
    _densenet("densenet169", "23.80", "6.85"),
    _densenet("densenet201", "22.58", "6.34"),
    _resnext("resnext50_32x4d", "22.2"),
    _resnext("resnext101_32x4d", "21.2"),
    _resnext("resnext101_64x4d", "20.4"),
    _senet("se_resnet50", "23.29", "6.62"),
    _senet("se_resnet101", "22.38", "6.07"),
    _senet("se_resnet152", "21.57", "5.73", ("we could not compare this figure with a copy of the paper",)),
    _regnet("regnetx_200mf", "31.1"),
    _regnet("regnetx_400mf", "27.3"),
    _regnet("regnetx_800mf", "24.8"),
    _regnet("regnety_200mf", "29.6"),
    _regnet("regnety_400mf", "25.9"),
    _regnet("regnety_600mf", "24.5"),
    _regnet("regnety_800mf", "23.7"),
    _efficientnet(0, "77.1", "93.3"),
    _efficientnet(1, "79.1", "94.4"),
    _efficientnet(2, "80.1", "94.9"),
    _efficientnet(3, "81.6", "95.7"),
    _efficientnet(4, "82.9", "96.4"),
    _efficientnet(5, "83.6", "96.7"),
    _efficientnet(6, "84.0", "96.8"),
    _efficientnet(7, "84.3", "97.0"),
)
