"""Augmentation texts for ECVL: as they were written wherever ECVL reads them right. Pure Python."""

import re
from collections.abc import Iterator

from app.augment.parser import parse, to_text
from app.augment.signatures import ONE_OF, Augmentation

# What our reader takes and ECVL refuses, or reads as names of augmentations that are not there, and dies of.
REFUSED = re.compile(
    r"#"  # comments
    r"|\r"  # line ends of Windows
    r"|[ \t]+$"  # blanks at the end of a line
    r"|,",  # outside of brackets
    re.MULTILINE,
)
VALUES = re.compile(r"\[[^]]*\]|\([^)]*\)|\"[^\"]*\"")
# What ECVL does without a parameter that it calls optional: it dies, refuses, or takes another one's value.
NEEDED = {"AugToFloat32": ("divisor",), "AugRandomCrop": ("border_type",)}


def ecvl_text(text: str) -> str:
    """Return a text that ECVL reads as the service does: the text itself, or else the canonical one.

    Args:
        text: that our parser takes.
    """
    augmentation = parse(text)
    if not REFUSED.search(VALUES.sub("0", text)) and not any(map(_lacks, _all(augmentation))) and text.strip():
        return text
    return to_text(_complete(augmentation))


def has_unheeded_chance(augmentation: Augmentation) -> bool:
    """Tell whether ECVL would overlook the `p` of a container: read from a text, it chooses one of its lines always."""
    return any(entry.name == ONE_OF and entry.settings()["p"] < 1 for entry in _all(augmentation))


def _all(augmentation: Augmentation) -> Iterator[Augmentation]:
    yield augmentation
    for child in augmentation.children:
        yield from _all(child)


def _lacks(augmentation: Augmentation) -> bool:
    if augmentation.name == ONE_OF:
        return "p" not in augmentation.parameters
    return any(name not in augmentation.parameters for name in NEEDED.get(augmentation.name, ()))


def _complete(augmentation: Augmentation) -> Augmentation:
    """Say what the text leaves to defaults, and ECVL would have otherwise."""
    names = ("p",) if augmentation.name == ONE_OF else NEEDED.get(augmentation.name, ())
    settings = augmentation.settings()
    said = {name: settings[name] for name in names} | dict(augmentation.parameters)
    return Augmentation(augmentation.name, said, tuple(map(_complete, augmentation.children)))
