"""Pictures of curves, ROC curves and confusion matrices, by Matplotlib and scikit-learn.

The web process loads neither: it runs this module as a program of its own, `python -m app.metrics.plots`, gives it a
request as JSON on standard input, and takes the picture from its standard output.
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from sklearn.metrics import ConfusionMatrixDisplay, auc, roc_curve

INCHES = (6.4, 4.8)
DOTS_PER_INCH = 120
MOST_LABELS = 20  # of a legend or an axis: more cannot be read
MOST_NUMBERS = 15  # of classes whose matrix has its counts written in


def draw(request: Mapping) -> Figure:
    """Draw one plot.

    Args:
        request: `plot`, a key of `PLOTS`, and what that function takes.
    """
    arguments = {name: value for name, value in request.items() if name not in ("plot", "format")}
    figure = Figure(figsize=INCHES, layout="constrained")
    PLOTS[request["plot"]](figure.add_subplot(), **arguments)
    return figure


def curves(axes: Axes, curves: Mapping[str, Sequence[Mapping]], quantity: str) -> None:
    """Draw a quantity by epoch, a line for each split.

    Args:
        axes: drawn on.
        curves: by split, rows with `epoch` and the quantity.
        quantity: the key of a row: `loss`, or the name of a metric.
    """
    for split, rows in curves.items():
        axes.plot([row["epoch"] for row in rows], [row.get(quantity, np.nan) for row in rows], marker=".", label=split)
    axes.set(xlabel="epoch", ylabel=quantity.replace("_", " "))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend()


def roc(axes: Axes, scores: Sequence[Sequence[float]], targets: Sequence, classes: Sequence[str]) -> None:
    """Draw the ROC curve of each class against all others; classes without, or with all, images have none.

    Args:
        axes: drawn on.
        scores: `(N, K)`.
        targets: class indexes `(N,)`, or lists of them.
        classes: the K names.
    """
    values = np.asarray(scores)
    members = [set(target) if isinstance(target, list) else {target} for target in targets]
    drawn = 0
    for label, name in enumerate(classes):
        is_class = np.array([label in labels for labels in members])
        if not 0 < is_class.sum() < len(is_class):
            continue
        false_positives, true_positives, _ = roc_curve(is_class, values[:, label])
        legend = f"{name} ({auc(false_positives, true_positives):.3f})" if drawn < MOST_LABELS else None
        axes.plot(false_positives, true_positives, label=legend)
        drawn += 1
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":")
    axes.set(xlabel="1 - specificity", ylabel="sensitivity", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    axes.grid(alpha=0.3)
    if drawn:
        axes.legend(title="class (area)", loc="lower right", fontsize="small")


def confusion_matrix(axes: Axes, matrix: Sequence[Sequence[int]], classes: Sequence[str]) -> None:
    """Draw a confusion matrix, a row for each true class, coloured by the fraction of its row.

    Args:
        axes: drawn on.
        matrix: counts `(K, K)`.
        classes: the K names.
    """
    counts = np.asarray(matrix)
    fractions = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    display = ConfusionMatrixDisplay(fractions, display_labels=classes)
    display.plot(ax=axes, cmap="Blues", include_values=False, im_kw={"vmin": 0, "vmax": 1})
    axes.set_xticks(axes.get_xticks(), classes, rotation=45, ha="right", rotation_mode="anchor")
    if len(classes) <= MOST_NUMBERS:
        for (row, column), count in np.ndenumerate(counts):
            colour = "white" if fractions[row, column] > 0.5 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize="small")
    if len(classes) > MOST_LABELS:
        axes.set(xticks=[], yticks=[])
    axes.set(xlabel="decided class", ylabel="true class")


PLOTS: dict[str, Callable[..., None]] = {"curves": curves, "roc": roc, "confusion_matrix": confusion_matrix}


def main() -> None:
    """Read a request, write the picture."""
    request = json.load(sys.stdin)
    mpl.rcParams["svg.hashsalt"] = "deephealth"  # the same request gives the same bytes
    metadata = {"Date": None} if request["format"] == "svg" else {}
    draw(request).savefig(sys.stdout.buffer, format=request["format"], dpi=DOTS_PER_INCH, metadata=metadata)


if __name__ == "__main__":
    main()
