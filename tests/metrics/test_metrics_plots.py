"""Plots: what is drawn, read back from the figure itself."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from app.metrics.plots import draw

ROWS = [{"epoch": 1, "loss": 0.7, "dice": 0.5}, {"epoch": 2, "loss": 0.4, "dice": 0.6}]


@pytest.mark.parametrize(("quantity", "values"), [("loss", [0.7, 0.4]), ("dice", [0.5, 0.6])])
def test_a_curve_is_a_line_for_each_split(quantity, values):
    curves = {"training": ROWS, "validation": ROWS[:1]}
    [axes] = draw({"plot": "curves", "curves": curves, "quantity": quantity}).axes
    training, validation = axes.lines
    assert training.get_xydata().tolist() == [[1, values[0]], [2, values[1]]]
    assert validation.get_xydata().tolist() == [[1, values[0]]]
    assert [text.get_text() for text in axes.get_legend().texts] == ["training", "validation"]
    assert axes.get_ylabel() == quantity


def test_a_roc_curve_of_each_class_that_has_one():
    generator = np.random.default_rng(0)
    scores = generator.dirichlet([1, 1, 1], 30)
    targets = generator.integers(0, 2, 30)
    request = {"plot": "roc", "scores": scores.tolist(), "targets": targets.tolist(), "classes": ["a", "b", "c"]}
    [axes] = draw(request).axes
    texts = [text.get_text() for text in axes.get_legend().texts]
    assert texts == [
        f"{name} ({roc_auc_score(targets == label, scores[:, label]):.3f})" for label, name in enumerate("ab")
    ]
    assert axes.lines[0].get_xydata()[[0, -1]].tolist() == [[0, 0], [1, 1]]


def test_targets_may_be_lists_of_classes():
    request = {"plot": "roc", "scores": [[0.9, 0.8], [0.1, 0.2]], "targets": [[0, 1], []], "classes": ["a", "b"]}
    [axes] = draw(request).axes
    assert [text.get_text() for text in axes.get_legend().texts] == ["a (1.000)", "b (1.000)"]


def test_a_confusion_matrix_has_its_counts_and_is_coloured_by_row():
    request = {"plot": "confusion_matrix", "matrix": [[3, 1], [0, 0]], "classes": ["a", "b"]}
    axes, _ = draw(request).axes
    assert [text.get_text() for text in axes.texts] == ["3", "1", "0", "0"]
    assert axes.images[0].get_array().tolist() == [[0.75, 0.25], [0, 0]]


def test_many_classes_are_drawn_without_numbers():
    names = [f"class {number}" for number in range(30)]
    axes, _ = draw({"plot": "confusion_matrix", "matrix": np.eye(30).tolist(), "classes": names}).axes
    assert len(axes.texts) == 0
    assert len(axes.get_xticks()) == 0
