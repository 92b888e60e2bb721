"""Every number of a classification against scikit-learn and NumPy, written out once more by hand."""

import numpy as np
import pytest
from sklearn import metrics as sk

from app.metrics.bootstrap import intervals, resamples
from app.metrics.classification import summarise_classification

NAMES = ("a", "b", "c", "d")


def case(samples=120, classes=4, *, seed=0):
    generator = np.random.default_rng(seed)
    targets = generator.integers(0, classes, samples)
    logits = generator.normal(size=(samples, classes)) + 1.5 * np.eye(classes)[targets]
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), targets


def by_scikit_learn(probabilities, targets, weights=None):
    """Compute the overall scores the slow way, with a weight for each sample."""
    decided = probabilities.argmax(axis=1)
    confidence = probabilities.max(axis=1)
    weights = np.ones(len(targets)) if weights is None else weights
    error = 0.0
    for low in np.arange(15) / 15:
        inside = (confidence > low) & (confidence <= low + 1 / 15)
        if weights[inside].sum():
            accuracy = np.average((decided == targets)[inside], weights=weights[inside])
            error += abs(np.average(confidence[inside], weights=weights[inside]) - accuracy) * weights[inside].sum()
    arguments = {"sample_weight": weights}
    return {
        "accuracy": sk.accuracy_score(targets, decided, **arguments),
        "balanced_accuracy": sk.balanced_accuracy_score(targets, decided, **arguments),
        "macro_f1": sk.f1_score(targets, decided, average="macro", **arguments),
        "macro_roc_auc": np.mean(
            [sk.roc_auc_score(targets == k, probabilities[:, k], **arguments) for k in range(probabilities.shape[1])]
        ),
        "expected_calibration_error": error / weights.sum(),
    }


@pytest.mark.parametrize("classes", [2, 4])
def test_overall_numbers_equal_scikit_learn(classes):
    probabilities, targets = case(classes=classes)
    summary = summarise_classification(probabilities, targets, NAMES[:classes])
    for name, value in by_scikit_learn(probabilities, targets).items():
        assert summary[name] == pytest.approx(value, abs=1e-12), name


def test_a_confidence_on_the_edge_of_two_bins_belongs_to_the_lower_one():
    probabilities, targets = np.array([[0.6, 0.4], [0.58, 0.42]]), np.array([0, 1])  # 0.6 is nine of fifteen bins

    error = summarise_classification(probabilities, targets, NAMES[:2])["expected_calibration_error"]

    assert error == pytest.approx(abs(0.6 - 1 + 0.58) / 2)


def test_the_macro_area_is_that_of_one_class_against_the_rest():
    probabilities, targets = case()
    expected = sk.roc_auc_score(targets, probabilities, multi_class="ovr", average="macro")
    assert summarise_classification(probabilities, targets, NAMES)["macro_roc_auc"] == pytest.approx(expected)


def test_numbers_of_a_class_equal_scikit_learn():
    probabilities, targets = case()
    decided = probabilities.argmax(axis=1)
    matrix = sk.confusion_matrix(targets, decided)
    summary = summarise_classification(probabilities, targets, NAMES)
    assert summary["confusion_matrix"] == matrix.tolist()
    for label, name in enumerate(NAMES):
        is_class, is_decided = targets == label, decided == label
        assert summary["per_class"][name] == pytest.approx(
            {
                "precision": sk.precision_score(is_class, is_decided),
                "sensitivity": sk.recall_score(is_class, is_decided),
                "specificity": np.mean(~is_decided[~is_class]),
                "f1": sk.f1_score(is_class, is_decided),
                "roc_auc": sk.roc_auc_score(is_class, probabilities[:, label]),
                "images": matrix[label].sum(),
            }
        )


def test_intervals_are_the_percentiles_of_scikit_learns_numbers_over_resamples():
    probabilities, targets = case(samples=60)
    drawn = [by_scikit_learn(probabilities, targets, weights) for weights in resamples(60, 1000)]
    summary = summarise_classification(probabilities, targets, NAMES)
    for name in drawn[0]:
        expected = np.percentile([scores[name] for scores in drawn], [2.5, 97.5])
        np.testing.assert_allclose(summary["intervals"][name], expected, atol=1e-9, err_msg=name)
    assert summary["interval_method"] == "95 % percentile bootstrap over images, 1000 resamples"


def test_resamples_that_lack_a_number_are_left_out_of_its_interval():
    known = np.linspace(0.4, 0.9, 30)
    values = np.stack([np.concatenate([known, np.full(10, np.nan)]), np.full(40, np.nan)], axis=1)

    low, high = intervals(values)

    assert (low[0], high[0]) == pytest.approx(tuple(np.percentile(known, [2.5, 97.5])))
    assert np.isnan(low[1]) and np.isnan(high[1])


def test_intervals_of_a_class_hold_its_number_and_shrink_with_the_samples():
    few, many = (summarise_classification(*case(samples=samples), NAMES) for samples in (60, 2000))
    for summary in (few, many):
        for name, scores in summary["per_class"].items():
            for score, (low, high) in summary["intervals"]["per_class"][name].items():
                assert low <= scores[score] <= high
    narrow, wide = (
        summary["intervals"]["per_class"]["a"]["sensitivity"][1]
        - summary["intervals"]["per_class"]["a"]["sensitivity"][0]
        for summary in (many, few)
    )
    assert narrow < wide / 3


def test_an_interval_covers_the_truth_about_as_often_as_it_says():
    is_covered = []
    for seed in range(60):
        probabilities, targets = case(samples=200, classes=2, seed=seed)
        low, high = summarise_classification(probabilities, targets, "ab")["intervals"]["accuracy"]
        is_covered.append(low <= TRUE_ACCURACY <= high)
    assert 0.85 <= np.mean(is_covered) <= 1


# The probability that a normal variable of mean 1.5 is greater than one of mean 0: Phi(1.5 / sqrt(2)).
TRUE_ACCURACY = 0.8556


def test_a_class_without_samples_has_no_area_and_a_class_that_is_never_predicted_scores_0():
    probabilities = np.array([[0.9, 0.1, 0], [0.2, 0.8, 0], [0.6, 0.4, 0], [0.1, 0.9, 0]])
    summary = summarise_classification(probabilities, np.array([0, 1, 1, 1]), ["a", "b", "c"])
    assert summary["accuracy"] == 0.75
    assert summary["balanced_accuracy"] == pytest.approx((1 + 2 / 3) / 2)
    assert summary["confusion_matrix"] == [[1, 0, 0], [1, 2, 0], [0, 0, 0]]
    nothing = {"precision": 0, "sensitivity": 0, "specificity": 1, "f1": 0, "roc_auc": None, "images": 0}
    assert summary["per_class"]["c"] == nothing
    assert summary["intervals"]["per_class"]["c"]["roc_auc"] == [None, None]
    assert summary["macro_roc_auc"] == 1.0


def test_one_sample_and_one_class_are_counted():
    summary = summarise_classification(np.array([[1.0]]), np.array([0]), ["only"])
    assert summary["accuracy"] == 1
    assert summary["intervals"]["accuracy"] == [1, 1]
    assert summary["macro_roc_auc"] is None


def test_equal_scores_share_their_place_in_the_ranking():
    probabilities = np.array([[0.5, 0.5], [0.5, 0.5], [0.2, 0.8], [0.5, 0.5]])
    targets = np.array([0, 1, 1, 0])
    summary = summarise_classification(probabilities, targets, ["a", "b"])
    assert summary["per_class"]["b"]["roc_auc"] == sk.roc_auc_score(targets, probabilities[:, 1]) == 0.75
