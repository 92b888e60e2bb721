"""Every number of an inference, computed once more by scikit-learn and MONAI from what `/output` answers."""

import ast
import csv
import io
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import training
from monai.metrics import compute_dice, compute_hausdorff_distance, compute_iou
from PIL import Image
from sklearn import metrics as sk

U_NET = 2
REDRAWS = 150
EXACT = {"abs": 1e-6, "nan_ok": True}
MONAIS_DISTANCE = {"rel": 5e-6, "nan_ok": True}  # it places the percentile in float32


def predicted(client, project: dict, dataset: dict, **options) -> tuple[dict, list, list[dict]]:
    """Train and predict; return the metrics, and the rows of `/output` as JSON and as CSV."""
    answer = client.post("/train", training(dataset, project, **options))
    status = client.wait(answer["process_id"])
    assert status["process_status"] == "finished", status
    body = {"modelweights_id": answer["weight_id"], "dataset_id": dataset["id"], "project_id": project["id"]}
    process_id = client.post("/inference", body)["process_id"]
    status = client.wait(process_id)
    assert status["process_status"] == "finished", status
    _, table = client.send("GET", f"/output?process_id={process_id}&format=csv")
    rows = client.get(f"/output?process_id={process_id}")["outputs"]
    metrics = client.get(f"/processes/{process_id}/metrics")["metrics"]
    assert metrics == client.get(f"/output?process_id={process_id}")["metrics"]
    return metrics, rows, list(csv.DictReader(io.StringIO(table.decode())))


def flat(metrics: dict) -> dict[str, float]:
    """Name each number by its path, without intervals and texts; null is NaN."""
    found = {}
    for name, value in metrics.items():
        if isinstance(value, dict) and name != "intervals":
            found |= {f"{name}/{path}": number for path, number in flat(value).items()}
        elif isinstance(value, int | float | None):
            found[name] = np.nan if value is None else value
    return found


def bounds(intervals: dict) -> dict[str, tuple[float, float]]:
    """Name each interval by its path, as `flat` does."""
    found = {}
    for name, value in intervals.items():
        if isinstance(value, dict):
            found |= {f"{name}/{path}": pair for path, pair in bounds(value).items()}
        else:
            found[name] = tuple(np.nan if bound is None else bound for bound in value)
    return found


def assert_intervals(metrics: dict, count: int, again: Callable[[np.ndarray], dict[str, float]]) -> None:
    """Compare the intervals with those of a bootstrap of our own, by other draws of whole images.

    A bound of 1,000 resamples is uncertain by a fiftieth of the interval, and one of 150 by two and a half times as
    much; it also jumps from one possible value to the next, which are about as far apart as one image weighs.
    """
    generator = np.random.default_rng(17)
    drawn = [again(generator.integers(count, size=count)) for _ in range(REDRAWS)]
    told = bounds(metrics["intervals"])
    assert set(told) == {name for name in drawn[0] if not name.endswith("/images")}
    for name, (low, high) in told.items():
        values = np.array([scores[name] for scores in drawn])
        if np.isnan(values).all():
            assert np.isnan(low) and np.isnan(high), name
            continue
        expected = np.nanpercentile(values, [2.5, 97.5])
        margin = 0.15 * np.ptp(expected) + 2 * np.nanmax(np.abs(values)) / count
        assert (low, high) == pytest.approx(tuple(expected), abs=margin), name


def by_class(truth: np.ndarray, decided: np.ndarray, scores: np.ndarray, classes: list[str]) -> dict[str, float]:
    """Score each class against all others, from `(N, K)` tables, and average."""
    options = {"average": None, "zero_division": 0}
    precision, sensitivity, f1, images = sk.precision_recall_fscore_support(truth, decided, **options)
    specificity = sk.recall_score(~truth, ~decided, **options)
    has_curve = [0 < is_there.sum() < len(is_there) for is_there in truth.T]
    areas = [
        sk.roc_auc_score(truth[:, label], scores[:, label]) if has_curve[label] else np.nan
        for label in range(len(classes))
    ]
    known = np.array(areas)[has_curve]
    found = {"macro_f1": np.mean(f1), "macro_roc_auc": known.mean() if len(known) else np.nan}
    columns = {
        "precision": precision, "sensitivity": sensitivity, "specificity": specificity, "f1": f1, "roc_auc": areas,
        "images": images,
    }  # fmt: skip
    for name, values in columns.items():
        found |= {f"per_class/{label}/{name}": value for label, value in zip(classes, values, strict=True)}
    return found


def calibration_error(confidences: np.ndarray, is_right: np.ndarray) -> float:
    """Guo et al. 2017, bin by bin."""
    edges = np.linspace(0, 1, 16)
    bins = [(confidences > low) & (confidences <= high) for low, high in pairwise(edges)]
    gaps = [abs(np.sum(is_right[members] - confidences[members])) for members in bins]
    return sum(gaps) / len(confidences)


