"""Divide samples at random into splits: by classes in equal shares, by groups that stay together, by a seed.

Pure Python: the web process uses it. The same seed gives the same split on every machine.
"""

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping
from random import Random

from app.datasets.description import Sample
from app.errors import InvalidInput

USUAL_FRACTIONS = {"training": 0.7, "validation": 0.15, "test": 0.15}
NO_CLASS: tuple[int, ...] = ()

Splits = dict[str, tuple[int, ...]]


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
        is_stratified: whether each split gets its share of every class; a class of very few samples is in training
            first, then in as many splits as it has samples for.
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
    """Return the class, or classes, of each sample; combinations too rare to be shared out count as one."""
    labels = {index: sample.classes or NO_CLASS for index, sample in samples.items()}
    counts = Counter(labels.values())
    return {
        index: label if len(label) == 1 or counts[label] >= split_count else NO_CLASS for index, label in labels.items()
    }


def _by_strata(labels: Mapping[int, Hashable], shares: Mapping[str, float], random: Random) -> dict[str, list[int]]:
    strata = defaultdict(list)
    for index, label in labels.items():
        strata[label].append(index)
    parts: dict[str, list[int]] = {name: [] for name in shares}
    owed = dict.fromkeys(shares, 0.0)
    for label in sorted(strata, key=str):
        members = strata[label]
        random.shuffle(members)
        total = len(members)
        for name, count in _apportion(total, shares, owed).items():
            owed[name] += total * shares[name] - count
            parts[name] += [members.pop() for _ in range(count)]
    return parts


def _apportion(count: int, shares: Mapping[str, float], owed: Mapping[str, float]) -> dict[str, int]:
    """Return how many of `count` samples each split gets, and see that none goes without while there are enough.

    `owed` is what rounding took from a split before, so that the sums over many small classes come out right.
    """
    wanted = {name: max(count * share + owed[name], 0) for name, share in shares.items()}
    scale = count / sum(wanted.values())
    counts = {name: int(want * scale) for name, want in wanted.items()}
    by_need = sorted(shares, key=lambda name: counts[name] - wanted[name] * scale)
    for name in by_need[: count - sum(counts.values())]:
        counts[name] += 1
    for name in sorted(shares, key=lambda name: -shares[name]):
        largest = max(counts, key=lambda other: (counts[other], shares[other]))
        if name and not counts[name] and counts[largest] > 1:
            counts[name], counts[largest] = 1, counts[largest] - 1
    return _lead(counts, shares)


def _lead(counts: dict[str, int], shares: Mapping[str, float]) -> dict[str, int]:
    """Give a lone sample to the split with the largest share, if one has: what is not learned cannot be tested."""
    leader = max(shares, key=lambda name: (bool(name), shares[name]))
    is_alone = [share for name, share in shares.items() if name].count(shares[leader]) == 1
    if counts and not counts[leader] and is_alone:
        giver = max(counts, key=lambda name: counts[name])
        counts[leader], counts[giver] = 1, counts[giver] - 1
    return counts


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
