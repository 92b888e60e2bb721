"""The dataset file that ECVL reads: one split in its canonical form, in which none of ECVL's traps can be stepped on.

Pure Python. Locations are absolute, classes are numbers (ECVL looks for a number first, and takes a name that it does
not know for the path of a mask), every sample is labelled or none is, and there is one split.
"""

import json
from collections.abc import Sequence
from pathlib import Path


def dataset_text(paths: Sequence[Path], classes: Sequence[str] = (), labels: Sequence[Sequence[int]] = ()) -> str:
    """Write the file of a split.

    Args:
        paths: of the images, in the split's order.
        classes: their names.
        labels: of each sample the indexes of its classes; nothing where the samples have none, or have masks.
    """
    lines = ["name: split"]
    if labels:
        lines.append(f"classes: [{', '.join(map(_quoted, classes))}]")
    lines.append("images:")
    for place, path in enumerate(paths):
        lines.append(f"  - location: {_quoted(str(path.absolute()))}")
        if labels:
            lines.append(f"    label: [{', '.join(map(str, labels[place]))}]")
    lines += ["split:", f"  test: [{', '.join(map(str, range(len(paths))))}]"]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """Quote as JSON does, which YAML is made to read."""
    return json.dumps(text, ensure_ascii=False)
