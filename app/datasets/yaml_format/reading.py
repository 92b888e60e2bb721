"""Read a YAML file in the DeepHealth dataset format into a description."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from app.datasets.description import Description, Sample
from app.datasets.problems import Problems, bare, shorten
from app.datasets.yaml_format.nodes import Listing, Mapping, Node, Scalar, compose
from app.datasets.yaml_format.other_files import refuse_other_kinds
from app.datasets.yaml_format.samples import SampleReader, read_entries, read_integer
from app.errors import InvalidInput, Problem, TooLarge

TOP_KEYS = ("name", "description", "classes", "features", "images", "split")


def read_file(path: Path, limit_bytes: int) -> Description:
    """Read a dataset file; a label that is neither a class nor looks like a path may name a file beside it.

    Raises:
        InvalidInput: if the file cannot be read, or is plainly of another kind.
        DatasetError: with all problems, each with its line and key.
        TooLarge: if the file has more than `limit_bytes`.
    """
    try:
        with path.open("rb") as file:
            content = file.read(limit_bytes + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidInput(f"{path} cannot be read: {reason}.") from error
    if len(content) > limit_bytes:
        raise TooLarge(f"The dataset file {str(path)!r} has more than {limit_bytes:,} bytes, the most that is read.")
    refuse_other_kinds(path.name, content)
    return read(content, path.name, partial(is_file_in, path.parent))


def read(content: bytes, file_name: str, is_file: Callable[[str], bool] = lambda text: False) -> Description:
    """Read a dataset description without looking at the disk.

    Args:
        content: the YAML text in UTF-8.
        file_name: what the problems are reported under.
        is_file: says whether a label that is neither a class nor looks like a path names a file, and so is a mask.

    Raises:
        DatasetError: with all problems, each with its line and key.
    """
    root = compose(content, file_name)
    problems = Problems(file_name)
    if not isinstance(root, Mapping):
        found = "is empty" if root is None or (isinstance(root, Scalar) and root.is_null) else f"is {root.kind}"
        problems.add("The file", f"{found}; a mapping with the key `images` is expected.", 1)
        problems.raise_if_any()
    assert isinstance(root, Mapping)
    return _Reader(root, problems, is_file).description()


def is_file_in(folder: Path | str, text: str) -> bool:
    """Tell whether a text names a file beside the description; next to a URL nothing is looked for."""
    if isinstance(folder, str):
        return False
    try:
        return (folder / text).is_file()
    except (OSError, ValueError):  # too long, or no text that a path can be
        return False


class _Reader:
    """Reads the parts of one file, notes every problem, and raises once at the end."""

    def __init__(self, root: Mapping, problems: Problems, is_file: Callable[[str], bool]):
        self._problems = problems
        self._entries = read_entries(root, TOP_KEYS, problems)
        self._is_file = is_file
        self._lines: list[int] = []
        self._remarks: tuple[Problem, ...] = ()

    def description(self) -> Description:
        name, text = self._text("name"), self._text("description")
        classes, features = self._names("classes"), self._names("features")
        samples = self._samples(classes, features)
        splits = self._splits(samples)
        self._check_locations(samples)
        self._check_labels(samples, splits)
        self._problems.raise_if_any()
        known_samples = tuple(sample for sample in samples if sample is not None)
        return Description(
            name, text, classes or (), features or (), known_samples, splits, tuple(self._lines), self._remarks
        )

    def _text(self, key: str) -> str:
        node = self._entries.get(key)
        if node is None:
            return ""
        if not isinstance(node, Scalar):
            self._problems.add(key, f"is {node.kind}; a text is expected.", node.line)
            return ""
        return "" if node.is_null else node.text

    def _names(self, key: str) -> tuple[str, ...] | None:
        """Return the names listed under the key; `None` after noting that they cannot be used."""
        node = self._entries.get(key)
        if node is None:
            return ()
        if not isinstance(node, Listing):
            found = "is empty" if isinstance(node, Scalar) and node.is_null else f"is {node.kind}"
            self._problems.add(key, f"{found}; a list of names is expected.", node.line)
            return None
        names: dict[str, None] = {}
        for index, item in enumerate(node.items):
            fault = _name_fault(item, names)
            if fault:
                self._problems.add(f"{key}[{index}]", fault, item.line)
            elif isinstance(item, Scalar):
                names[item.text] = None
        return tuple(names) if len(names) == len(node.items) else None

    def _samples(self, classes: tuple[str, ...] | None, features: tuple[str, ...] | None) -> list[Sample | None]:
        node = self._entries.get("images")
        if not isinstance(node, Listing) or not node.items:
            line = node.line if node else 1
            is_list = node is None or isinstance(node, Listing) or (isinstance(node, Scalar) and node.is_null)
            found = "has no entry" if is_list or node is None else f"is {node.kind}"
            self._problems.add("images", f"{found}; a list with at least one image is expected.", line)
            return []
        reader = SampleReader(classes, features, self._problems, self._is_file)
        self._lines = [item.line for item in node.items]
        samples = [reader.read(item, f"images[{index}]") for index, item in enumerate(node.items)]
        self._remarks = reader.remarks()
        return samples

    def _splits(self, samples: list[Sample | None]) -> dict[str, tuple[int, ...]]:
        node = self._entries.get("split")
        if node is None or (isinstance(node, Scalar) and node.is_null):
            return {}
        if not isinstance(node, Mapping):
            self._problems.add(
                "split", f"is {node.kind}; a mapping from split names to indexes is expected.", node.line
            )
            return {}
        if not samples:
            return {}  # already told; every index would be a fault
        splits: dict[str, tuple[int, ...]] = {}
        split_of: dict[int, str] = {}
        for name, indexes in read_entries(node, (), self._problems, "split").items():
            splits[name] = self._split(name, indexes, len(samples), split_of)
        return splits

    def _split(self, name: str, node: Node, sample_count: int, split_of: dict[int, str]) -> tuple[int, ...]:
        key = f"split.{bare(name)}"
        if not isinstance(node, Listing):
            found = "is empty" if isinstance(node, Scalar) and node.is_null else f"is {node.kind}"
            self._problems.add(key, f"{found}; a list of image indexes, such as [0, 1, 2], is expected.", node.line)
            return ()
        indexes = []
        for item in node.items:
            index = read_integer(item)
            if index is None or not 0 <= index < sample_count:
                self._problems.add(key, _index_fault(item, sample_count), item.line)
            elif index in split_of:
                where = "twice" if split_of[index] == name else f"and so does split.{bare(split_of[index])}; keep one"
                self._problems.add(key, f"lists image {index} {where}.", item.line)
            else:
                split_of[index] = name
                indexes.append(index)
        return tuple(indexes)

    def _check_locations(self, samples: list[Sample | None]) -> None:
        first: dict[tuple[str, ...], int] = {}
        for index, sample in enumerate(samples):
            if sample is None:
                continue
            earlier = first.setdefault(sample.location, index)
            if earlier != index:
                fault = f"is {shorten(', '.join(sample.location))}, as images[{earlier}] is; each image stands once."
                self._problems.add(f"images[{index}].location", fault, self._lines[index])

    def _check_labels(self, samples: list[Sample | None], splits: dict[str, tuple[int, ...]]) -> None:
        """A split is labelled as a whole or not at all: a metric over half of it would mislead."""
        for name, indexes in splits.items():
            members = [(index, samples[index]) for index in indexes]
            if any(sample is None for _, sample in members):
                continue  # already told; whether it has a label is not known
            without = [index for index, sample in members if sample and not sample.has_label]
            if without and len(without) < len(members):
                fault = (
                    f"mixes {len(members) - len(without)} labelled and {len(without)} unlabelled images, "
                    f"the first of these being images[{without[0]}]; label all or none."
                )
                self._problems.add(f"split.{bare(name)}", fault, self._lines[without[0]])


def _name_fault(node: Node, earlier: dict[str, None]) -> str | None:
    if not isinstance(node, Scalar):
        return f"is {node.kind}; a name is expected."
    if node.is_null or not node.text.strip():
        return "is empty; a name is expected (in quotes if it is null or ~)."
    return f"is {shorten(node.text)}, as an earlier one is; each name stands once." if node.text in earlier else None


def _index_fault(node: Node, sample_count: int) -> str:
    found = node.kind
    if isinstance(node, Scalar):
        found = bare(node.text) if node.is_plain else shorten(node.text)
    return f"holds {found}; an image index from 0 to {sample_count - 1} is expected."
