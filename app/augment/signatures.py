"""The catalogue of the augmentation language: what may be written. Pure data, light enough for the web process."""

from dataclasses import dataclass, field
from typing import Any

Value = float | str | tuple[float, ...]

SEQUENTIAL = "SequentialAugmentationContainer"
ONE_OF = "OneOfAugmentationContainer"
CONTAINERS = frozenset({SEQUENTIAL, ONE_OF})

INTERPOLATIONS = ("nearest", "linear", "area", "cubic", "lanczos4")
# For AugRandomCrop ECVL spells it `reflect101`, elsewhere `reflect_101`; both spellings are read everywhere.
BORDERS = ("constant", "replicate", "reflect", "wrap", "reflect_101", "reflect101", "transparent")

LARGEST_SIDE_PX = 8192
MOST_VALUES = 4 * LARGEST_SIDE_PX**2  # of an image, all channels together


@dataclass(frozen=True)
class Parameter:
    """What one parameter of an operation accepts.

    `kind` is range `[min,max]`, vector `(a,b)`, number or string. `lengths` are the allowed numbers of values of a
    vector (empty: any), `minimum` and `maximum` bound each number, `other_kind` is a second kind that is read too.
    """

    name: str
    kind: str
    required: bool
    default: Value | None
    choices: tuple[str, ...]
    minimum: float | None
    maximum: float | None
    summary: str
    lengths: tuple[int, ...] = ()
    other_kind: str | None = None

    @property
    def kinds(self) -> tuple[str, ...]:
        """Every kind of value that is read."""
        return (self.kind,) if self.other_kind is None else (self.kind, self.other_kind)


@dataclass(frozen=True)
class Signature:
    """One operation or container: its name, its parameters in the order shown, and what it does in one line.

    `example` is a text that shows it. `moves_pixels` is true when afterwards a mask no longer lies on its source image,
    whatever it is resized to.
    """

    name: str
    parameters: tuple[Parameter, ...]
    summary: str
    example: str
    moves_pixels: bool = False

    @property
    def is_container(self) -> bool:
        """Tell whether other operations follow, up to `end`."""
        return self.name in CONTAINERS

    def parameter(self, name: str) -> Parameter | None:
        """Find a parameter by its name; `None` if the operation has none of that name."""
        return next((parameter for parameter in self.parameters if parameter.name == name), None)

    def defaults(self) -> dict[str, Value | None]:
        """Give the value of each parameter that may be left out."""
        return {parameter.name: parameter.default for parameter in self.parameters if not parameter.required}


@dataclass(frozen=True)
class Augmentation:
    """One operation, or a container with its children; `parameters` holds what a text says, without defaults.

    A range and a vector are tuples of numbers, a number is a float, a string is a str.
    """

    name: str
    parameters: dict[str, Value] = field(default_factory=dict)
    children: tuple["Augmentation", ...] = ()

    def settings(self) -> dict[str, Any]:
        """Give every parameter its value, from the text or by default."""
        return OPERATIONS[self.name].defaults() | self.parameters


def moves_pixels(augmentation: Augmentation) -> tuple[str, ...]:
    """Name the operations after which a mask no longer lies on its source image, in the order of the text."""
    own = (augmentation.name,) if OPERATIONS[augmentation.name].moves_pixels else ()
    return own + tuple(name for child in augmentation.children for name in moves_pixels(child))


def _range(name, summary, minimum=None, maximum=None):
    return Parameter(name, "range", True, None, (), minimum, maximum, summary)


def _number(name, summary, default=None, minimum=None, maximum=None, *, required=None):
    is_required = default is None if required is None else required
    return Parameter(name, "number", is_required, default, (), minimum, maximum, summary)


def _vector(name, summary, lengths, minimum=None, maximum=None, *, required=True):
    return Parameter(name, "vector", required, None, (), minimum, maximum, summary, lengths)


def _choice(name, summary, default, choices):
    return Parameter(name, "string", False, default, choices, None, None, summary)


def _number_or_vector(name, summary):
    return Parameter(name, "number", True, None, (), None, None, summary, other_kind="vector")


def _probability(summary, default: float | None = 0.5):
    return _number("p", summary, default, 0, 1)


