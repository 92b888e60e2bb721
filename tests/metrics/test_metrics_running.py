import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from app.metrics.running import RUNNING_METRICS


def class_case(samples=37):
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(samples, 4))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return probabilities, generator.integers(0, 4, samples)


def mask_case(samples=9, planes=1):
    generator = np.random.default_rng(0)
    probabilities = generator.random((samples, planes, 12, 10))
    return probabilities, generator.integers(0, max(2, planes), (samples, 12, 10))


def by_hand(name, probabilities, targets):
    """Each metric written out once more, slowly, without the library."""
    if name == "categorical_accuracy":
        return np.mean(probabilities.argmax(axis=1) == targets)
    if name in ("mean_absolute_error", "mean_squared_error"):
        power = 1 if name == "mean_absolute_error" else 2
        wanted = np.zeros_like(probabilities)
        wanted[np.arange(len(targets)), targets] = 1
        return np.mean(np.abs(probabilities - wanted) ** power)
    scores = []
    for sample, target in zip(probabilities, targets, strict=True):
        decided = sample[0] >= 0.5 if len(sample) == 1 else sample.argmax(axis=0)
        for label in range(1, max(2, len(sample))):
            both = np.sum((decided == label) & (target == label))
            sizes = np.sum(decided == label) + np.sum(target == label)
            scores.append(2 * both / sizes if name == "dice" else both / (sizes - both))
    return np.mean(scores)


@pytest.mark.parametrize("step", [37, 10, 1])
@pytest.mark.parametrize("name", ["categorical_accuracy", "mean_absolute_error", "mean_squared_error"])
def test_class_metrics_are_means_over_samples_whatever_the_batches(name, step):
    probabilities, targets = class_case()
    metric = RUNNING_METRICS[name]()

    for start in range(0, len(targets), step):
        metric.update(probabilities[start : start + step], targets[start : start + step])

    assert metric.compute() == pytest.approx(by_hand(name, probabilities, targets), abs=1e-12)


@pytest.mark.parametrize("planes", [1, 3])
@pytest.mark.parametrize("step", [9, 4])
@pytest.mark.parametrize("name", ["dice", "iou"])
def test_mask_metrics_are_means_over_images_whatever_the_batches(name, step, planes):
    probabilities, targets = mask_case(planes=planes)
    metric = RUNNING_METRICS[name]()

    for start in range(0, len(targets), step):
        metric.update(probabilities[start : start + step], targets[start : start + step])

    assert metric.compute() == pytest.approx(by_hand(name, probabilities, targets), abs=1e-12)


@pytest.mark.parametrize("name", ["dice", "iou"])
def test_an_empty_mask_that_is_predicted_empty_scores_one_and_otherwise_zero(name):
    nothing, something = np.zeros((1, 1, 4, 4)), np.ones((1, 1, 4, 4))
    empty = np.zeros((1, 4, 4), dtype=int)

    right, wrong = RUNNING_METRICS[name](), RUNNING_METRICS[name]()
    right.update(nothing, empty)
    wrong.update(something, empty)

    assert (right.compute(), wrong.compute()) == (1.0, 0.0)


def test_no_sample_gives_nan():
    assert np.isnan(RUNNING_METRICS["dice"]().compute())


@pytest.mark.parametrize("step", [37, 10, 1])
@pytest.mark.parametrize("name", ["binary_accuracy", "mean_absolute_error", "mean_squared_error"])
def test_metrics_of_independent_classes_are_means_over_samples(name, step):
    generator = np.random.default_rng(0)
    probabilities, targets = generator.random((37, 4)), generator.integers(0, 2, (37, 4))
    metric = RUNNING_METRICS[name]()

    for start in range(0, 37, step):
        metric.update(probabilities[start : start + step], targets[start : start + step])

    distance = np.abs(probabilities - targets)
    expected = {
        "binary_accuracy": np.mean(np.round(probabilities) == targets),
        "mean_absolute_error": np.mean(distance),
        "mean_squared_error": np.mean(distance**2),
    }
    assert metric.compute() == pytest.approx(expected[name])


@pytest.mark.parametrize("step", [37, 10, 1])
def test_the_area_is_that_of_all_samples_whatever_the_batches(step):
    probabilities, targets = class_case()
    metric, resumed = RUNNING_METRICS["auc"](), RUNNING_METRICS["auc"]()

    for start in range(0, len(targets), step):
        resumed.restore(metric.sums)  # as after a checkpoint between any two batches
        metric = resumed
        metric.update(probabilities[start : start + step], targets[start : start + step])

    expected = roc_auc_score(targets, probabilities, multi_class="ovr", average="macro")
    assert metric.compute() == pytest.approx(expected, abs=1e-12)


def test_the_area_of_images_with_any_number_of_classes():
    probabilities, _ = class_case()
    targets = (np.random.default_rng(3).random(probabilities.shape) > 0.5).astype(int)
    metric = RUNNING_METRICS["auc"]()
    metric.update(probabilities, targets)
    assert metric.compute() == pytest.approx(roc_auc_score(targets, probabilities, average="macro"), abs=1e-12)


def test_a_class_without_a_curve_does_not_count_in_the_area():
    probabilities, targets = class_case()
    metric = RUNNING_METRICS["auc"]()
    assert np.isnan(metric.compute()) and np.isnan(metric.glance())
    metric.update(probabilities, np.minimum(targets, 1))
    both = [roc_auc_score(np.minimum(targets, 1) == label, probabilities[:, label]) for label in (0, 1)]
    assert metric.compute() == pytest.approx(np.mean(both), abs=1e-12)


def test_a_glance_is_at_the_area_of_a_moment_ago():
    probabilities, targets = class_case(samples=200)
    metric = RUNNING_METRICS["auc"]()
    metric.update(probabilities[:150], targets[:150])
    before = metric.glance()
    metric.update(probabilities[150:151], targets[150:151])
    assert metric.glance() == before == pytest.approx(metric.compute(), abs=0.02)
    metric.update(probabilities[151:], targets[151:])
    assert metric.glance() == metric.compute() != before
