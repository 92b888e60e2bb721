"""The architectures that the engines can build: what the web side must know of them, as data."""

from dataclasses import dataclass

CLASSIFICATION = "classification"
SEGMENTATION = "segmentation"


@dataclass(frozen=True)
class Architecture:
    """One entry of the zoo.

    `minimum_px` and `maximum_px` bound the input's height and width; the network's layers, or its memory, set them.
    `is_size_fixed` tells whether trained weights fit no other input size than theirs.
    """

    task: str
    minimum_px: int
    maximum_px: int
    is_size_fixed: bool
    source: str


ARCHITECTURES = {
    "lenet": Architecture(
        CLASSIFICATION, 8, 224, True, "LeCun et al., Gradient-based learning applied to document recognition, 1998"
    ),
    "unet": Architecture(SEGMENTATION, 32, 2048, False, "Ronneberger et al., U-Net, 2015; MONAI's BasicUNet"),
}