def classified(truth: np.ndarray, scores: np.ndarray, classes: list[str]) -> dict[str, float]:
    decided, labels = scores.argmax(axis=1), np.arange(len(classes))
    present = np.unique(truth)
    return {
        "accuracy": sk.accuracy_score(truth, decided),
        "balanced_accuracy": sk.recall_score(truth, decided, labels=present, average="macro", zero_division=0),
        "expected_calibration_error": calibration_error(scores.max(axis=1), decided == truth),
        **by_class(truth[:, None] == labels, decided[:, None] == labels, scores, classes),
    }


def any_of(truth: np.ndarray, scores: np.ndarray, classes: list[str]) -> dict[str, float]:
    decided = scores >= 0.5
    return {
        "binary_accuracy": 1 - sk.hamming_loss(truth, decided),
        "exact_match": sk.accuracy_score(truth, decided),
        **by_class(truth, decided, scores, classes),
    }


def noisy_images(
    folder: Path, count: int, paint: Callable[[np.ndarray, int], str], split: dict, classes: list[str], side=20
) -> Path:
    """Write images of noise, each painted on, with the label that `paint` answers; return the dataset file."""
    folder.mkdir()
    generator = np.random.default_rng(5)
    lines = []
    for index in range(count):
        pixels = generator.normal(110, 40, (side, side)).clip(0, 255)
        label = paint(pixels, index)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{index}.png")
        lines.append(f"  - {{location: {index}.png, label: {label}}}")
    path = folder / "dataset.yml"
    listed = {name: list(members) for name, members in split.items()}
    path.write_text("\n".join([f"classes: {classes}", "images:", *lines, f"split: {listed}", ""]))
    return path


@pytest.fixture(scope="module")
def stripes(client, data_root):
    """Noise, brighter in one of four stripes; no image of the test split is of the last, but some look like it."""
    classes = ["a", "b", "c", "d"]

    def paint(pixels, index):
        label = index % 4 if index < 40 else min(2, index % 5)
        shown = label if index < 40 or index % 3 else label + 1
        pixels[:, 5 * shown : 5 * shown + 5] += 35
        return classes[label]

    split = {"training": range(32), "validation": range(32, 40), "test": range(40, 110)}
    path = noisy_images(data_root / "stripes", 110, paint, split, classes)
    return client.post("/datasets", {"name": "Stripes", "task_id": 1, "path": str(path)})


@pytest.fixture(scope="module")
def shades(client, data_root):
    """Noise with any of three stripes brighter; no image of the test split has the last."""
    classes = ["a", "b", "c"]

    def paint(pixels, index):
        shown = [bit for bit in range(3) if index >> bit & 1 and (bit < 2 or index < 40)]
        for bit in shown:
            pixels[:, 6 * bit : 6 * bit + 6] += 35
        return [classes[bit] for bit in shown]

    split = {"training": range(32), "validation": range(32, 40), "test": range(40, 100)}
    path = noisy_images(data_root / "shades", 100, paint, split, classes)
    return client.post("/datasets", {"name": "Shades", "task_id": 1, "path": str(path)})


@pytest.mark.parametrize(("name", "classes"), [("sides", ["left", "right"]), ("stripes", ["a", "b", "c", "d"])])
def test_numbers_of_classes_are_scikit_learns(client, request, project, name, classes):
    dataset = request.getfixturevalue(name)
    metrics, rows, table = predicted(client, project, dataset, Epochs=4, Batch_size=4)

    scores = np.array([ast.literal_eval(text)[0] for _, text in rows])
    truth = np.array([classes.index(row["label"]) for row in table])
    np.testing.assert_allclose(scores, [[float(row[label]) for label in classes] for row in table], atol=1e-9)
    assert [row["prediction"] for row in table] == [classes[index] for index in scores.argmax(axis=1)]
    assert flat(metrics) == pytest.approx(classified(truth, scores, classes) | {"images": len(rows)}, **EXACT)
    matrix = sk.confusion_matrix(truth, scores.argmax(axis=1), labels=range(len(classes)))
    assert metrics["confusion_matrix"] == matrix.tolist()
    assert_intervals(metrics, len(rows), lambda drawn: classified(truth[drawn], scores[drawn], classes))


def test_numbers_of_images_with_any_number_of_classes_are_scikit_learns(client, project, shades):
    classes = ["a", "b", "c"]
    metrics, rows, table = predicted(client, project, shades, Epochs=4, Batch_size=4)

    scores = np.array([ast.literal_eval(text)[0] for _, text in rows])
    truth = np.array([[label in row["label"].split("; ") for label in classes] for row in table])
    assert flat(metrics) == pytest.approx(any_of(truth, scores, classes) | {"images": len(rows)}, **EXACT)
    assert_intervals(metrics, len(rows), lambda drawn: any_of(truth[drawn], scores[drawn], classes))


