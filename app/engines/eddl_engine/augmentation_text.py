"""Augmentation texts for ECVL: as they were written wherever ECVL reads them right. Pure Python."""

import re
from collections.abc import Iterator

from app.augment.parser import parse, to_text
from app.augment.signatures import ONE_OF, Augmentation

# A line that ECVL reads right: nothing, `end`, or one name with its parameters. Our reader takes much more, comments
# and line ends wherever blanks may be among it, which ECVL refuses, overlooks or dies of.
VALUE = r'(?:[-+.\w]+|"[^"]*"|\[[-+.\w, \t]*\]|\([-+.\w, \t]*\))'
LINE = re.compile(rf"(?:[ \t]*\w+(?:[ \t]+\w+[ \t]*=[ \t]*{VALUE})*)?", re.ASCII)
# What ECVL does without a parameter that it calls optional: it dies, refuses, or takes another one's value.
NEEDED = {ONE_OF: ("p",), "AugToFloat32": ("divisor",), "AugRandomCrop": ("border_type",)}
# The border that our reader takes by both names, `reflect101` and `reflect_101`; ECVL has one for each operation.
MIRRORED = {"AugRandomCrop": "reflect101"}
NOISE = {"AugAdditiveLaplaceNoise": "std_dev", "AugAdditivePoissonNoise": "lambda"}


def ecvl_text(text: str) -> str:
    """Return a text that ECVL reads as the service does: the text itself, or else the canonical one.

    Args:
        text: that our parser takes.
    """
    augmentation = parse(text)
    completed = _complete(augmentation)
    is_read_right = completed == augmentation and all(map(LINE.fullmatch, text.split("\n")))
    return text if is_read_right else to_text(completed)


def has_unheeded_chance(augmentation: Augmentation) -> bool:
    """Tell whether ECVL would overlook the `p` of a container: read from a text, it chooses one of its lines always."""
    return any(entry.name == ONE_OF and entry.settings()["p"] < 1 for entry in _all(augmentation))


def text_fault(text: str) -> str | None:
    """Return a sentence about what our parser takes and ECVL cannot apply; None where there is no such thing."""
    for entry in _all(parse(text)):
        settings = entry.settings()
        if settings.get("border_type") == "transparent":
            return f'ECVL leaves unset memory where {entry.name} has border_type="transparent"; give another border'
        noise = NOISE.get(entry.name)
        if noise and settings[noise][1] <= 0:
            return f"ECVL adds no noise of {noise}=[0,0] by {entry.name}; give more, or leave it out"
    return None


def _all(augmentation: Augmentation) -> Iterator[Augmentation]:
    yield augmentation
    for child in augmentation.children:
        yield from _all(child)


def _complete(augmentation: Augmentation) -> Augmentation:
    """Say what the text leaves to defaults, and ECVL would have otherwise, in ECVL's spelling."""
    name, settings = augmentation.name, augmentation.settings()
    said = {needed: settings[needed] for needed in NEEDED.get(name, ())} | augmentation.parameters
    if settings.get("border_type") == "constant":
        said.setdefault("border_value", settings["border_value"])
    if said.get("border_type") in ("reflect101", "reflect_101"):
        said["border_type"] = MIRRORED.get(name, "reflect_101")
    if name == "AugResizeDim":
        said["dims"] = said["dims"][:2]  # the third is the image's channels, of which the planes of masks have others
    return Augmentation(name, said, tuple(map(_complete, augmentation.children)))
