"""The published data sets: their classes, files, checksums and mirrors, and how many images they have.

Checksums of files are those of public projects. MNIST and Fashion-MNIST: see tests/data. CIFAR, EMNIST, KMNIST and
QMNIST: tensorflow_datasets/url_checksums of github.com/tensorflow/datasets (cifar10.txt, cifar100.txt and kmnist.txt at
333639b, emnist.txt at 8be2f33, qmnist.txt at 67aba81). Classes of EMNIST and KMNIST: torchvision/datasets/mnist.py of
github.com/pytorch/vision at 01977a1. ImageNet: Russakovsky et al. 2015 (arXiv:1409.0575), table 2.
"""

from __future__ import annotations

from dataclasses import dataclass
import string

from .download import RemoteFile

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
IDX_FILES = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)


@dataclass(frozen=True)
class Known:
    """A published data set.

    Attributes:
        classes: The names of the classes, in the order of the labels.
        files: The files to download.
        mirrors: Base URLs that serve the files.
        sha256: The checksum of all images and labels of the original, or None if it is not known. It is
            `DataRecord.sha256`.
        channels: The channels of the images.
        first_label: The label of the first class in the files.
        is_transposed: Whether rows and columns of the images are exchanged in the files.
        folder: The name of the cache folder; None if it is the name of the data set.
        counts: The numbers of training and of test images; None if they are not known.
        class_count: The number of classes, if `classes` is empty.
    """

    classes: tuple[str, ...]
    files: tuple[RemoteFile, ...]
    mirrors: tuple[str, ...]
    sha256: str | None = None
    channels: int = 1
    first_label: int = 0
    is_transposed: bool = False
    folder: str | None = None
    counts: tuple[int, int] | None = None
    class_count: int = 0

    @property
    def is_in_image_files(self) -> bool:
        """Whether it consists of image files that users get themselves. Their folders name the classes."""
        return not self.classes

    @property
    def number_of_classes(self) -> int:
        """The number of classes."""
        return len(self.classes) or self.class_count


_DIGITS = tuple("0123456789")
_UPPER, _LOWER = tuple(string.ascii_uppercase), tuple(string.ascii_lowercase)
_MNIST_COUNTS, _CIFAR_COUNTS = (60_000, 10_000), (50_000, 10_000)
# EMNIST's splits, their classes, training and test images; the merged ones keep the lower-case letters that look
# different
_EMNIST = {
    "balanced": ((*_DIGITS, *_UPPER, *"abdefghnqrt"), (112_800, 18_800)),
    "byclass": ((*_DIGITS, *_UPPER, *_LOWER), (697_932, 116_323)),
    "bymerge": ((*_DIGITS, *_UPPER, *"abdefghnqrt"), (697_932, 116_323)),
    "digits": (_DIGITS, (240_000, 40_000)),
    "letters": (_LOWER, (124_800, 20_800)),
    "mnist": (_DIGITS, _MNIST_COUNTS),
}


def _emnist(split, classes, counts):
    return Known(
        classes=classes,
        files=(
            RemoteFile("gzip.zip", 561_753_746, "fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e"),
        ),
        mirrors=(
            "https://biometrics.nist.gov/cs_links/EMNIST/",
            "https://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/",
        ),
        first_label=1 if split == "letters" else 0,
        is_transposed=True,
        folder="emnist",
        counts=counts,
    )


