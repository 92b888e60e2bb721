import numpy as np
import pytest

from app.metrics.classification import summarise_classification
from app.metrics.segmentation import decide, region_scores, summarise_segmentation


def test_a_small_classification_is_counted_as_one_would_on_paper():
    probabilities = np.array([[0.9, 0.1, 0], [0.2, 0.8, 0], [0.6, 0.4, 0], [0.1, 0.9, 0]])
    targets = np.array([0, 1, 1, 1])

    summary = summarise_classification(probabilities, targets, ["a", "b", "c"])

    assert summary["accuracy"] == 0.75
    assert summary["balanced_accuracy"] == pytest.approx((1 + 2 / 3) / 2)
    assert summary["confusion_matrix"] == [[1, 0, 0], [1, 2, 0], [0, 0, 0]]
    assert summary["per_class"]["b"] == pytest.approx({"precision": 1, "recall": 2 / 3, "f1": 0.8, "images": 3})
    assert summary["per_class"]["c"] == {"precision": 0, "recall": 0, "f1": 0, "images": 0}


def test_a_small_segmentation_is_counted_as_one_would_on_paper():
    target = np.array([[0, 1], [2, 2]])
    prediction = np.array([[0, 1], [1, 2]])

    scores = region_scores(prediction, target, 3)
    summary = summarise_segmentation([scores, region_scores(target, target, 3)], ["background", "a", "b"])

    assert scores["dice"] == pytest.approx([2 / 3, 2 / 3])
    assert scores["iou"] == pytest.approx([1 / 2, 1 / 2])
    assert summary["dice"] == pytest.approx(5 / 6)
    assert summary["iou_per_class"] == pytest.approx({"a": 0.75, "b": 0.75})


@pytest.mark.parametrize(
    ("classes", "name"), [([], "foreground"), (["nucleus"], "nucleus"), (["back", "cell"], "cell")]
)
def test_the_one_foreground_class_has_its_name(classes, name):
    map_of_ones = np.ones((2, 2), dtype=int)

    summary = summarise_segmentation([region_scores(map_of_ones, map_of_ones, 2)], classes)

    assert summary["dice_per_class"] == {name: 1.0}


def test_the_foreground_begins_at_one_half():
    assert decide(np.array([[[0.49, 0.5]]])).tolist() == [[0, 1]]
    assert decide(np.array([[[0.2, 0.5]], [[0.3, 0.1]], [[0.5, 0.4]]])).tolist() == [[2, 0]]
