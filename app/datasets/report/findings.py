"""Problems of a dataset: gathered with their files, and found by comparing samples with each other."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from app.datasets.checks import CLASSIFICATION, check_trainable
from app.datasets.description import Description
from app.datasets.groups import group_feature
from app.datasets.report.sample import Measures
from app.datasets.splits import usual_name
from app.errors import DatasetError

ERROR = "error"
WARNING = "warning"

MOST_OF_A_KIND = 1000  # a folder that moved is 25,000 missing files; each kind is counted whole
MOST_IMBALANCE = 10
FEWEST_MULTI_LABEL = 0.05  # of the labelled images: fewer look like slips


class Findings:
    """The problems found so far; of each kind the first thousand are kept, and all are counted."""

    def __init__(self) -> None:
        self._problems: list[dict] = []
        self._kinds: Counter[tuple[str, str]] = Counter()

    def add(self, severity: str, kind: str, message: str, *, file: str | None = None, split: str | None = None) -> None:
        """Note a problem.

        Args:
            severity: ERROR for what a training cannot or must not use, else WARNING.
            kind: one word for all problems like it.
            message: one sentence that names the file.
            file: the location as in the description, where the problem has one.
            split: of the sample.
        """
        self._kinds[severity, kind] += 1
        if self._kinds[severity, kind] <= MOST_OF_A_KIND:
            problem = {"severity": severity, "kind": kind, "file": file, "split": split, "message": message}
            self._problems.append(problem)

    def has(self, kind: str) -> bool:
        return any(known == kind for _, known in self._kinds)

    def problems(self) -> list[dict]:
        """Return the kept problems, errors first."""
        return sorted(self._problems, key=lambda problem: problem["severity"] != ERROR)

    def counts(self) -> dict:
        """Return how many errors and warnings there are, and how many of each kind."""
        counts: dict = {ERROR: 0, WARNING: 0, "kinds": {}}
        for (severity, kind), count in self._kinds.items():
            counts[severity] += count
            counts["kinds"][kind] = counts["kinds"].get(kind, 0) + count
        return counts


class Duplicates:
    """Finds images that are equal pixel by pixel, whatever their files are called."""

    def __init__(self, description: Description, split_of: dict[int, str]):
        self._description = description
        self._split_of = split_of
        self._seen: dict[bytes, list[int]] = {}  # the first sample of each split that shows a picture

    def look(self, measures: Measures, findings: Findings) -> None:
        """Compare a sample with those before it; a leak from one split into another is an error."""
        if measures.digest is None:
            return
        split = self._split_of.get(measures.index)
        if measures.is_blank:
            # Slices without tissue and black frames are alike in every patient: no leak, but nothing to learn either.
            file = self._description.samples[measures.index].location[0]
            message = f"{file!r} is blank: all its pixels have the value {measures.lowest}."
            findings.add(WARNING, "blank", message, file=file, split=split)
            return
        earlier = self._seen.setdefault(measures.digest, [])
        others = [index for index in earlier if self._split_of.get(index) != split]
        twins = others or earlier[:1]
        if len(others) == len(earlier):
            earlier.append(measures.index)
        if twins:
            self._tell(measures.index, split, self._worst(twins), findings)

    def _worst(self, others: Sequence[int]) -> int:
        """Prefer a sample that is in a split: one that is in none does no harm."""
        return next((index for index in others if index in self._split_of), others[0])

    def _tell(self, index: int, split: str | None, other: int, findings: Findings) -> None:
        sample, twin = self._description.samples[index], self._description.samples[other]
        file, twin_split = sample.location[0], self._split_of.get(other)
        same = f"is the same image as {twin.location[0]!r} ({twin_split or 'in no split'})"
        label = ", but has another label" if sample.classes != twin.classes else ""
        message = f"{file!r} ({split or 'in no split'}) {same}{label}"
        if split is None or twin_split is None or split == twin_split:
            findings.add(WARNING, "duplicate", f"{message}.", file=file, split=split)
        else:
            why = "scores on one split would count what was learned on the other"
            findings.add(ERROR, "leak", f"{message}: {why}.", file=file, split=split)


def find_shared_groups(
    description: Description, split_of: dict[int, str], group_by: str | None, findings: Findings
) -> str | None:
    """Find patients with samples in two splits, and return the feature that names the patients.

    Args:
        description: the dataset.
        split_of: split by sample index.
        group_by: that feature; by default one with a name such as `patient_id`.
        findings: takes the problems.

    Raises:
        InvalidInput: for a feature that the dataset does not have.
    """
    feature = group_feature(description, group_by)
    if feature is None:
        return None
    members: defaultdict[object, dict[str, int]] = defaultdict(dict)
    for index, sample in enumerate(description.samples):
        if index in split_of and sample.values.get(feature) is not None:
            members[str(sample.values[feature])].setdefault(split_of[index], index)
    for value, firsts in members.items():
        if len(firsts) > 1:
            places = [f"{name} ({description.samples[index].location[0]!r})" for name, index in firsts.items()]
            file = description.samples[list(firsts.values())[1]].location[0]
            message = f"The {feature} {value!r} is in {len(firsts)} splits: {', '.join(places)}."
            findings.add(WARNING, "shared_group", message, file=file)
    return feature


def find_split_faults(description: Description, task_name: str, findings: Findings) -> None:
    """Find splits that are absent, empty, or labelled in part, and what else keeps the dataset from being trained."""
    if not description.splits:
        message = "The dataset has no splits: an inference covers all images, a training needs a split."
        findings.add(WARNING, "no_split", message)
    for name, indexes in description.splits.items():
        labelled = sum(description.samples[index].has_label for index in indexes)
        severity = ERROR if name == "training" else WARNING
        if not indexes:
            findings.add(severity, "empty_split", f"The split {name!r} is empty.", split=name)
        elif 0 < labelled < len(indexes):
            first = next(index for index in indexes if not description.samples[index].has_label)
            file = description.samples[first].location[0]
            message = f"{len(indexes) - labelled} of {len(indexes)} images in {name!r} have no label; {file!r} is one."
            findings.add(ERROR, "unlabelled", message, file=file, split=name)
        usual = usual_name(name)
        if usual and usual not in description.splits:
            message = f"The split {name!r} is used by nothing: trainings and inferences look for {usual!r}; rename it."
            findings.add(WARNING, "split_name", message, split=name)
    _find_label_faults(description, task_name, findings)
    if description.split("training") and not findings.has("label"):
        _find_training_faults(description, task_name, findings)
        if not description.has_labels("validation"):
            message = "There is no labelled validation split: best weights are chosen on the training split."
            findings.add(WARNING, "no_validation", message)


def find_class_faults(description: Description, balance: dict | None, findings: Findings) -> None:
    """Find classes that a network cannot learn because no image shows them, and a strong imbalance."""
    if balance is None:
        return
    where = "in the training split" if description.splits else "in the dataset"
    for name, fraction in balance["fractions"].items():
        if not fraction:
            findings.add(WARNING, "empty_class", f"No image {where} is of the class {name!r}.")
    if balance["imbalance"] >= MOST_IMBALANCE:
        ratio = f"{balance['imbalance']:.0f}"
        message = f"The largest class {where} has {ratio} times the images of the smallest."
        findings.add(WARNING, "imbalance", message)


def find_absent_classes(masks_showing: Mapping[str, int], findings: Findings) -> None:
    """Find classes that no mask of the training split shows; the first one is the background."""
    for name in list(masks_showing)[1:]:
        if not masks_showing[name]:
            findings.add(WARNING, "empty_class", f"No mask in the training split shows the class {name!r}.")


def _find_label_faults(description: Description, task_name: str, findings: Findings) -> None:
    is_classification = task_name.casefold() == CLASSIFICATION
    for index in description.used_indexes():
        sample = description.samples[index]
        file = sample.location[0]
        if is_classification and sample.mask is not None:
            findings.add(ERROR, "label", f"{file!r} has a mask as its label; classification needs a class.", file=file)
        elif not is_classification and sample.classes is not None:
            findings.add(ERROR, "label", f"{file!r} has a class as its label; segmentation needs a mask.", file=file)
    if is_classification:
        _find_stray_lists(description, findings)


def _find_stray_lists(description: Description, findings: Findings) -> None:
    """Find the few images that make a dataset multi-label."""
    labels = [(index, description.samples[index].classes) for index in description.used_indexes()]
    labelled = [(index, classes) for index, classes in labels if classes is not None]
    several = [index for index, classes in labelled if len(classes) != 1]
    if 0 < len(several) < FEWEST_MULTI_LABEL * len(labelled):
        file = description.samples[several[0]].location[0]
        message = (
            f"{len(several)} of {len(labelled)} images have no class or several, {file!r} is one: a training decides "
            "each class by itself then (multi-label); give each image one class if that is not meant."
        )
        findings.add(WARNING, "multi_label", message, file=file)


def _find_training_faults(description: Description, task_name: str, findings: Findings) -> None:
    try:
        check_trainable(description, task_name)
    except DatasetError as error:
        for problem in error.problems:
            findings.add(ERROR, "training", str(problem), split="training")
