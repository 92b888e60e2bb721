"""What the commands for augmentation texts read and show."""

from pathlib import Path

from app.augment.parser import LONGEST_TEXT, parse, to_text
from app.errors import AugmentationError, InvalidInput
from app.settings import Settings

MOST_BYTES_PER_CHARACTER = 4


def read_text(path: Path) -> str:
    """Read a text; what is no UTF-8 is of no harm in a comment, and found by the parser elsewhere.

    Raises:
        InvalidInput: for a file that cannot be read.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES_PER_CHARACTER * (LONGEST_TEXT + 1))
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}.") from error
    return content.decode("utf-8", errors="replace")


def checked(text: str) -> tuple[bool, str]:
    """Tell whether a text is sound, with its canonical form or with every problem and the line that has it."""
    try:
        return True, to_text(parse(text))
    except AugmentationError as error:
        return False, told(error)


def draw_preview(
    text: str, image: Path, mask: Path | None, out: Path, settings: Settings, numbers: tuple[int, int, int]
) -> None:
    """Write the preview of a text on an image.

    Args:
        text: of the augmentation.
        image: of any kind that datasets have, or an array.
        mask: its mask, or None.
        out: the PNG file.
        settings: limits of images.
        numbers: seed, count of results, longest side in pixels.

    Raises:
        AugmentationError: with every problem of the text.
        InvalidInput: for an image, a mask or a place for the picture that cannot be used.
        StorageUnavailable: if the picture cannot be written.
    """
    from app.files import write_atomically
    from app.jobs.augmentation.pixel_files import check_present
    from app.jobs.augmentation.preview_program import Fault, Order, draw

    seed, count, size = numbers
    parse(text)
    if out.suffix.lower() != ".png":
        raise InvalidInput(f"{str(out)!r} is no name of a PNG file; let it end with .png.")
    for place in filter(None, (image, mask)):
        check_present(place)
        if place.resolve() == out.resolve():
            raise InvalidInput(f"{str(out)!r} is an input, which would be lost; choose another name for the picture.")
    order = Order(
        text=text,
        places=(str(image),),
        channels=None,
        mask=None if mask is None else str(mask),
        rule=None,
        seed=seed,
        index=0,
        count=count,
        size=size,
        max_pixels=settings.max_image_pixels,
    )
    try:
        picture = draw(order)
    except Fault as fault:
        raise InvalidInput(str(fault)) from fault
    write_atomically(out, picture)


def told(error: AugmentationError) -> str:
    """Return every problem with its line, a caret under the place, and how many there are."""
    count = len(error.problems)
    blocks = []
    for problem in error.problems:
        shown = (problem.excerpt or "").split("\n")
        blocks.append("\n".join([str(problem), *(f"    {line}".rstrip() for line in shown)]))
    return "\n".join(blocks) + f"\n{count} problem{'s' * (count > 1)}\n"