def _side(name, summary, lengths=(2,), *, required=True):
    return _vector(name, summary, lengths, 1, LARGEST_SIDE_PX, required=required)


INTERP = _choice("interp", "how pixels of the image are interpolated", "linear", INTERPOLATIONS)
GT_INTERP = _choice("gt_interp", "how pixels of the mask are interpolated", "nearest", INTERPOLATIONS)
BORDER_TYPE = _choice("border_type", "what lies beyond the image's edge", "reflect_101", BORDERS)
PADDING_TYPE = _choice("border_type", "what is added around an image smaller than the crop", "constant", BORDERS)
BORDER_VALUE = _number("border_value", "grey value of a constant border (of a colour image: its blue)", 0.0)
PER_CHANNEL = _number("per_channel", "probability that the channels are drawn one by one", None, 0, 1)
REMAPPING = (INTERP, BORDER_TYPE, BORDER_VALUE)

_SIGNATURES = (
    Signature(
        SEQUENTIAL,
        (),
        "apply the operations up to `end` one after the other",
        "SequentialAugmentationContainer\n    AugMirror p=0.5\n    AugRotate angle=[-20,20]\nend",
    ),
    Signature(
        ONE_OF,
        (_probability("probability that one is applied at all", 1.0),),
        "apply one of the operations up to `end`",
        "OneOfAugmentationContainer p=0.8\n    AugGaussianBlur sigma=[1,3]\n    AugBrightness beta=[-60,60]\nend",
    ),
    Signature(
        "AugRotate",
        (
            _range("angle", "degrees, clockwise"),
            _vector("center", "point (x,y) to turn about; left out: the middle", (2,), required=False),
            _number("scale", "zoom factor", 1.0),
            INTERP,
            GT_INTERP,
        ),
        "turn about a point; the size stays, corners become black",
        "AugRotate angle=[-30,30]",
        moves_pixels=True,
    ),
    Signature(
        "AugResizeDim",
        (_side("dims", "new (width,height), or (width,height,channels)", (2, 3)), INTERP, GT_INTERP),
        "resize to a width and a height in pixels",
        "AugResizeDim dims=(96,128)",
    ),
    Signature(
        "AugResizeScale",
        (_vector("scale", "factors (of width, of height)", (2,), 0.001, 1000), INTERP, GT_INTERP),
        "resize by a factor",
        "AugResizeScale scale=(1,0.5)",
    ),
    Signature(
        "AugFlip", (_probability("probability of a flip"),), "flip upside down", "AugFlip p=0.5", moves_pixels=True
    ),
    Signature(
        "AugMirror",
        (_probability("probability of a mirroring"),),
        "mirror left and right",
        "AugMirror p=0.5",
        moves_pixels=True,
    ),
    Signature(
        "AugTranspose",
        (_probability("probability of a transposition"),),
        "swap rows and columns",
        "AugTranspose p=0.5",
        moves_pixels=True,
    ),
    Signature(
        "AugGaussianBlur",
        (_range("sigma", "standard deviation in pixels; 0 blurs as 0.8", 0, 500),),
        "blur",
        "AugGaussianBlur sigma=[1,4]",
    ),
    Signature(
        "AugAdditiveLaplaceNoise",
        (_range("std_dev", "scale of the noise in grey levels; its standard deviation is 1.41 times that", 0, 65535),),
        "add Laplace noise to each value",
        "AugAdditiveLaplaceNoise std_dev=[10,30]",
    ),
    Signature(
        "AugAdditivePoissonNoise",
        (_range("lambda", "mean of the noise in grey levels", 0, 65535),),
        "add Poisson noise to each value (brightens by the mean)",
        "AugAdditivePoissonNoise lambda=[10,60]",
    ),
    Signature(
        "AugGammaContrast",
        (_range("gamma", "exponent; below 1 brightens", 0, 100),),
        "255 * (value / 255) ** gamma",
        "AugGammaContrast gamma=[0.4,2.5]",
    ),
    Signature(
        "AugCoarseDropout",
        (
            _range("p", "probability of each rectangle to be blackened", 0, 1),
            _range("drop_size", "side of the rectangles as a part of the image's side", 0, 1),
            PER_CHANNEL,
        ),
        "blacken rectangles of a regular grid",
        "AugCoarseDropout p=[0.1,0.3] drop_size=[0.05,0.15] per_channel=0",
    ),
    Signature(
        "AugBrightness",
        (_range("beta", "grey levels to add"),),
        "add a constant to each value",
        "AugBrightness beta=[-80,80]",
    ),
    Signature(
        "AugGridDistortion",
        (
            _range("num_steps", "number of grid cells on each side", 1, 1000),
            _range("distort_limit", "change of each cell's width and height, 0 for none", -1000, 1000),
            *REMAPPING,
        ),
        "stretch and squeeze the cells of a grid",
        "AugGridDistortion num_steps=[4,6] distort_limit=[-0.3,0.3]",
        moves_pixels=True,
    ),
    Signature(
        "AugElasticTransform",
        (
            _range("alpha", "strength of the displacement", -1e6, 1e6),
            _range("sigma", "smoothness of the displacement in pixels", 0, 500),
            *REMAPPING,
        ),
        "move pixels by a smooth random field",
        "AugElasticTransform alpha=[60,90] sigma=[4,5]",
        moves_pixels=True,
    ),
    Signature(
        "AugOpticalDistortion",
        (
            _range("distort_limit", "lens distortion: negative pincushion, positive barrel", -1000, 1000),
            _range("shift_limit", "shift of the lens centre in pixels", -LARGEST_SIDE_PX, LARGEST_SIDE_PX),
            *REMAPPING,
        ),
        "distort as a lens does",
        "AugOpticalDistortion distort_limit=[-0.5,0.5] shift_limit=[-5,5]",
        moves_pixels=True,
    ),
    Signature(
        "AugSalt",
        (_range("p", "probability of each pixel", 0, 1), PER_CHANNEL),
        "set random pixels to 255",
        "AugSalt p=[0.02,0.08] per_channel=0",
    ),
    Signature(
        "AugPepper",
        (_range("p", "probability of each pixel", 0, 1), PER_CHANNEL),
        "set random pixels to 0",
        "AugPepper p=[0.02,0.08] per_channel=0",
    ),
    Signature(
        "AugSaltAndPepper",
        (_range("p", "probability of each pixel", 0, 1), PER_CHANNEL),
        "set random pixels to 0 or 255",
        "AugSaltAndPepper p=[0.05,0.1] per_channel=0.5",
    ),
    Signature(
        "AugNormalize",
        (
            _number_or_vector("mean", "what to subtract: one number, or one per channel (RGB)"),
            _number_or_vector("std", "what to divide by, written as `mean` is"),
        ),
        "(value - mean) / std, in the type of the image",
        "AugNormalize mean=100 std=1.5",
    ),
    Signature(
        "AugCenterCrop",
        (_side("size", "(width,height); left out: the largest square", required=False),),
        "cut out the middle",
        "AugCenterCrop size=(64,96)",
        moves_pixels=True,
    ),
    Signature(
        "AugToFloat32",
        (
            _number("divisor", "what to divide the image by", 1.0),
            _number("divisor_gt", "what to divide the mask by; left out: `divisor`", required=False),
        ),
        "convert to 32-bit floating point and divide",
        "AugToFloat32 divisor=255",
    ),
    Signature("AugDivBy255", (), "divide by 255, in the type of the image: whole numbers become 0 or 1", "AugDivBy255"),
    Signature(
        "AugScaleTo",
        (_number("new_min", "value of the darkest pixel"), _number("new_max", "value of the brightest pixel")),
        "stretch the values of each image to a range",
        "AugScaleTo new_min=60 new_max=180",
    ),
    Signature(
        "AugScaleFromTo",
        (
            _number("old_min", "lower values become this one first"),
            _number("old_max", "higher values become this one first"),
            _number("new_min", "what `old_min` becomes"),
            _number("new_max", "what `old_max` becomes"),
        ),
        "map one range of values to another",
        "AugScaleFromTo old_min=60 old_max=180 new_min=0 new_max=255",
    ),
    Signature(
        "AugRandomCrop",
        (_side("size", "(width,height)"), PADDING_TYPE, BORDER_VALUE),
        "cut out a random place; a smaller image is padded first",
        "AugRandomCrop size=(80,80)",
        moves_pixels=True,
    ),
)

OPERATIONS: dict[str, Signature] = {signature.name: signature for signature in _SIGNATURES}
