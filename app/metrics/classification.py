"""The numbers of a classification split: scikit-learn's values, each with a bootstrap interval over the samples."""

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    precision_recall_fscore_support,
    recall_score,
)

from app.metrics.bootstrap import intervals, resample_count, resamples, shown, shown_bounds
from app.metrics.calibration import Calibration
from app.metrics.ranking import Ranking, area_under_curve
from app.metrics.ratios import known_mean, ratio

PER_CLASS = ("precision", "sensitivity", "specificity", "f1", "roc_auc")
OVERALL = ("accuracy", "balanced_accuracy", "macro_f1", "macro_roc_auc", "expected_calibration_error")


def summarise_classification(probabilities: np.ndarray, targets: np.ndarray, classes: Sequence[str]) -> dict:
    """Compute the metrics of a whole split at once.

    Args:
        probabilities: `(N, K)`, each row summing to 1; the most probable class is the decided one.
        targets: class indexes `(N,)`.
        classes: the K names.

    Returns:
        Accuracy, balanced accuracy (mean sensitivity of the classes that have samples), macro F1 and macro ROC AUC
        (one class against all others), expected calibration error; precision, sensitivity, specificity, F1, ROC AUC
        and count of each class; the confusion matrix with a row for each true class and a column for each predicted
        one. A ratio without cases is 0, as in scikit-learn; an area under no curve (a class with none or all of the
        samples) is None. `intervals` has the 95 % interval of each.
    """
    scores = _values(probabilities, targets)
    matrix = confusion_matrix(targets, probabilities.argmax(axis=1), labels=range(len(classes)))
    count = resample_count(*probabilities.shape)
    summary = {"images": len(targets), **named_scores(scores, OVERALL, classes, shown)}
    for name, images in zip(classes, matrix.sum(axis=1), strict=True):
        summary["per_class"][name]["images"] = int(images)
    return summary | {
        "confusion_matrix": matrix.tolist(),
        "intervals": named_scores(_bounds(probabilities, targets, count), OVERALL, classes, shown_bounds),
        "interval_method": f"95 % percentile bootstrap over images, {count} resamples",
    }


def named_scores(scores: dict[str, np.ndarray], overall: Sequence[str], classes: Sequence[str], show) -> dict:
    """Name what belongs to a class by the class; the last axis of such scores is that of the classes."""
    return {
        **{name: show(scores[name]) for name in overall},
        "per_class": {
            label: {name: show(scores[name][..., index]) for name in PER_CLASS} for index, label in enumerate(classes)
        },
    }


def _values(probabilities: np.ndarray, targets: np.ndarray) -> dict[str, np.ndarray]:
    """Compute every score by scikit-learn: a number, or `(K,)`."""
    labels = np.arange(probabilities.shape[1])
    decided = probabilities.argmax(axis=1)
    precision, sensitivity, f1, _ = precision_recall_fscore_support(targets, decided, labels=labels, zero_division=0.0)
    # The specificity of a class is the sensitivity of "another class".
    specificity = [recall_score(targets != label, decided != label, zero_division=0.0) for label in labels]
    areas = np.array([area_under_curve(targets == label, probabilities[:, label]) for label in labels])
    present = np.isin(labels, targets)
    return {
        "accuracy": np.float64(accuracy_score(targets, decided)),
        # scikit-learn's own warns of predicted classes that have no samples, and leaves them out as well.
        "balanced_accuracy": np.mean(sensitivity[present]) if present.any() else np.float64("nan"),
        "macro_f1": np.mean(f1),
        "macro_roc_auc": known_mean(areas),
        "expected_calibration_error": np.float64(Calibration(probabilities, targets).error(np.ones(len(targets)))),
        "precision": precision,
        "sensitivity": sensitivity,
        "specificity": np.array(specificity),
        "f1": f1,
        "roc_auc": areas,
    }


def _bounds(probabilities: np.ndarray, targets: np.ndarray, count: int) -> dict[str, np.ndarray]:
    """Compute lower and upper bound of every score: `(2,)`, or `(2, K)`."""
    classes = probabilities.shape[1]
    cells = targets * classes + probabilities.argmax(axis=1)
    calibration = Calibration(probabilities, targets)
    rankings = [Ranking(targets == label, probabilities[:, label]) for label in range(classes)]
    matrices = np.empty((count, classes, classes))
    errors, areas = np.empty(count), np.empty((count, classes))
    for number, weights in enumerate(resamples(len(targets), count)):
        matrices[number] = np.bincount(cells, weights, classes * classes).reshape(classes, classes)
        errors[number] = calibration.error(weights)
        areas[number] = [ranking.area(weights) for ranking in rankings]
    scores = _scores_of_matrices(matrices)
    scores |= {"expected_calibration_error": errors, "roc_auc": areas, "macro_roc_auc": known_mean(areas)}
    return {name: intervals(values) for name, values in scores.items()}


def _scores_of_matrices(matrices: np.ndarray) -> dict[str, np.ndarray]:
    """Compute what follows from confusion matrices `(R, K, K)`: `(R,)` or `(R, K)`; it equals scikit-learn's values."""
    total = matrices.sum(axis=(1, 2))
    hits = np.einsum("rkk->rk", matrices)
    true, decided = matrices.sum(axis=2), matrices.sum(axis=1)
    others = total[:, np.newaxis] - true
    sensitivity = ratio(hits, true)
    f1 = ratio(2 * hits, true + decided)
    return {
        "accuracy": hits.sum(axis=1) / total,
        "balanced_accuracy": known_mean(np.where(true > 0, sensitivity, np.nan)),
        "macro_f1": f1.mean(axis=1),
        "precision": ratio(hits, decided),
        "sensitivity": sensitivity,
        "specificity": ratio(others - (decided - hits), others),
        "f1": f1,
    }
