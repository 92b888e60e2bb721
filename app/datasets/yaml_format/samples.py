"""Turn the nodes of an image list into samples."""

import re
from collections.abc import Callable, Collection
from dataclasses import replace
from math import isfinite
from pathlib import PurePosixPath

from app.datasets.description import Sample
from app.datasets.places import OTHER_SCHEME, is_url, split_text
from app.datasets.problems import Problems, bare, shorten
from app.datasets.yaml_format.nodes import Listing, Mapping, Node, Scalar
from app.errors import Problem

SAMPLE_KEYS = ("location", "label", "values")
IMAGE_SUFFIXES = frozenset([".png", ".jpg", ".jpeg", ".jpe", ".jp2", ".bmp", ".dib", ".tif", ".tiff", ".webp", ".gif"])
IMAGE_SUFFIXES |= frozenset([".pgm", ".ppm", ".pbm", ".pnm", ".dcm", ".nii", ".gz", ".svs", ".ndpi", ".mha", ".mhd"])
IMAGE_SUFFIXES |= frozenset([".dicom", ".ima", ".scn", ".mrxs", ".vms", ".vmu", ".svslide", ".bif"])
IMAGE_SUFFIXES |= frozenset([".heic", ".heif", ".avif", ".jxl", ".j2k", ".psd", ".npy", ".nrrd", ".czi"])  # not read
INTEGER = re.compile(r"[-+]?(?:0x[0-9a-fA-F]+|[0-9]+)")
LONGEST_INTEGER = 20  # digits; to convert a million of them would take minutes
NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(\.[0-9]+)?([eE][-+]?[0-9]+)?")

Label = tuple[tuple[int, ...] | None, str | None]
NO_LABEL: Label = (None, None)


def read_integer(node: Node) -> int | None:
    """Return the integer that a plain scalar means, in YAML 1.1's decimal, `0x` and leading-zero octal forms."""
    return integer_of(node.text) if isinstance(node, Scalar) and node.is_plain else None


def integer_of(text: str) -> int | None:
    """Return the integer that a text means as YAML 1.1 and ECVL read it, or `None`; of a long one only that it is."""
    if not INTEGER.fullmatch(text):
        return None
    digits = text.lstrip("+-")
    if len(digits) > LONGEST_INTEGER:
        digits = "9" * LONGEST_INTEGER
    is_octal = len(digits) > 1 and digits.isdigit() and digits[0] == "0"
    try:
        value = int(digits, 8 if is_octal else 0)
    except ValueError:  # 08 and 09
        return None
    return -value if text[0] == "-" else value


