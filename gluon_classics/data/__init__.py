"""Data sets: catalogue, download, file formats, image folders and the embedded sample of Fashion-MNIST."""

from gluon_classics._lazy import public_names

FIT = ("resize", "pad", "crop")
RESIZE_IN = ("uint8", "float32", "published")
LAST_BATCH = ("keep", "discard", "scale")
TEST_CROPS = ("center", "ten")

_HOMES = {"DataRecord": ".record", "DataSet": ".datasets", "load_dataset": ".datasets"}
__getattr__, __dir__, __all__ = public_names(__name__, _HOMES)
