"""Random splits: equal shares of every class, groups that stay together, the same for the same seed."""

from collections import Counter

import pytest

from app.datasets.description import Sample
from app.datasets.splits import USUAL_FRACTIONS, divide, fold_fractions
from app.errors import InvalidInput


def labelled(counts, **values):
    """Return samples by index: `counts[class]` of each class, mixed."""
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    return {
        index: Sample((f"{index}.png",), (label,), values={name: of(index) for name, of in values.items()})
        for index, label in enumerate(labels)
    }


def class_counts(samples, splits):
    return {
        name: Counter(samples[index].classes[0] for index in indexes if samples[index].classes)
        for name, indexes in splits.items()
    }


def test_each_split_has_its_share_of_each_class_and_of_all():
    samples = labelled([700, 200, 61, 39])
    splits = divide(samples, USUAL_FRACTIONS, seed=3)
    assert sorted(sum(splits.values(), ())) == list(samples)
    assert {name: len(indexes) for name, indexes in splits.items()} == {"training": 700, "validation": 150, "test": 150}
    for name, counts in class_counts(samples, splits).items():
        for label, total in enumerate([700, 200, 61, 39]):
            assert abs(counts[label] - total * USUAL_FRACTIONS[name]) < 2, (name, label)


def test_the_seed_decides_and_is_stable():
    samples = labelled([60, 40])
    first = divide(samples, USUAL_FRACTIONS, seed=1)
    assert divide(samples, USUAL_FRACTIONS, seed=1) == first != divide(samples, USUAL_FRACTIONS, seed=2)
    # Written down, so that a change of the algorithm does not go unnoticed: published splits have to come back.
    assert divide(labelled([6, 4]), USUAL_FRACTIONS, seed=1) == STABLE


STABLE = {"training": (0, 1, 4, 5, 7, 8, 9), "validation": (3, 6), "test": (2,)}


@pytest.mark.parametrize("fractions", [USUAL_FRACTIONS, {"training": 0.98, "validation": 0.01, "test": 0.01}])
@pytest.mark.parametrize("counts", [[40] * 20, [952] + [2, 3] * 9 + [1, 2], [1000], [300, 1, 1, 1, 1]])
def test_sizes_are_kept_whatever_the_classes(counts, fractions):
    samples = labelled(counts)
    splits = divide(samples, fractions, seed=0)
    for name, fraction in fractions.items():
        assert abs(len(splits[name]) - len(samples) * fraction) < 1, name
    learned = class_counts(samples, splits)["training"]
    assert all(learned[label] for label in range(len(counts)))
    tested = class_counts(samples, splits)["test"]
    assert all(2 * (tested[label] + 1) >= count * fractions["test"] for label, count in enumerate(counts))


def test_no_split_is_empty_while_there_are_samples():
    fractions = {"training": 0.98, "validation": 0.01, "test": 0.01}
    assert [len(indexes) for indexes in divide(labelled([10, 10]), fractions, seed=0).values()] == [18, 1, 1]


@pytest.mark.parametrize(
    ("counts", "sizes"), [([1], [1, 0, 0]), ([2], [1, 1, 0]), ([3], [1, 1, 1]), ([6], [4, 1, 1]), ([10], [7, 2, 1])]
)
def test_tiny_classes(counts, sizes):
    splits = divide(labelled(counts), USUAL_FRACTIONS, seed=0)
    assert sorted(map(len, splits.values()), reverse=True) == sizes and len(splits["training"]) == sizes[0]


def test_every_class_is_learned_though_it_has_one_sample():
    samples = labelled([100, 1, 1, 2, 3])
    for seed in range(20):
        counts = class_counts(samples, divide(samples, USUAL_FRACTIONS, seed=seed))
        assert all(counts["training"][label] for label in range(5))
        assert all(counts[name][4] == 1 for name in USUAL_FRACTIONS)


def test_rare_combinations_of_classes_are_shared_out_too():
    samples = {index: Sample((f"{index}.png",), (index, index + 1)) for index in range(100)}
    sizes = {name: len(indexes) for name, indexes in divide(samples, USUAL_FRACTIONS, seed=0).items()}
    assert sizes == {"training": 70, "validation": 15, "test": 15}