class SampleReader:
    """Reads one item of `images` after the other; every fault goes to `problems`.

    Args:
        classes: the class names, or `None` if they could not be read: labels are then not judged.
        features: the feature names, or `None` likewise.
        is_file: says whether a label that is neither a class nor looks like a location names a file.
    """

    def __init__(
        self,
        classes: tuple[str, ...] | None,
        features: tuple[str, ...] | None,
        problems: Problems,
        is_file: Callable[[str], bool],
    ):
        self._classes = classes
        self._features = None if features is None else dict.fromkeys(features)
        self._problems = problems
        self._is_file = is_file
        self._surplus: list[Problem] = []
        self._class_indexes = {name: index for index, name in enumerate(classes or ())}

    def read(self, node: Node, key: str) -> Sample | None:
        """Return the sample of one item, or `None` after noting what is wrong with it."""
        if not isinstance(node, Mapping):
            location = self._location(node, key)
            return Sample(location) if location else None
        entries = read_entries(node, SAMPLE_KEYS, self._problems, key)
        if "location" not in entries:
            self._problems.add(key, "has no location; write `location: path/of/the/image`.", node.line)
            return None
        location = self._location(entries["location"], f"{key}.location")
        label = self._label(entries["label"], f"{key}.label") if "label" in entries else NO_LABEL
        values = self._values(entries["values"], f"{key}.values") if "values" in entries else {}
        if location is None or label is None or values is None:
            return None
        return Sample(location, *label, values)

    def _location(self, node: Node, key: str) -> tuple[str, ...] | None:
        if isinstance(node, Scalar):
            return (node.text,) if self._is_place(node, key) else None
        if isinstance(node, Mapping):
            self._problems.add(key, "is a mapping; a path, a URL or a list of them is expected.", node.line)
            return None
        if not node.items:
            self._problems.add(key, "is an empty list; a path for each plane is expected.", node.line)
            return None
        planes = [plane for plane in node.items if isinstance(plane, Scalar) and self._is_place(plane, key)]
        for plane in node.items:
            if not isinstance(plane, Scalar):
                self._problems.add(key, f"holds {plane.kind}; each plane is one path or URL.", plane.line)
        return tuple(plane.text for plane in planes) if len(planes) == len(node.items) else None

    def _is_place(self, node: Scalar, key: str) -> bool:
        if node.is_null or not node.text.strip():
            self._problems.add(key, "is empty; the path or URL of an image is expected.", node.line)
            return False
        return self._is_possible_place(node, key)

    def _is_possible_place(self, node: Scalar, key: str) -> bool:
        if "\0" in node.text:
            self._problems.add(key, "holds a NUL character, which no path can.", node.line)
            return False
        if OTHER_SCHEME.match(node.text):
            expected = "a path, or a URL with http or https, is expected"
            self._problems.add(key, f"is {shorten(node.text)}, which cannot be fetched; {expected}.", node.line)
            return False
        return True

    def _label(self, node: Node, key: str) -> Label | None:
        if isinstance(node, Scalar):
            return self._one_label(node, key)
        if isinstance(node, Mapping):
            self._problems.add(
                key, "is a mapping; a class, a list of classes or the path of a mask is expected.", node.line
            )
            return None
        return self._several_labels(node, key)

    def _several_labels(self, node: Listing, key: str) -> Label | None:
        labels: list[Label] = []
        for item in node.items:
            if not isinstance(item, Scalar):
                self._problems.add(key, f"holds {item.kind}; a list of classes is expected.", item.line)
                return None
            label = self._one_label(item, key)
            if label is None:
                return None
            labels.append(label)
        if len(labels) == 1:
            return labels[0]
        if any(mask is not None for _, mask in labels):
            self._problems.add(
                key, "lists several labels, one of them a mask; a sample has one mask or classes.", node.line
            )
            return None
        return tuple(dict.fromkeys(index for indexes, _ in labels for index in indexes or ())), None

    def _one_label(self, node: Scalar, key: str) -> Label | None:
        index = self._class_indexes.get(node.text)
        if index is not None:
            return (index,), None
        if self._classes is None:
            return NO_LABEL
        if node.is_null or not node.text.strip():
            self._problems.add(key, "is empty; leave the key out for a sample without a label.", node.line)
            return None
        number = integer_of(node.text)
        if number is not None:
            return self._class_index(number, node, key)
        return self._mask(node, key)

    def _class_index(self, index: int, node: Scalar, key: str) -> Label | None:
        count = len(self._classes or ())
        if 0 <= index < count:
            return (index,), None
        expected = f"an index from 0 to {count - 1} is expected" if count else "the file lists no classes"
        self._problems.add(key, f"is {bare(node.text)}, but {expected}.", node.line)
        return None

    def _mask(self, node: Scalar, key: str) -> Label | None:
        text = node.text
        if not self._is_possible_place(node, key):
            return None
        if looks_like_a_place(text) or self._is_file(text):
            return None, text
        if self._classes:
            fault = f"is {shorten(text)}, which is neither a class nor the location of a mask;"
            self._problems.add(key, fault, node.line, meant=(text, self._class_indexes))
        else:
            fault = "which is no file; name classes under `classes`, or the path of a mask."
            self._problems.add(key, f"is {shorten(text)}, {fault}", node.line)
        return None

    def _values(self, node: Node, key: str) -> dict[str, object] | None:
        if self._features is None:
            return {}
        if isinstance(node, Scalar):
            self._problems.add(key, "is a text; a list, or a mapping with feature names, is expected.", node.line)
            return None
        if not self._features:
            self._problems.add(key, "has no meaning, for the file lists no `features`.", node.line)
            return None
        if isinstance(node, Mapping):
            entries = read_entries(node, self._features, self._problems, key, noun="feature")
        else:
            entries = self._by_position(node, key)
        return self._known_values(entries, key)

    def remarks(self) -> tuple[Problem, ...]:
        """Return what was left out: values without a feature, as in files of the original toolkit's use cases."""
        if not self._surplus:
            return ()
        first = self._surplus[0]
        more = f" (the first of {len(self._surplus)} such images)" if len(self._surplus) > 1 else ""
        return (replace(first, message=f"{first.message}{more}; those without a feature are left out."),)

    def _by_position(self, node: Listing, key: str) -> dict[str, Node]:
        count = len(self._features or ())
        if len(node.items) > count:
            several = "features" if count > 1 else "feature"
            fault = f"{key} lists {len(node.items)} values for {count} {several}"
            self._surplus.append(Problem(fault, line=node.line, key=key))
        return dict(zip(self._features or (), node.items, strict=False))

    def _known_values(self, entries: dict[str, Node], key: str) -> dict[str, object] | None:
        values = {}
        for feature, node in entries.items():
            if not isinstance(node, Scalar):
                place = f"{key}.{bare(feature)}"
                self._problems.add(place, f"is {node.kind}; a text or a number is expected.", node.line)
            elif not node.is_null:
                values[feature] = _value(node)
        return values


def looks_like_a_place(text: str) -> bool:
    """Tell whether a label is meant as the location of a mask, without looking at the disk."""
    return is_url(text) or "/" in text or PurePosixPath(split_text(text)[0]).suffix.lower() in IMAGE_SUFFIXES


def read_entries(
    node: Mapping, allowed: Collection[str], problems: Problems, key: str = "", noun: str = "key"
) -> dict[str, Node]:
    """Return a mapping's values by key; unknown, repeated and non-text keys are noted and left out.

    An empty `allowed` lets any key pass.
    """
    entries: dict[str, Node] = {}
    for name, value in node.entries():
        if not isinstance(name, Scalar):
            problems.add(key or "The file", f"has {name.kind} as a key; a text is expected.", name.line)
            continue
        if name.is_null or not name.text.strip():
            problems.add(key or "The file", f"has an empty {noun}; a name is expected before the colon.", name.line)
            continue
        place = f"{key}.{bare(name.text)}" if key else bare(name.text)
        if name.text in entries:
            problems.add(place, "stands here a second time; keep one of the two.", name.line)
        elif allowed and name.text not in allowed:
            problems.add(place, f"is an unknown {noun};", name.line, meant=(name.text, allowed))
        else:
            entries[name.text] = value
    return entries


def _value(node: Scalar) -> object:
    """Keep texts such as 007 or 12:30 as they are: they are names, not numbers."""
    if not node.is_plain:
        return node.text
    if node.text in ("true", "false"):
        return node.text == "true"
    number = NUMBER.fullmatch(node.text)
    if number is None:
        return node.text
    value = float(node.text) if number[1] or number[2] else int(node.text)
    return value if isfinite(value) else node.text  # JSON has no infinity
