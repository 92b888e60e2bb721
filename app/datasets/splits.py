"""Divide samples at random into splits: by classes in equal shares, by groups that stay together, by a seed.

Pure Python: the web process uses it. The same seed gives the same split on every machine.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping
from itertools import islice
from random import Random

from app.datasets.description import Sample
from app.errors import InvalidInput

USUAL_FRACTIONS = {"training": 0.7, "validation": 0.15, "test": 0.15}
SPLIT_NAMES = {
    "training": re.compile(r"train(ing)?(set|data)?"),
    "validation": re.compile(r"(val|valid|validate|validation)(set|data)?"),
    "test": re.compile(r"test(ing)?(set|data)?"),
}
SEPARATORS = re.compile(r"[-_. ]")
NO_CLASS: tuple[int, ...] = ()

Splits = dict[str, tuple[int, ...]]
Label = tuple[int, ...]
Table = dict[Label, dict[str, int]]


def usual_name(name: str) -> str | None:
    """Return the split that a name such as `Train` or `val_set` means."""
    plain = SEPARATORS.sub("", name.casefold())
    return next((split for split, pattern in SPLIT_NAMES.items() if pattern.fullmatch(plain)), None)


def divide(
    samples: Mapping[int, Sample],
    fractions: Mapping[str, float],
    *,
    seed: int,
    is_stratified: bool = True,
    group_by: str | None = None,
) -> Splits:
    """Divide samples into splits.

    Args:
        samples: the samples to divide, by their index in the dataset.
        fractions: the share of each split, together at most 1; what is left over is in no split.
        is_stratified: whether each split gets its share of every class, too; a class of very few samples is in the
            largest split first, then in as many others as it has samples for. The sizes of the splits come first.
        group_by: a feature; samples with the same value come into the same split. Those without one are single.

    Raises:
        InvalidInput: if there are fewer groups than splits.
    """
    shares = {name: fraction for name, fraction in fractions.items() if fraction > 0}
    rest = 1 - sum(shares.values())
    if rest > 1e-6:
        shares[""] = rest
    labels = _labels(samples, len(shares)) if is_stratified else dict.fromkeys(samples, NO_CLASS)
    random = Random(seed)
    if group_by is None:
        parts = _by_strata(labels, shares, random)
    else:
        parts = _by_groups(_groups(samples, group_by), labels, shares, random)
    return {name: tuple(sorted(parts.get(name, ()))) for name in fractions}


def fold_fractions(count: int) -> dict[str, float]:
    """Return equal fractions for so many folds: `fold_1`, `fold_2`, ..."""
    return {f"fold_{number}": 1 / count for number in range(1, count + 1)}


def _labels(samples: Mapping[int, Sample], split_count: int) -> dict[int, tuple[int, ...]]:
    """Return the class, or classes, of each sample; a rare combination stands for the rarest class in it.

    A combination is rare where it cannot be shared out; of its classes, one that can be is chosen. So a class that is
    only seen together with others, never twice the same, still gets its share of every split.
    """
    labels = {index: sample.classes or NO_CLASS for index, sample in samples.items()}
    combinations, classes = Counter(labels.values()), Counter(name for label in labels.values() for name in label)

    def stratum(label: Label) -> Label:
        if len(label) <= 1 or combinations[label] >= split_count:
            return label
        shareable = [name for name in label if classes[name] >= split_count]
        return (min(shareable, key=lambda name: (classes[name], name)),) if shareable else NO_CLASS

    return {index: stratum(label) for index, label in labels.items()}


def _by_strata(labels: Mapping[int, Label], shares: Mapping[str, float], random: Random) -> dict[str, list[int]]:
    strata = defaultdict(list)
    for index, label in labels.items():
        strata[label].append(index)
    table = _share_out({label: len(strata[label]) for label in sorted(strata)}, _sizes(len(labels), shares))
    parts: dict[str, list[int]] = {name: [] for name in shares}
    for label, counts in table.items():
        members = strata[label]
        random.shuffle(members)
        for name, count in counts.items():
            parts[name] += [members.pop() for _ in range(count)]
    return parts


def _sizes(total: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Return the number of samples of each split: its share to within rounding, and at least one while there are any.

    The largest remainders are rounded up; of equal ones that of the larger share.
    """
    exact = {name: round(total * share, 9) for name, share in shares.items()}
    sizes = {name: int(size) for name, size in exact.items()}
    by_remainder = sorted(shares, key=lambda name: (sizes[name] - exact[name], -shares[name]))
    for name in by_remainder[: total - sum(sizes.values())]:
        sizes[name] += 1
    for name in sorted(filter(None, shares), key=lambda name: -shares[name]):
        largest = max(sizes, key=lambda other: (sizes[other], not other))
        if not sizes[name] and sizes[largest] > 1:
            sizes[name], sizes[largest] = 1, sizes[largest] - 1
    return sizes


