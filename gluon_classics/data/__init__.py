"""Data sets: catalogue, download, file formats, image folders and the embedded sample of Fashion-MNIST."""

FIT = ("resize", "pad")
RESIZE_IN = ("uint8", "float32", "published")
LAST_BATCH = ("keep", "discard", "scale")