KNOWN = {
    "fashion-mnist": Known(
        classes=(
            *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
            *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        ),
        files=(
            RemoteFile(
                f"{TRAIN_IMAGES}.gz", 26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"
            ),
            RemoteFile(
                f"{TRAIN_LABELS}.gz", 29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"
            ),
            RemoteFile(
                f"{TEST_IMAGES}.gz", 4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"
            ),
            RemoteFile(f"{TEST_LABELS}.gz", 5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
        ),
        mirrors=(
            "https://apache-mxnet.s3-accelerate.dualstack.amazonaws.com/gluon/dataset/fashion-mnist/",
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
        ),
        sha256="ca3ab2a37f845e1b8ae23cab1b51749a3011ba3bf1d9016176d75cbaabac376f",
        counts=_MNIST_COUNTS,
    ),
    "mnist": Known(
        classes=_DIGITS,
        files=(
            RemoteFile(
                f"{TRAIN_IMAGES}.gz", 9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
            ),
            RemoteFile(
                f"{TRAIN_LABELS}.gz", 28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
            ),
            RemoteFile(
                f"{TEST_IMAGES}.gz", 1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
            ),
            RemoteFile(f"{TEST_LABELS}.gz", 4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
        ),
        mirrors=(
            "https://apache-mxnet.s3-accelerate.dualstack.amazonaws.com/gluon/dataset/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
        ),
        sha256="06b0d1f124c4e5fa796686ade41a9b778edacc8622f2195a352ef479ad44fc16",
        counts=_MNIST_COUNTS,
    ),
    "cifar10": Known(
        classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        files=(
            RemoteFile(
                "cifar-10-binary.tar.gz",
                170_052_171,
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            ),
        ),
        mirrors=("https://www.cs.toronto.edu/~kriz/",),
        channels=3,
        counts=_CIFAR_COUNTS,
    ),
    "cifar100": Known(
        classes=(
            *("apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle"),
            *("bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle"),
            *("chair", "chimpanzee", "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur"),
            *("dolphin", "elephant", "flatfish", "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard"),
            *("lamp", "lawn_mower", "leopard", "lion", "lizard", "lobster", "man", "maple_tree", "motorcycle"),
            *("mountain", "mouse", "mushroom", "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear"),
            *("pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine", "possum", "rabbit", "raccoon"),
            *("ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail"),
            *("snake", "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone"),
            *("television", "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale"),
            *("willow_tree", "wolf", "woman", "worm"),
        ),
        files=(
            RemoteFile(
                "cifar-100-binary.tar.gz",
                168_513_733,
                "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
            ),
        ),
        mirrors=("https://www.cs.toronto.edu/~kriz/",),
        channels=3,
        counts=_CIFAR_COUNTS,
    ),
    "kmnist": Known(
        classes=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
        files=(
            RemoteFile(
                f"{TRAIN_IMAGES}.gz", 18_165_135, "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4"
            ),
            RemoteFile(
                f"{TRAIN_LABELS}.gz", 29_497, "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17"
            ),
            RemoteFile(
                f"{TEST_IMAGES}.gz", 3_041_136, "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5"
            ),
            RemoteFile(f"{TEST_LABELS}.gz", 5_120, "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c"),
        ),
        mirrors=("https://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
        counts=_MNIST_COUNTS,
    ),
    "qmnist": Known(
        classes=_DIGITS,
        files=(
            RemoteFile(
                "qmnist-train-images-idx3-ubyte.gz",
                9_704_059,
                "9e26a7bf1683614e065d7b76460ccd52807165b3f22561fb782bd9f38c52b51d",
            ),
            RemoteFile(
                "qmnist-train-labels-idx2-int.gz",
                463_024,
                "2c05dc77f6b916b38e455e97ab129a42a444f3dbef09b278a366f82904e0dd9f",
            ),
            RemoteFile(
                "qmnist-test-images-idx3-ubyte.gz",
                9_742_279,
                "43fc22bf7498b8fc98de98369d72f752d0deabc280a43a7bcc364ab19e57b375",
            ),
            RemoteFile(
                "qmnist-test-labels-idx2-int.gz",
                526_800,
                "9fbcbe594c3766fdf4f0b15c5165dc0d1e57ac604e01422608bb72c906030d06",
            ),
        ),
        mirrors=("https://raw.githubusercontent.com/facebookresearch/qmnist/master/",),
        counts=(60_000, 60_000),
    ),
    **{f"emnist-{split}": _emnist(split, *facts) for split, facts in _EMNIST.items()},
    # ILSVRC-2012. It cannot be downloaded without registration, and no checksum of it is published
    "imagenet": Known(classes=(), files=(), mirrors=(), channels=3, counts=(1_281_167, 50_000), class_count=1000),
}