def _share_out(strata: Mapping[Label, int], sizes: Mapping[str, int]) -> Table:
    """Return how many samples of each stratum come into each split; the sums are the strata's and the splits' sizes.

    With all samples in a line, stratum after stratum, the places of each split are spread evenly over the line, so that
    a stratum gets its share of each split to within a place or two.
    """
    places = sorted(((place + 0.5) / size, name) for name, size in sizes.items() for place in range(size))
    line = iter(name for _, name in places)
    table = {label: dict.fromkeys(sizes, 0) for label in strata}
    for label, count in strata.items():
        for name in islice(line, count):
            table[label][name] += 1
    for name in sorted(filter(None, sizes), key=lambda name: -sizes[name]):
        for label in sorted(strata, key=lambda label: strata[label]):
            if not table[label][name]:
                _exchange(table, label, name)
    return table


def _exchange(table: Table, label: Label, name: str) -> None:
    """Let a stratum without a sample in a split change places with the one that has most there.

    That one keeps half of its share. Splits are seen to in the order of their sizes: a lone sample goes to the largest,
    for what is not learned cannot be tested, and no other split takes it away from there.
    """
    sizes = {split: sum(counts[split] for counts in table.values()) for split in table[label]}
    own, donor = table[label], max(table.values(), key=lambda counts: counts[name])
    least = max(1, sum(donor.values()) * sizes[name] / sum(sizes.values()) / 2)
    is_largest = sizes[name] == max(size for split, size in sizes.items() if split)
    source = max(own, key=lambda split: (own[split], not split))
    if donor[name] > least and own[source] > (0 if is_largest or not source else 1):
        own[source], own[name] = own[source] - 1, 1
        donor[name], donor[source] = donor[name] - 1, donor[source] + 1


def _groups(samples: Mapping[int, Sample], feature: str) -> list[list[int]]:
    groups: dict[object, list[int]] = defaultdict(list)
    for index, sample in samples.items():
        value = sample.values.get(feature)
        groups[("sample", index) if value is None else ("value", str(value))].append(index)
    return list(groups.values())


def _by_groups(
    groups: list[list[int]], labels: Mapping[int, Hashable], shares: Mapping[str, float], random: Random
) -> dict[str, list[int]]:
    """Give the largest groups out first, each to the split that lacks most of the classes in it."""
    names = [name for name in shares if name]
    if len(groups) < len(names):
        raise InvalidInput(f"There are {len(groups)} groups of samples, too few for {len(names)} splits.")
    random.shuffle(groups)
    groups.sort(key=len, reverse=True)
    totals = Counter(labels.values())
    lacking = {name: {label: totals[label] * share for label in totals} for name, share in shares.items()}
    members: dict[str, list[list[int]]] = {name: [] for name in shares}
    for group in groups:
        held = Counter(labels[index] for index in group)

        def need(name: str, held: Counter = held) -> float:
            return sum(count * lacking[name][label] / totals[label] for label, count in held.items())

        chosen = max(shares, key=need)
        members[chosen].append(group)
        for label, count in held.items():
            lacking[chosen][label] -= count
    for name in names:
        if not members[name]:
            richest = max(members, key=lambda other: len(members[other]))
            members[name].append(members[richest].pop())
    return {name: [index for group in given for index in group] for name, given in members.items()}
