"""The numbers of a classification split, by scikit-learn."""

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support


def summarise_classification(probabilities: np.ndarray, targets: np.ndarray, classes: Sequence[str]) -> dict:
    """Compute the metrics of a whole split at once.

    Args:
        probabilities: `(N, K)`.
        targets: class indexes `(N,)`.
        classes: the K names.

    Returns:
        Accuracy, balanced accuracy, macro F1, precision / recall / F1 / count per class (0 where a class was never
        predicted), and the confusion matrix with a row for each true class and a column for each predicted one.
    """
    decided = probabilities.argmax(axis=1)
    labels = list(range(len(classes)))
    precision, recall, f1, counts = precision_recall_fscore_support(targets, decided, labels=labels, zero_division=0.0)
    present = counts > 0
    return {
        "images": len(targets),
        "accuracy": float(accuracy_score(targets, decided)),
        "balanced_accuracy": float(np.mean(recall[present])) if present.any() else float("nan"),
        "macro_f1": float(np.mean(f1)),
        "per_class": {
            name: {
                "precision": float(precision[index]),
                "recall": float(recall[index]),
                "f1": float(f1[index]),
                "images": int(counts[index]),
            }
            for index, name in enumerate(classes)
        },
        "confusion_matrix": confusion_matrix(targets, decided, labels=labels).tolist(),
    }