def squares(folder: Path, classes: list[str], foreground: int, values: list[int]) -> Path:
    """Write images with a square of each of the first two foreground classes, or none; the last 10 are for the test."""
    folder.mkdir()
    generator = np.random.default_rng(9)
    lines = []
    for index in range(18):
        pixels, mask = generator.normal(100, 15, (40, 34)), np.zeros((40, 34), np.uint8)
        for label in range(1, min(2, foreground) + 1):
            if index % (2 + label):
                top, left = generator.integers(0, 24, 2)
                mask[top : top + 12, left : left + 10] = label
        pixels += 40 * mask
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{index}.png")
        Image.fromarray(np.array(values, np.uint8)[mask]).save(folder / f"{index}_mask.png")
        lines.append(f"  - {{location: {index}.png, label: {index}_mask.png}}")
    split = {"training": list(range(6)), "validation": [6, 7], "test": list(range(8, 18))}
    path = folder / "dataset.yml"
    path.write_text("\n".join([f"classes: {classes}", "images:", *lines, f"split: {split}", ""]))
    return path


def planes(class_map: np.ndarray, count: int) -> torch.Tensor:
    """Turn class maps `(N, H, W)` into planes `(N, K, H, W)`, the background left out."""
    return torch.from_numpy(np.stack([class_map == label for label in range(1, count)], axis=1))


def overlaps(decided: np.ndarray, truth: np.ndarray, count: int) -> dict[str, np.ndarray]:
    """Return each score of MONAI's, `(N, K)`, with the rule that the documentation states for empty masks."""
    ours, theirs = planes(decided, count), planes(truth, count)
    distances = compute_hausdorff_distance(ours, theirs, include_background=True, percentile=95).numpy()
    is_ours, is_theirs = (found.flatten(2).any(dim=2).numpy() for found in (ours, theirs))
    distances = np.where(is_ours & is_theirs, distances, np.where(is_ours | is_theirs, np.nan, 0.0))
    return {
        "dice": compute_dice(ours, theirs, ignore_empty=False).numpy(),
        "iou": compute_iou(ours, theirs, ignore_empty=False).numpy(),
        "hd95": distances,
    }


def averaged(scores: dict[str, np.ndarray], names: list[str], drawn=slice(None)) -> dict[str, float]:
    """Average over images, then over classes; a class without any distance has no mean, and then there is none."""
    found = {}
    for score, values in scores.items():
        known = [column[~np.isnan(column)] for column in values[drawn].T]
        means = [column.mean() if len(column) else np.nan for column in known]
        found |= {score: np.mean(means)}
        found |= {f"{score}_per_class/{name}": mean for name, mean in zip(names, means, strict=True)}
    return found


@pytest.mark.parametrize(
    ("kind", "classes", "values"),
    [("blob", ["blob"], [0, 255]), ("cells", ["background", "cell", "core", "never"], [0, 1, 2, 3])],
)
def test_numbers_of_masks_are_monais(client, data_root, kind, classes, values):
    names = classes[-len(values) + 1 :]
    path = squares(data_root / kind, classes, len(names), values)
    dataset = client.post("/datasets", {"name": kind, "task_id": 2, "path": str(path)})
    project = client.post("/projects", {"name": kind, "task_id": 2})
    options = {"Input_height": 32, "Input_width": 32, "Batch_size": 2, "Learning_rate": 3e-3, "Epochs": 2}
    metrics, urls, table = predicted(client, project, dataset, model_id=U_NET, **options)

    decided = np.stack([mask_of(client.send("GET", url[len(client.base) + 8 :])[1], values) for url in urls])
    truth = np.stack([mask_of((path.parent / f"{index}_mask.png").read_bytes(), values) for index in range(8, 18)])
    scores = overlaps(decided, truth, len(values))
    missing = np.isnan(scores["hd95"]).sum(axis=0)
    undefined = {f"hd95_undefined/{name}": count for name, count in zip(names, missing, strict=True)}
    expected = averaged(scores, names) | undefined | {"images": 10}
    assert flat(metrics) == {name: pytest.approx(value, **exactness(name)) for name, value in expected.items()}
    assert_intervals(metrics, 10, lambda drawn: averaged(scores, names, drawn))
    for score, values_of in scores.items():
        told = [[float(row[f"{score}_{name}"] or "nan") for name in names] for row in table]
        assert np.ravel(told) == pytest.approx(np.ravel(values_of), **exactness(score)), score


def exactness(name: str) -> dict:
    return MONAIS_DISTANCE if name.startswith("hd95") else EXACT


def mask_of(content: bytes, values: list[int]) -> np.ndarray:
    """Read a class map whose pixels have one of the values."""
    pixels = np.asarray(Image.open(io.BytesIO(content)))
    assert set(np.unique(pixels)) <= set(values)
    return np.searchsorted(values, pixels)
