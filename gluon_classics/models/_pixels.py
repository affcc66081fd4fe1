"""How the editions for color images bring pixels to the network: settings for `training` in the registry.

Settings name the mean and the standard deviation of pixels in 0..1.
"""

RAW = "0.00392157"  # 1/255: pixels stay in 0..255
# Mean and standard deviation of ImageNet's training images, in red, green and blue: datasets/imagenet.lua of
# github.com/facebookarchive/fb.resnet.torch (commit 0c85640). torchvision and pycls have the same.
NORMALIZED = {"mean": "0.485,0.456,0.406", "std": "0.229,0.224,0.225"}
# Only the mean color is subtracted: 123.68, 116.779, 103.939, of the released VGG
CENTERED = {"mean": "0.48502,0.45796,0.4076", "std": RAW}
# The mean color of CIFAR-10: 125.3, 123.0, 113.9, in datasets/cifar10.lua of the same code
CIFAR_CENTERED = {"mean": "0.49137,0.48235,0.44667", "std": RAW}
# TF-Slim's preprocessing/inception_preprocessing.py: pixels in -1..1
SIGNED = {"mean": "0.5", "std": "0.5"}
# Images for the test: the shorter side has 256 pixels, and the middle of 224x224 is cut out
SHORTER_256 = {"image_size": 256, "fit": "crop"}
# RandomSizedCrop of fb.resnet.torch, after GoogLeNet: 8 to 100 % of the area, aspect ratios of 3/4 to 4/3
RESIZED_CROP = "resized-crop:0.08:0.75"
# All random changes of the same code
TORCH_AUGMENTATION = f"{RESIZED_CROP} color:0.4:0.4:0.4 lighting:0.1 flip"
MEAN_COLOR = "subtraction of the mean image (here: of the mean color)"
PATIENCE = "how long the {} must not improve before the rate falls, which the paper does not print (here: 5 epochs)"
BICUBIC = "bicubic resizing (here: bilinear)"
BLACK_BORDER = "the color of the border around images, which the paper does not print (here: black)"
