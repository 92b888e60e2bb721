"""Write the part of docs/augmentations.md that the catalogue tells, and a picture of every operation: `make docs`.

The pictures are drawn as previews are, from the shipped nuclei with their masks and from a photograph that comes with
scikit-learn.
"""

import io
import sys
from pathlib import Path

from app.augment.parser import parse
from app.augment.signatures import OPERATIONS, Parameter, Signature

CLONE = Path(__file__).resolve().parents[1]
PAGE = CLONE / "docs" / "augmentations.md"
PICTURES = CLONE / "docs" / "augmentations"
START = "<!-- What follows is written by `make docs` from the catalogue, app/augment/signatures.py. -->\n"
END = "<!-- The end of what `make docs` writes. -->\n"
FORMS = {"range": "`[min,max]`", "vector": "`(a,b)`", "number": "number", "string": "string"}
SEED, RESULTS, SIDE_PX, COLOURS = 591, 3, 128, 64  # a seed whose three draws differ well
# Of the nuclei, which are cut into rows of eight tiles, four that lie together and are full of cells.
TILES, TILE_PX = ((26, 27), (34, 35)), 64
PHOTO_PX = 128


def with_section(page: str) -> str:
    """Return the page with the generated part as it should be."""
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    return before + START + "\n" + section() + "\n" + END + after


def section() -> str:
    """Return one chapter for each operation and container."""
    return "\n".join(map(_chapter, OPERATIONS.values()))


def _chapter(signature: Signature) -> str:
    summary = signature.summary[0].upper() + signature.summary[1:]
    moves = " It moves pixels." if signature.moves_pixels else ""
    lines = [f"### {signature.name}", "", f"{summary}.{moves}", ""]
    lines += [f"![{signature.name}: the image and three results](augmentations/{signature.name}.png)", ""]
    lines += ["```", signature.example, "```", ""]
    if signature.parameters:
        lines += ["| parameter | value | default | limits | |", "|---|---|---|---|---|"]
        lines += [*map(_row, signature.parameters), ""]
    return "\n".join(lines)


def _row(parameter: Parameter) -> str:
    cells = [f"`{parameter.name}`", _form(parameter), _default(parameter), _limits(parameter), parameter.summary]
    return f"| {' | '.join(cells)} |"


def _form(parameter: Parameter) -> str:
    if parameter.choices:
        return ", ".join(f'`"{choice}"`' for choice in parameter.choices)
    return " or ".join(
        "`(a,b,c)`" if kind == "vector" and not parameter.lengths else FORMS[kind] for kind in parameter.kinds
    )


def _default(parameter: Parameter) -> str:
    if parameter.required:
        return "required"
    default = parameter.default
    if default is None:
        return "none"
    return f'`"{default}"`' if isinstance(default, str) else f"{default:g}"


def _limits(parameter: Parameter) -> str:
    low, high = parameter.minimum, parameter.maximum
    if low is None or high is None:
        return "" if low is None else f"at least {low:g}"
    return f"{low:g} to {high:g}"


def draw_pictures(folder: Path) -> None:
    """Draw the example of each operation and container."""
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_sample_image

    from app.augment.pipeline import Pipeline
    from app.jobs.augmentation.preview_sheet import class_map, preview

    def nuclei(kind: str) -> np.ndarray:
        names = [[CLONE / "datasets" / "nuclei" / kind / f"{tile}.png" for tile in row] for row in TILES]
        return np.block([[np.asarray(Image.open(name)) for name in row] for row in names])

    photo = Image.fromarray(load_sample_image("flower.jpg")).crop((150, 40, 500, 390)).resize((PHOTO_PX, PHOTO_PX))
    folder.mkdir(exist_ok=True)
    for signature in OPERATIONS.values():
        shows_masks = signature.moves_pixels or signature.name == "AugResizeScale" or "AugRotate" in signature.example
        bright = np.minimum(nuclei("images").astype(int) * 2, 255).astype(np.uint8)[:, :, np.newaxis]
        image = bright if shows_masks else np.asarray(photo)
        mask = class_map(nuclei("masks")) if shows_masks else None
        pipeline = Pipeline(parse(signature.example))
        sheet = preview(pipeline, image, mask, seed=SEED, count=RESULTS, side_px=SIDE_PX, columns=RESULTS + 1)
        with Image.open(io.BytesIO(sheet)) as drawn:
            # Few colours, so that the repository stays small.
            drawn.quantize(COLOURS, dither=Image.Dither.NONE).save(folder / f"{signature.name}.png", optimize=True)


def main() -> int:
    """Write page and pictures."""
    PAGE.write_text(with_section(PAGE.read_text("utf-8")), encoding="utf-8")
    draw_pictures(PICTURES)
    return 0


if __name__ == "__main__":
    sys.exit(main())
