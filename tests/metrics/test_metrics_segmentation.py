"""Scores of masks against MONAI, NumPy and paper."""

import numpy as np
import pytest
import torch
from monai.metrics import compute_dice, compute_hausdorff_distance, compute_iou
from sklearn.metrics import f1_score, jaccard_score

from app.metrics.segmentation import decide, region_scores, summarise_segmentation
from app.metrics.surfaces import hausdorff_95


def blobs(seed, shape=(61, 47), classes=3):
    """Make a class map of a few rectangles."""
    generator = np.random.default_rng(seed)
    class_map = np.zeros(shape, np.uint8)
    for label in [*range(1, classes)] * 2:
        top, left = (int(generator.integers(0, side - 12)) for side in shape)
        height, width = generator.integers(4, 25, 2)
        class_map[top : top + height, left : left + width] = label
    return class_map


def planes(class_map, classes=3):
    return torch.from_numpy((class_map[np.newaxis] == np.arange(classes)[:, np.newaxis, np.newaxis])[np.newaxis])


@pytest.mark.parametrize("seed", range(12))
def test_scores_of_an_image_equal_monai_and_scikit_learn(seed):
    prediction, target = blobs(seed), blobs(seed + 100)
    scores = region_scores(prediction, target, 3)
    ours, theirs = planes(prediction), planes(target)
    arguments = {"include_background": False}
    np.testing.assert_allclose(scores["dice"], compute_dice(ours, theirs, **arguments)[0], atol=1e-6)
    np.testing.assert_allclose(scores["iou"], compute_iou(ours, theirs, **arguments)[0], atol=1e-6)
    truth, decided = target.ravel(), prediction.ravel()
    np.testing.assert_allclose(scores["dice"], f1_score(truth, decided, labels=[1, 2], average=None), atol=1e-12)
    np.testing.assert_allclose(scores["iou"], jaccard_score(truth, decided, labels=[1, 2], average=None), atol=1e-12)
    distances = compute_hausdorff_distance(ours, theirs, percentile=95, **arguments)[0]
    np.testing.assert_allclose(scores["hd95"], distances, rtol=1e-6)


def test_a_distance_is_that_of_outlines():
    prediction, target = np.zeros((2, 30, 30), bool)
    prediction[5:10, 5:10] = True
    target[5:10, 9:14] = True  # the same square, 4 pixels on
    assert hausdorff_95(prediction, target) == 4
    assert hausdorff_95(prediction, prediction) == 0


def test_the_rule_for_empty_masks():
    empty, full = np.zeros((8, 8), np.uint8), np.ones((8, 8), np.uint8)
    assert region_scores(empty, empty, 2) == {"dice": [1.0], "iou": [1.0], "hd95": [0.0]}
    assert region_scores(full, empty, 2) == {"dice": [0.0], "iou": [0.0], "hd95": [None]}
    rows = [region_scores(full, empty, 2), *[region_scores(full, full, 2)] * 3]
    summary = summarise_segmentation(rows, ["nucleus"])
    assert summary["dice"] == 0.75
    assert summary["hd95"] == 0.0
    assert summary["hd95_undefined"] == {"nucleus": 1}


def test_a_distance_that_no_image_has_is_none():
    empty, full = np.zeros((8, 8), np.uint8), np.ones((8, 8), np.uint8)
    summary = summarise_segmentation([region_scores(full, empty, 2)] * 3, [])
    assert summary["hd95"] is None
    assert summary["hd95_per_class"] == {"foreground": None}
    assert summary["intervals"]["hd95"] == [None, None]


def test_a_small_segmentation_is_counted_as_one_would_on_paper():
    target = np.array([[0, 1], [2, 2]])
    prediction = np.array([[0, 1], [1, 2]])
    scores = region_scores(prediction, target, 3)
    summary = summarise_segmentation([scores, region_scores(target, target, 3)], ["background", "a", "b"])
    assert scores["dice"] == pytest.approx([2 / 3, 2 / 3])
    assert scores["iou"] == pytest.approx([1 / 2, 1 / 2])
    assert summary["dice"] == pytest.approx(5 / 6)
    assert summary["iou_per_class"] == pytest.approx({"a": 0.75, "b": 0.75})
    assert summary["intervals"]["dice"] == pytest.approx([2 / 3, 1])  # each image alone, or both


def test_intervals_are_those_of_the_mean_over_images():
    generator = np.random.default_rng(3)
    scores = generator.random((80, 2)) * (1.0, 0.2)
    rows = [{"dice": list(row), "iou": list(row), "hd95": list(row)} for row in scores]
    intervals = summarise_segmentation(rows, ["background", "a", "b"])["intervals"]
    found = [intervals["dice"], *intervals["dice_per_class"].values()]
    for bounds, values in zip(found, [scores.mean(axis=1), *scores.T], strict=True):
        margin = 1.96 * values.std() / np.sqrt(80)
        assert bounds == pytest.approx([values.mean() - margin, values.mean() + margin], abs=0.01)


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