def test_without_classes_and_without_stratification():
    masks = {index: Sample((f"{index}.png",), mask=f"m/{index}.png") for index in range(20)}
    assert [len(indexes) for indexes in divide(masks, USUAL_FRACTIONS, seed=0).values()] == [14, 3, 3]
    samples = labelled([50, 50])
    spread = {
        class_counts(samples, divide(samples, USUAL_FRACTIONS, seed=seed, is_stratified=False))["test"][0]
        for seed in range(10)
    }
    assert len(spread) > 2


def test_fractions_that_leave_some_out_and_empty_ones():
    splits = divide(labelled([50, 50]), {"training": 0.5, "validation": 0, "test": 0.2}, seed=0)
    assert {name: len(indexes) for name, indexes in splits.items()} == {"training": 50, "validation": 0, "test": 20}


def test_groups_stay_together_and_classes_in_their_shares():
    samples = labelled([300, 150], patient=lambda index: f"p{index // 5}")
    for seed in range(5):
        splits = divide(samples, USUAL_FRACTIONS, seed=seed, group_by="patient")
        patients = {name: {samples[index].values["patient"] for index in splits[name]} for name in splits}
        assert not (patients["training"] & patients["validation"] or patients["training"] & patients["test"])
        assert not patients["validation"] & patients["test"]
        assert sorted(sum(splits.values(), ())) == list(samples)
        for name, counts in class_counts(samples, splits).items():
            assert (
                abs(counts[0] - 300 * USUAL_FRACTIONS[name]) <= 5 and abs(counts[1] - 150 * USUAL_FRACTIONS[name]) <= 5
            )


def test_samples_without_the_feature_are_single():
    samples = {index: Sample((f"{index}.png",), (0,)) for index in range(10)}
    assert len(divide(samples, USUAL_FRACTIONS, seed=0, group_by="patient")["training"]) == 7


def test_few_groups_of_unlike_size_fill_every_split():
    samples = labelled([50], patient=lambda index: "big" if index < 40 else f"p{index % 2}")
    splits = divide(samples, USUAL_FRACTIONS, seed=0, group_by="patient")
    assert sorted(map(len, splits.values())) == [5, 5, 40] and len(splits["training"]) == 40
    with pytest.raises(InvalidInput, match="3 groups of samples, too few for 5"):
        divide(samples, fold_fractions(5), seed=0, group_by="patient")


@pytest.mark.parametrize("count", [2, 5, 10])
def test_folds_are_alike(count):
    samples = labelled([103, 51])
    splits = divide(samples, fold_fractions(count), seed=4)
    assert list(splits) == [f"fold_{number}" for number in range(1, count + 1)]
    assert sorted(sum(splits.values(), ())) == list(samples)
    for label, total in enumerate([103, 51]):
        counts = [counts[label] for counts in class_counts(samples, splits).values()]
        assert max(counts) - min(counts) <= 2 and sum(counts) == total


def test_many_small_classes_make_equal_folds():
    splits = divide(labelled([5] * 20), fold_fractions(4), seed=0)
    assert [len(indexes) for indexes in splits.values()] == [25, 25, 25, 25]


def test_classes_of_one_sample_are_learned_not_tested():
    splits = divide(labelled([1] * 10 + [100]), USUAL_FRACTIONS, seed=0)
    assert set(range(10)) <= set(splits["training"])


def test_small_groups_even_out_what_large_ones_leave():
    sizes = [20, 10, 10] + [1] * 60
    patients = [f"p{number}" for number, size in enumerate(sizes) for _ in range(size)]
    samples = labelled([100], patient=lambda index: patients[index])
    for seed in range(20):
        splits = divide(samples, USUAL_FRACTIONS, seed=seed, group_by="patient")
        assert [len(indexes) for indexes in splits.values()] == [70, 15, 15]


def test_classes_seen_only_in_rare_combinations_get_their_shares():
    # Class 0 is in every tenth image, each time with others of its own.
    labels = [(0, 1 + index // 10) if index % 10 == 0 else (41,) for index in range(400)]
    samples = {index: Sample((f"{index}.png",), label) for index, label in enumerate(labels)}
    for seed in range(5):
        splits = divide(samples, USUAL_FRACTIONS, seed=seed)
        counts = {name: sum(0 in samples[index].classes for index in splits[name]) for name in splits}
        assert all(abs(counts[name] - 40 * share) <= 2 for name, share in USUAL_FRACTIONS.items())
