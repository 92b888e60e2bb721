"""Every number of a multi-label split against scikit-learn."""

import warnings

import numpy as np
import pytest
from sklearn import metrics as sk

from app.metrics.bootstrap import resamples
from app.metrics.multi_label import summarise_multi_label

NAMES = ("a", "b", "c", "d")
PER_CLASS = {"precision": sk.precision_score, "sensitivity": sk.recall_score, "f1": sk.f1_score}


def case(samples=150, classes=4):
    generator = np.random.default_rng(0)
    present = generator.random((samples, classes)) < np.linspace(0.1, 0.6, classes)
    return np.clip(0.3 + 0.4 * present + generator.normal(0, 0.25, present.shape), 0, 1), present


def by_scikit_learn(probabilities, present, weights=None):
    decided = probabilities >= 0.5
    arguments = {"sample_weight": weights}
    by_class = zip(present.T, decided.T, strict=True)
    return {
        "exact_match": sk.accuracy_score(present, decided, **arguments),
        "binary_accuracy": np.mean([sk.accuracy_score(*pair, **arguments) for pair in by_class]),
        "macro_f1": sk.f1_score(present, decided, average="macro", **arguments),
        "macro_roc_auc": sk.roc_auc_score(present, probabilities, average="macro", **arguments),
    }


def test_numbers_equal_scikit_learn():
    probabilities, present = case()
    summary = summarise_multi_label(probabilities, present, NAMES)

    for name, value in by_scikit_learn(probabilities, present).items():
        assert summary[name] == pytest.approx(value, abs=1e-12), name
    for name, score in PER_CLASS.items():
        expected = score(present, probabilities >= 0.5, average=None)
        assert [summary["per_class"][label][name] for label in NAMES] == pytest.approx(expected.tolist()), name
    areas = sk.roc_auc_score(present, probabilities, average=None)
    assert [summary["per_class"][label]["roc_auc"] for label in NAMES] == pytest.approx(areas.tolist())
    specificity = sk.recall_score(~present, probabilities < 0.5, average=None)
    assert [summary["per_class"][label]["specificity"] for label in NAMES] == pytest.approx(specificity.tolist())
    assert [summary["per_class"][label]["images"] for label in NAMES] == present.sum(axis=0).tolist()
    assert summary["images"] == 150


def test_intervals_are_percentiles_of_scikit_learns_weighted_values():
    probabilities, present = case()
    summary = summarise_multi_label(probabilities, present, NAMES)
    drawn = [by_scikit_learn(probabilities, present, weights) for weights in resamples(150, 1000)]

    for name in drawn[0]:
        expected = np.percentile([scores[name] for scores in drawn], [2.5, 97.5])
        assert summary["intervals"][name] == pytest.approx(expected.tolist()), name


def test_a_class_that_no_image_has_and_one_that_all_have():
    present = np.array([[False, True], [False, True], [False, True]])
    probabilities = np.array([[0.1, 0.9], [0.7, 0.5], [0.2, 0.49]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        summary = summarise_multi_label(probabilities, present, ("never", "always"))

    never, always = summary["per_class"]["never"], summary["per_class"]["always"]
    assert (never["sensitivity"], never["precision"], never["roc_auc"]) == (0, 0, None)
    assert (always["sensitivity"], always["specificity"], always["roc_auc"]) == (pytest.approx(2 / 3), 0, None)
    assert summary["macro_roc_auc"] is None and summary["intervals"]["macro_roc_auc"] == [None, None]
    assert summary["exact_match"] == pytest.approx(1 / 3)


def test_a_single_class_is_a_question_of_its_own():
    probabilities, present = case(classes=1)
    summary = summarise_multi_label(probabilities, present, ("a",))
    assert summary["macro_f1"] == pytest.approx(sk.f1_score(present[:, 0], probabilities[:, 0] >= 0.5))
