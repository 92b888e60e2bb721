"""Apply an augmentation text to files: what `dht apply-augmentation` does."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from app.augment.parser import parse
from app.augment.pipeline import Pipeline
from app.augment.randomness import sample_generator
from app.errors import InvalidInput, JobFailure
from app.files import unavailable
from app.jobs.augmentation.pixel_files import (
    check_present,
    is_array,
    read_classes,
    read_pixels,
    result_name,
    write_pixels,
)


def apply_to_files(
    text: str,
    images: Sequence[Path],
    masks: Sequence[Path],
    folder: Path,
    *,
    seed: int,
    epoch: int,
    max_pixels: int,
) -> Iterator[str]:
    """Write the result of each image, and of its mask, under its own name into a folder.

    The draw of the image at position `i` is that of sample `i` in a training with this seed, in this epoch. A mask in
    an array holds grey values, which operations on values scale as ECVL does; one in an image file holds classes,
    which stay what they are, as in a training.

    Args:
        text: of the augmentation.
        images: files of any kind that datasets have, or arrays.
        masks: none, or one for each image, in their order.
        folder: is made where it is missing.
        seed: of the draws.
        epoch: of the draws, from 1.
        max_pixels: the largest width x height that is read.

    Yields:
        A sentence for each result that is not exactly what the text gives.

    Raises:
        AugmentationError: with every problem of the text.
        InvalidInput: naming each file that cannot be used, a line for each; results of the other images are written.
        StorageUnavailable: if the folder cannot be written.
    """
    pipeline = Pipeline(parse(text))
    _check(images, masks, folder)
    _make(folder)
    faults = []
    for index, place in enumerate(images):
        mask_place = masks[index] if masks else None
        try:
            pixels = read_pixels(place, max_pixels)
            mask = None if mask_place is None else read_classes(mask_place, max_pixels)
            scale_mask = mask_place is not None and is_array(mask_place)
            result, mask = augmented(pipeline, place, pixels, mask, sample_generator(seed, epoch, index), scale_mask)
            target = folder / result_name(place)
            write_pixels(target, result)
        except InvalidInput as error:
            faults.append(error.message)
            continue
        if mask_place is not None and mask is not None:
            write_pixels(folder / result_name(mask_place, is_mask=True), mask)
        if result.dtype != np.uint8 and not is_array(target):
            yield (
                f"{target.name}: an image file cannot hold floating-point values, so it shows them as 8 bits; "
                "give the image as an array (.npy) for the exact ones."
            )
    if faults:
        others = len(images) - len(faults)
        raise InvalidInput(
            "\n".join([*faults, *([f"The results of the other {others} are written."] if others else [])])
        )


def augmented(
    pipeline: Pipeline,
    place: Path,
    pixels: np.ndarray,
    mask: np.ndarray | None,
    generator: np.random.Generator,
    scale_mask: bool = False,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Apply a pipeline to an image `(H, W)` or `(H, W, C)`; a grey result has as many axes as the image has.

    Raises:
        InvalidInput: naming the image that its mask, or an operation, does not fit.
    """
    height, width = pixels.shape[:2]
    if mask is not None and mask.shape != (height, width):
        sizes = f"{mask.shape[1]} x {mask.shape[0]} pixels and the image {width} x {height}"
        raise InvalidInput(f"The mask of {str(place)!r} has {sizes}; a mask has the size of its image.")
    try:
        image, mask = pipeline(pixels.reshape(height, width, -1), mask, generator, scale_mask)
    except JobFailure as error:
        raise InvalidInput(f"{place.name}: {error.message}") from error
    return (image[:, :, 0] if pixels.ndim == 2 and image.shape[2] == 1 else image), mask


def _check(images: Sequence[Path], masks: Sequence[Path], folder: Path) -> None:
    """Refuse what would end in the middle, write a result over another one, or write it over an input."""
    if masks and len(masks) != len(images):
        raise InvalidInput(
            f"There are {len(images)} images and {len(masks)} masks; give one mask for each image, in the same order."
        )
    taken: dict[str, Path] = {}
    named = [(place, result_name(place)) for place in images]
    named += [(place, result_name(place, is_mask=True)) for place in masks]
    for place, name in named:
        check_present(place)
        if name in taken:
            raise InvalidInput(
                f"{str(taken[name])!r} and {str(place)!r} would both be written as {name!r}; "
                "rename one of them, or use two calls."
            )
        taken[name] = place
        if place.parent.resolve() == folder.resolve():
            raise InvalidInput(
                f"The result of {str(place)!r} would lie in the folder of its source; choose another one."
            )


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise InvalidInput(f"{str(folder)!r} is a file; the folder for the results is expected.") from error
    except OSError as error:
        raise unavailable(folder, "made", error) from error
