"""The numbers of a split whose images have any number of classes: each class is a question of its own.

They are scikit-learn's values, each with a bootstrap interval over the samples.
"""

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import precision_recall_fscore_support, recall_score

from app.metrics.bootstrap import intervals, resample_count, resamples, shown, shown_bounds
from app.metrics.classification import named_scores
from app.metrics.ranking import Ranking, area_under_curve
from app.metrics.ratios import known_mean, ratio

THRESHOLD = 0.5
OVERALL = ("binary_accuracy", "exact_match", "macro_f1", "macro_roc_auc")


def summarise_multi_label(probabilities: np.ndarray, present: np.ndarray, classes: Sequence[str]) -> dict:
    """Compute the metrics of a whole split at once.

    Args:
        probabilities: `(N, K)`, independent of each other; a class is decided to be there from 0.5 on.
        present: `(N, K)` bool, the classes that are there.
        classes: the K names.

    Returns:
        Binary accuracy (right decisions of all N x K), exact match (images all of whose decisions are right), macro F1
        and macro ROC AUC; precision, sensitivity, specificity, F1, ROC AUC and count of each class. A ratio without
        cases is 0; an area under no curve (a class with none or all of the samples) is None, and the mean leaves it
        out. `intervals` has the 95 % interval of each.
    """
    count = resample_count(*probabilities.shape)
    summary = {"images": len(present), **named_scores(_values(probabilities, present), OVERALL, classes, shown)}
    for name, images in zip(classes, present.sum(axis=0), strict=True):
        summary["per_class"][name]["images"] = int(images)
    return summary | {
        "intervals": named_scores(_bounds(probabilities, present, count), OVERALL, classes, shown_bounds),
        "interval_method": f"95 % percentile bootstrap over images, {count} resamples",
    }


def _values(probabilities: np.ndarray, present: np.ndarray) -> dict[str, np.ndarray]:
    """Compute every score by scikit-learn, a class at a time: a number, or `(K,)`."""
    decided = probabilities >= THRESHOLD
    rows = [
        (
            *precision_recall_fscore_support(truth, decision, average="binary", zero_division=0.0)[:3],
            recall_score(~truth, ~decision, zero_division=0.0),
            area_under_curve(truth, scores),
        )
        for truth, decision, scores in zip(present.T, decided.T, probabilities.T, strict=True)
    ]
    precision, sensitivity, f1, specificity, areas = np.array(rows, dtype=np.float64).T
    right = decided == present
    return {
        "binary_accuracy": right.mean(),
        "exact_match": right.all(axis=1).mean(),
        "macro_f1": f1.mean(),
        "macro_roc_auc": known_mean(areas),
        "precision": precision,
        "sensitivity": sensitivity,
        "specificity": specificity,
        "f1": f1,
        "roc_auc": areas,
    }


def _bounds(probabilities: np.ndarray, present: np.ndarray, count: int) -> dict[str, np.ndarray]:
    """Compute lower and upper bound of every score: `(2,)`, or `(2, K)`."""
    decided = probabilities >= THRESHOLD
    # Of each sample: hits, true and decided classes, right decisions, and whether all are right.
    right = decided == present
    columns = np.hstack([decided & present, present, decided, right, right.all(axis=1, keepdims=True)])
    counted = columns.astype(np.float64)
    rankings = [Ranking(truth, scores) for truth, scores in zip(present.T, probabilities.T, strict=True)]
    samples, classes = present.shape
    sums, areas = np.empty((count, counted.shape[1])), np.empty((count, classes))
    for number, weights in enumerate(resamples(samples, count)):
        sums[number] = weights @ counted
        areas[number] = [ranking.area(weights) for ranking in rankings]
    hits, true, found, right_decisions = (sums[:, start : start + classes] for start in range(0, 4 * classes, classes))
    others = samples - true
    f1 = ratio(2 * hits, true + found)
    scores = {
        "binary_accuracy": right_decisions.mean(axis=1) / samples,
        "exact_match": sums[:, -1] / samples,
        "macro_f1": f1.mean(axis=1),
        "macro_roc_auc": known_mean(areas),
        "precision": ratio(hits, found),
        "sensitivity": ratio(hits, true),
        "specificity": ratio(others - (found - hits), others),
        "f1": f1,
        "roc_auc": areas,
    }
    return {name: intervals(values) for name, values in scores.items()}
