"""Add up what the masks of a dataset hold, and find the one rule that says what their values mean."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from app.datasets.masks import MaskRule, find_rule, told
from app.datasets.problems import shorten
from app.datasets.report.findings import ERROR, WARNING, Findings
from app.datasets.report.sample import Measures

MASK_VALUES = "mask_values"
MOST_FILES = 3
MOST_SHOWN = 64  # values in the report; and in one mask, before only its lowest and highest are remembered
MOST_VALUES = 65536  # of 32 bits; beyond, neighbours are counted together, as they are shades
DIGITS = 6


class MaskTally:
    """Areas of the classes in masks; what a value means is known when all masks were seen."""

    def __init__(self, classes: Sequence[str]):
        self.names = mask_class_names(classes)
        self._class_count = len(classes)
        self._masks = 0
        self._pixels: Counter[int] = Counter()
        self._fractions: defaultdict[int, float] = defaultdict(float)
        self._shown: Counter[tuple[str | None, frozenset[int]]] = Counter()  # masks by split and the values in them
        self._files: defaultdict[int, list[str]] = defaultdict(list)
        self._highest: defaultdict[int, list[str]] = defaultdict(list)

    def add(self, measures: Measures, split: str | None) -> None:
        """Count one mask, if the sample has a usable one."""
        if measures.mask is None:
            return
        self._masks += 1
        area = sum(measures.mask_pixels.values())
        for value, count in measures.mask_pixels.items():
            kept = value if value in self._pixels or len(self._pixels) < MOST_VALUES else value - value % MOST_VALUES
            self._pixels[kept] += count
            self._fractions[kept] += count / area
            _note(self._files[kept], measures.mask)
        values = frozenset(measures.mask_pixels)
        self._shown[split, values if len(values) <= MOST_SHOWN else frozenset((min(values), max(values)))] += 1
        _note(self._highest[max(values)], measures.mask)

    def find(self, findings: Findings) -> MaskRule | None:
        """Return the rule, and note what is wrong or worth knowing; None where there are no masks, or it is unknown."""
        if not self._masks:
            return None
        rule, wrong = find_rule(set(self._pixels) | set(self._highest), self._class_count)
        for value in wrong[:MOST_SHOWN]:
            names = self._files[value] or self._highest[value]
            files = ", ".join(map(shorten, names))
            message = f"The value {value} is no class in {files}; {self._expected()}."
            findings.add(ERROR, MASK_VALUES, message, file=names[0])
        if wrong:
            return None
        sentence = told(rule, self._pixels, self.names)
        if sentence:
            findings.add(WARNING, MASK_VALUES, sentence)
        self._find_faint(rule, findings)
        return rule

    def masks(self, rule: MaskRule | None) -> dict | None:
        """Return the part of the report on masks; None where there is none."""
        if not self._masks:
            return None
        total = self._pixels.total()
        known = {value: rule.class_of(value) for value in self._pixels} if rule else {}
        showing = self._masks_by_class(rule, self._shown) if rule else Counter()
        classes = [
            {
                "class": index,
                "name": name,
                "area": round(sum(self._pixels[value] for value in known if known[value] == index) / total, DIGITS),
                "mean_area": round(
                    sum(self._fractions[value] for value in known if known[value] == index) / self._masks, DIGITS
                ),
                "masks": showing[index],
            }
            for index, name in enumerate(self.names)
        ]
        mapping = [
            {
                "value": value,
                "class": known.get(value),
                "name": self.names[known[value]] if value in known else None,
                "pixels": count,
            }
            for value, count in sorted(self._pixels.items())
        ]
        return {
            "count": self._masks,
            "classes": classes,
            "mapping": mapping[:MOST_SHOWN],
            "distinct_values": len(mapping),
            "rule": rule.to_dict() if rule else None,
        }

    def masks_showing(self, split: str, rule: MaskRule | None) -> dict[str, int]:
        """Return, for each class, how many masks of a split show it."""
        own = {key: count for key, count in self._shown.items() if key[0] == split}
        showing = self._masks_by_class(rule, own) if rule else Counter()
        return {name: showing[index] for index, name in enumerate(self.names)}

    def _masks_by_class(self, rule: MaskRule, shown: Mapping[tuple[str | None, frozenset[int]], int]) -> Counter[int]:
        counts: Counter[int] = Counter()
        for (_, values), count in shown.items():
            for index in {rule.class_of(value) for value in values}:
                counts[index] += count
        return counts

    def _find_faint(self, rule: MaskRule, findings: Findings) -> None:
        """Find masks that hold something, but nothing above the threshold: they may be of 0 and 1 among shades."""
        if rule.threshold is None:
            return
        faint = {value: files for value, files in sorted(self._highest.items()) if 0 < value <= rule.threshold}
        for value, files in faint.items():
            names = ", ".join(map(shorten, files))
            message = f"No value is above {value} in {names}, so that all of it is {self.names[0]!r}; is that meant?"
            findings.add(WARNING, MASK_VALUES, message, file=files[0])

    def _expected(self) -> str:
        if self._class_count <= 2:
            noun = "1 class" if self._class_count == 1 else f"{self._class_count} classes"
            return f"with {noun} masks hold 0 and one other value, or shades up to 255"
        return f"the {self._class_count} classes have the values 0 to {self._class_count - 1}"


def mask_class_names(classes: Sequence[str]) -> list[str]:
    """Return the names of the values of a class map: a single class has a background beside it."""
    return list(classes) if len(classes) > 1 else ["background", *(classes or ["foreground"])]


def _note(files: list[str], name: str) -> None:
    if len(files) < MOST_FILES:
        files.append(name)
