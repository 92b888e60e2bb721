"""Find the mask of each image by its name: `1.png` has `1.png`, `1_mask.tif`, `mask_1.png`, ..."""

import re
from collections.abc import Iterable, Sequence

from app.datasets.places import same_anywhere
from app.datasets.problems import shorten
from app.datasets.sources.folders import named, stem_of
from app.errors import InvalidInput

MASK_WORDS = r"(?:masks?|seg|segmentations?|labels?|gt|ground[-_ ]?truth|annotations?|manual1?)"
IMAGE_WORDS = r"(?:images?|img)"
MASK_WORD, IMAGE_WORD = (
    re.compile(rf"^{words}[-_. ]+|[-_. ]+{words}$", re.IGNORECASE) for words in (MASK_WORDS, IMAGE_WORDS)
)
ADVICE = "a mask is named like its image, as 1.png or 1_mask.png for 1.jpg"

Pair = tuple[str, str]


def pair(images: Sequence[str], masks: Sequence[str], image_folder: str = "", mask_folder: str = "") -> list[Pair]:
    """Return each image with its mask; case, suffix and a word such as `_mask` make no difference.

    Args:
        images: their locations, below `image_folder`.
        masks: likewise; folders in both are named alike.

    Raises:
        InvalidInput: naming images without a mask, masks without an image, and names that are no longer told apart.
    """
    whole = _by_name(masks, mask_folder)
    stripped = {_name(mask, mask_folder, MASK_WORD): mask for mask in reversed(masks)}
    _by_name(images, image_folder)
    found: dict[str, str] = {}
    for image in images:
        names = [_name(image, image_folder, word) for word in (None, IMAGE_WORD)]
        mask = next((known[name] for name in names for known in (whole, stripped) if name in known), None)
        if mask is not None:
            found[image] = mask
    _complain([image for image in images if image not in found], "no mask of the same name")
    _complain([mask for mask in masks if mask not in set(found.values())], "no image of the same name")
    _refuse_shared(found)
    return list(found.items())


def is_named_as_mask(location: str) -> bool:
    """Tell whether the name of a file says by a word that it is a mask."""
    return MASK_WORD.search(stem_of(location).rpartition("/")[2]) is not None


def masks_beside(locations: Sequence[str]) -> list[Pair]:
    """Return the files that lie beside an image of the same name and say by a word that they are its mask."""
    masks = [location for location in locations if is_named_as_mask(location)]
    images = {_name(location, "", None): location for location in locations} if masks else {}
    pairs = [(images.get(_name(mask, "", MASK_WORD)), mask) for mask in masks]
    return [(image, mask) for image, mask in pairs if image is not None and image != mask]


def _by_name(locations: Iterable[str], folder: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for location in locations:
        other = found.setdefault(_name(location, folder, None), location)
        if other != location:
            raise InvalidInput(f"{shorten(other)} and {shorten(location)} have one name, by which masks are found.")
    return found


def _name(location: str, folder: str, word: re.Pattern[str] | None) -> str:
    """Return the path below a folder without suffix, without case, and without a word before or behind the name."""
    inner, slash, stem = stem_of(location).removeprefix(f"{folder}/").rpartition("/")
    if word:
        stem = word.sub("", stem, count=1) or stem
    return same_anywhere(inner + slash + stem)


def _refuse_shared(found: dict[str, str]) -> None:
    image_of: dict[str, str] = {}
    for image, mask in found.items():
        other = image_of.setdefault(mask, image)
        if other != image:
            raise InvalidInput(f"{shorten(other)} and {shorten(image)} have one mask, {shorten(mask)}; {ADVICE}.")


def _complain(locations: Sequence[str], fault: str) -> None:
    if locations:
        raise InvalidInput(f"{named(locations)} {'have' if len(locations) > 1 else 'has'} {fault}; {ADVICE}.")
