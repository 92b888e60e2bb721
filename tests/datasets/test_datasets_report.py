"""The report: every planted fault is named with its file, and the numbers are those of the pixels."""

import numpy as np
import pytest
from PIL import Image

from app.augment.parser import parse
from app.augment.pipeline import Pipeline
from app.datasets.images import read_image
from app.datasets.report.report import DatasetReport, reads_masks
from app.datasets.report.sample import SampleGauge
from app.datasets.yaml_format.reading import read_file
from app.errors import InvalidInput

LIMIT = 10**6


@pytest.fixture
def noise():
    return np.random.default_rng(3)


@pytest.fixture
def folder(tmp_path, noise):
    """Ten different images `0.png` .. `9.png`, and the mask `mask.png` of their size."""
    for index in range(10):
        save(tmp_path / f"{index}.png", noise.integers(0, 200, (12, 10)))
    save(tmp_path / "mask.png", np.repeat([[0, 255]], 12, axis=0).repeat(5, axis=1))
    return tmp_path


def save(path, values):
    Image.fromarray(np.asarray(values, np.uint8)).save(path)


def described(folder, names, *, labels=None, splits="training: [0, 1, 2, 3], test: [4, 5]", head="classes: [a, b]"):
    """Write and read a description of these images."""
    labels = labels or ["ab"[index % 2] for index in range(len(names))]
    lines = [f"  - {{location: {name}, label: {label}}}" for name, label in zip(names, labels, strict=True)]
    path = folder / "set.yml"
    path.write_text("\n".join([head, "images:", *lines, f"split: {{{splits}}}" if splits else ""]) + "\n")
    return read_file(path, LIMIT)


def report_on(folder, description, task="classification", channels=1, **options):
    gauge = SampleGauge(lambda name: folder / name, channels, LIMIT, reads_masks=reads_masks(task))
    return DatasetReport(description, task, gauge, **options).make()


def found(report, kind):
    return [problem for problem in report["problems"] if problem["kind"] == kind]


def numbered(count):
    return [f"{index}.png" for index in range(count)]


def test_a_sound_dataset_has_no_problems_but_those_of_its_splits(folder):
    report = report_on(folder, described(folder, numbered(6), splits="training: [0, 1], validation: [2, 3], test: [4]"))

    assert report["problems"] == []
    assert report["problem_counts"] == {"error": 0, "warning": 0, "kinds": {}}
    assert report["sample_count"] == 6 and report["unsplit_count"] == 1
    assert report["splits"]["training"] == {"samples": 2, "labelled": 2, "classes": {"a": 1, "b": 1}}
    assert report["images"]["sizes"] == [{"width": 10, "height": 12, "count": 6}]
    assert report["images"]["channels"] == {"1": 6} and report["images"]["bit_depths"] == {"8": 6}


def test_mean_and_deviation_are_those_of_all_training_pixels(folder, noise):
    save(folder / "big.png", noise.integers(50, 256, (40, 30)))
    description = described(folder, ["0.png", "big.png", "1.png"], splits="training: [0, 1], test: [2]")

    statistics = report_on(folder, description)["training_statistics"]

    pixels = np.concatenate([np.asarray(Image.open(folder / name)).ravel() for name in ("0.png", "big.png")])
    assert statistics["mean_255"] == pytest.approx([pixels.mean()], abs=1e-5)
    assert statistics["std_255"] == pytest.approx([pixels.std()], abs=1e-5)
    assert statistics["mean"] == pytest.approx([pixels.mean() / 255], abs=1e-5)


@pytest.mark.parametrize("key", ["augmentations", "augmentations_255"])
def test_the_text_to_paste_normalises_each_channel(folder, noise, key):
    for name in ("x.png", "y.png"):
        save(folder / name, noise.integers(0, [100, 200, 256], (9, 9, 3)))
    description = described(folder, ["x.png", "y.png"], splits="training: [0, 1]")
    text = report_on(folder, description, channels=3)["training_statistics"][key]

    pipeline = Pipeline(parse(text))
    images = [read_image([folder / name], 3, max_pixels=LIMIT) for name in ("x.png", "y.png")]
    normalised = np.stack([pipeline(image, None, noise)[0] for image in images])

    assert normalised.mean(axis=(0, 1, 2)) == pytest.approx(np.zeros(3), abs=1e-3)
    assert normalised.std(axis=(0, 1, 2)) == pytest.approx(np.ones(3), abs=1e-3)


def test_planes_beyond_four_are_measured_too(folder):
    (folder / "set.yml").write_text(
        f"classes: [a, b]\nimages:\n  - {{location: [{', '.join(numbered(6))}], label: a}}\nsplit: {{training: [0]}}\n"
    )

    statistics = report_on(folder, read_file(folder / "set.yml", LIMIT), channels=6)["training_statistics"]

    assert statistics["mean_255"] == pytest.approx(
        [np.asarray(Image.open(folder / name)).mean() for name in numbered(6)], abs=1e-5
    )


def test_files_that_are_missing_or_broken_are_named(folder):
    (folder / "text.png").write_text("no image")
    (folder / "empty.png").write_bytes(b"")
    (folder / "cut.png").write_bytes((folder / "0.png").read_bytes()[:60])
    names = ["0.png", "absent.png", "text.png", "empty.png", "cut.png", "1.png"]

    report = report_on(folder, described(folder, names, splits="training: [0, 1, 2, 3, 4], test: [5]"))

    assert [problem["file"] for problem in found(report, "missing")] == ["absent.png"]
    assert [problem["file"] for problem in found(report, "unreadable")] == ["text.png", "empty.png", "cut.png"]
    for problem in report["problems"][:4]:
        assert problem["severity"] == "error" and problem["split"] == "training"
        assert problem["file"] in problem["message"]
    assert report["problem_counts"]["error"] == 4 and report["images"]["readable"] == 2


def test_values_without_a_feature_are_told_of(folder):
    images = "".join(f"  - {{location: {name}, label: a, values: [7, mm]}}\n" for name in numbered(2))
    (folder / "set.yml").write_text(f"classes: [a, b]\nfeatures: [size]\nimages:\n{images}")

    report = report_on(folder, read_file(folder / "set.yml", LIMIT))

    [problem] = found(report, "values")
    assert problem["severity"] == "warning"
    assert problem["message"] == (
        "line 4: images[0].values lists 2 values for 1 feature (the first of 2 such images); "
        "those without a feature are left out."
    )


def test_a_split_whose_name_nothing_looks_for_is_told(folder):
    report = report_on(folder, described(folder, numbered(6), splits="Train: [0, 1], val-set: [2, 3], fold_1: [4]"))

    assert [problem["message"] for problem in found(report, "split_name")] == [
        "The split 'Train' is used by nothing: trainings and inferences look for 'training'; rename it.",
        "The split 'val-set' is used by nothing: trainings and inferences look for 'validation'; rename it.",
    ]
    report = report_on(folder, described(folder, numbered(6), splits="training: [0, 1], train: [2, 3], test2: [4]"))
    assert not found(report, "split_name")


def test_a_folder_among_the_images_is_told(folder):
    (folder / "more").mkdir()

    report = report_on(folder, described(folder, [*numbered(6), "more"]))

    assert [problem["message"] for problem in found(report, "missing")] == ["'more' is a folder, not an image."]


def test_a_broken_image_in_no_split_is_a_warning(folder):
    (folder / "text.png").write_text("no image")

    report = report_on(folder, described(folder, [*numbered(6), "text.png"]))

    [problem] = found(report, "unreadable")
    assert (problem["severity"], problem["file"]) == ("warning", "text.png")
    assert report["problem_counts"]["error"] == 0


def test_the_same_image_in_two_splits_is_an_error_whatever_its_format(folder):
    Image.open(folder / "1.png").save(folder / "copy.bmp")

    report = report_on(folder, described(folder, [*numbered(5), "copy.bmp"]))

    [problem] = report["problems"][:1]
    assert (problem["kind"], problem["severity"], problem["file"]) == ("leak", "error", "copy.bmp")
    assert "'1.png' (training)" in problem["message"] and "(test)" in problem["message"]
    assert report["problem_counts"]["error"] == 1


def test_a_leak_is_found_behind_a_twin_in_no_split(folder):
    for name in ("loose.png", "train.png", "test.png"):
        save(folder / name, np.asarray(Image.open(folder / "9.png")))

    names = ["loose.png", "train.png", "test.png"]
    report = report_on(folder, described(folder, names, splits="training: [1], test: [2]"))

    [leak] = found(report, "leak")
    assert leak["file"] == "test.png" and "'train.png'" in leak["message"]
    assert [problem["file"] for problem in found(report, "duplicate")] == ["train.png"]


def test_duplicates_within_a_split_are_warnings_that_tell_of_other_labels(folder):
    save(folder / "copy.png", np.asarray(Image.open(folder / "0.png")))

    report = report_on(folder, described(folder, ["0.png", "copy.png", "1.png"], splits="training: [0, 1], test: [2]"))

    [problem] = found(report, "duplicate")
    assert (problem["severity"], problem["file"]) == ("warning", "copy.png")
    assert "'0.png'" in problem["message"] and "another label" in problem["message"]


def test_blank_images_are_no_leak(folder):
    for name in ("black.png", "empty.png"):
        save(folder / name, np.zeros((8, 8)))

    names = ["0.png", "black.png", "empty.png"]
    report = report_on(folder, described(folder, names, splits="training: [0, 1], test: [2]"))

    assert [problem["file"] for problem in found(report, "blank")] == ["black.png", "empty.png"]
    assert report["problem_counts"]["error"] == 0


@pytest.mark.parametrize("feature", ["patient", "Patient_ID", "subject", "case id", "mrn"])
def test_a_patient_in_two_splits_is_named(folder, feature):
    rows = [("0.png", "P1"), ("1.png", "P2"), ("2.png", "P2"), ("3.png", "null"), ("4.png", "null")]
    lines = "".join(f"  - {{location: {name}, label: a, values: [3, {who}]}}\n" for name, who in rows)
    path = folder / "set.yml"
    path.write_text(
        f"classes: [a, b]\nfeatures: [age, {feature}]\nimages:\n{lines}split: {{training: [0, 1, 3], test: [2, 4]}}\n"
    )

    report = report_on(folder, read_file(path, LIMIT))

    assert report["group_feature"] == feature
    [problem] = found(report, "shared_group")
    assert problem["file"] == "2.png" and "'P2'" in problem["message"] and "'1.png'" in problem["message"]


def test_the_feature_that_groups_can_be_chosen_and_has_to_exist(folder):
    path = folder / "set.yml"
    images = "".join(f"  - {{location: {index}.png, label: a, values: [x]}}\n" for index in range(2))
    path.write_text(f"classes: [a, b]\nfeatures: [scanner]\nimages:\n{images}split: {{training: [0], test: [1]}}\n")
    description = read_file(path, LIMIT)

    assert found(report_on(folder, description), "shared_group") == []
    assert len(found(report_on(folder, description, group_by="scanner"), "shared_group")) == 1
    with pytest.raises(InvalidInput, match="did you mean 'scanner'"):
        report_on(folder, description, group_by="scaner")


def test_splits_and_classes_without_images(folder):
    description = described(
        folder, numbered(4), labels=["a"] * 4, splits="training: [0, 1], test: [2], spare: []", head="classes: [a, b]"
    )

    report = report_on(folder, description)

    assert "'spare'" in found(report, "empty_split")[0]["message"]
    assert "'b'" in found(report, "empty_class")[0]["message"]
    assert len(found(report, "no_validation")) == 1


def test_an_empty_training_split_is_an_error(folder):
    report = report_on(folder, described(folder, numbered(4), splits="training: [], test: [2]"))

    [problem] = found(report, "empty_split")
    assert problem["severity"] == "error" and "'training'" in problem["message"]


def test_without_splits_every_image_counts(folder):
    report = report_on(folder, described(folder, ["0.png", "absent.png"], splits=None))

    assert found(report, "no_split")[0]["severity"] == "warning"
    assert found(report, "missing")[0]["severity"] == "error"


def test_a_strong_imbalance_is_told(folder):
    save(folder / "10.png", np.eye(9) * 255)
    description = described(folder, numbered(11), labels=["a"] * 10 + ["b"], splits=f"training: {list(range(11))}")

    report = report_on(folder, description)

    assert report["class_balance"]["imbalance"] == 10
    assert "10 times" in found(report, "imbalance")[0]["message"]


def test_labels_of_the_other_task_are_errors(folder):
    report = report_on(folder, described(folder, numbered(2), splits="training: [0, 1]"), task="segmentation")

    assert [problem["file"] for problem in found(report, "label")] == numbered(2)


def test_areas_of_classes_and_the_meaning_of_values(folder):
    names, masks = numbered(3), ["mask.png"] * 3
    description = described(folder, names, labels=masks, splits="training: [0, 1], test: [2]", head="classes: [cell]")

    masks = report_on(folder, description, task="segmentation")["masks"]

    assert masks["count"] == 3 and masks["distinct_values"] == 2
    assert [(row["value"], row["class"], row["name"]) for row in masks["mapping"]] == [
        (0, 0, "background"),
        (255, 1, "cell"),
    ]
    assert [(entry["name"], entry["area"], entry["masks"]) for entry in masks["classes"]] == [
        ("background", 0.5, 3),
        ("cell", 0.5, 3),
    ]


def test_masks_of_another_size_or_with_unknown_values_are_named(folder):
    save(folder / "small.png", np.zeros((3, 3)))
    save(folder / "odd.png", np.full((12, 10), 7))
    labels = ["small.png", "odd.png", "absent_mask.png", "mask.png"]
    (folder / "absent_mask.png").touch()
    splits = "training: [0, 1, 2, 3]"
    description = described(folder, numbered(4), labels=labels, splits=splits, head="classes: [a, b, c]")
    (folder / "absent_mask.png").unlink()

    report = report_on(folder, description, task="segmentation")

    [size] = found(report, "mask_size")
    assert size["file"] == "small.png" and "3 x 3" in size["message"] and "10 x 12" in size["message"]
    assert {problem["file"] for problem in found(report, "mask_values")} >= {"odd.png"}
    assert [problem["file"] for problem in found(report, "missing")] == ["absent_mask.png"]


def test_a_value_means_the_same_in_every_mask(folder):
    """50 is a shade of black beside 255, also in a mask that holds nothing brighter."""
    save(folder / "shades.png", np.tile([0, 50, 200, 255, 255], (12, 2)))
    save(folder / "faint.png", np.tile([0, 50], (12, 5)))
    labels = ["shades.png", "faint.png", "mask.png"]
    splits = "training: [0, 1], test: [2]"
    description = described(folder, numbered(3), labels=labels, splits=splits, head="classes: [cell]")

    report = report_on(folder, description, task="segmentation")

    assert report["masks"]["rule"] == {"threshold": 127, "classes": {}}
    told = [problem["message"] for problem in found(report, "mask_values")]
    assert told == [
        "The masks hold 4 values from 0 to 255, as smoothed edges do: "
        "those up to 127 are 'background', those above it 'cell'.",
        "No value is above 50 in 'faint.png', so that all of it is 'background'; is that meant?",
    ]
    assert report["splits"]["training"]["classes"] == {"background": 2, "cell": 1}
    assert report["masks"]["classes"][1]["area"] == round((72 + 60) / 360, 6)


def test_masks_of_0_and_1_beside_others_of_0_and_255_are_told(folder):
    save(folder / "ones.png", np.eye(12)[:, :10])
    labels = ["ones.png", "mask.png"]
    description = described(folder, numbered(2), labels=labels, splits="training: [0, 1]", head="classes: [cell]")

    report = report_on(folder, description, task="segmentation")

    assert report["masks"]["rule"] == {"threshold": None, "classes": {"0": 0, "1": 1, "255": 1}}
    [told] = found(report, "mask_values")
    assert told["severity"] == "warning" and "1 and 255 are all 'cell'" in told["message"]


def test_a_value_that_is_no_class_is_named_once_with_its_files(folder):
    for name in ("x", "y"):
        save(folder / f"{name}.png", np.tile([0, 1, 2, 3, 9], (12, 2)))
    labels = ["x.png", "y.png", "x.png"]
    description = described(
        folder, numbered(3), labels=labels, splits="training: [0, 1, 2]", head="classes: [a, b, c, d]"
    )

    report = report_on(folder, description, task="segmentation")

    [told] = found(report, "mask_values")
    assert (told["severity"], told["file"]) == ("error", "x.png")
    assert told["message"] == (
        "The value 9 is no class in 'x.png', 'y.png', 'x.png'; the 4 classes have the values 0 to 3."
    )
    assert report["masks"]["rule"] is None


def test_a_class_that_no_training_mask_shows_is_told(folder):
    save(folder / "m.png", np.eye(12)[:, :10])
    description = described(folder, ["0.png"], labels=["m.png"], splits="training: [0]", head="classes: [a, b, c]")

    report = report_on(folder, description, task="segmentation")

    assert ["'c'" in problem["message"] for problem in found(report, "empty_class")] == [True]
    assert report["splits"]["training"]["classes"] == {"a": 1, "b": 1, "c": 0}


def test_a_stop_ends_the_look_without_a_report(folder):
    description = described(folder, numbered(6))
    gauge = SampleGauge(lambda name: folder / name, 1, LIMIT, reads_masks=False)

    assert DatasetReport(description, "classification", gauge).make(should_stop=lambda: True) is None


def test_progress_counts_every_sample_once_and_in_order(folder):
    description = described(folder, numbered(10))
    gauge = SampleGauge(lambda name: folder / name, 1, LIMIT, reads_masks=False)
    seen = []

    DatasetReport(description, "classification", gauge).make(lambda done, total: seen.append((done, total)))

    assert seen == [(count, 10) for count in range(1, 11)]


def test_a_few_labels_of_another_form_are_named(folder, noise):
    for index in range(10, 41):
        save(folder / f"{index}.png", noise.integers(0, 200, (12, 10)))
    labels = ["ab"[index % 2] for index in range(40)] + ["[a, b]"]
    split = f"training: {list(range(20))}, validation: {list(range(20, 41))}"

    few = report_on(folder, described(folder, numbered(41), labels=labels, splits=split))
    half = report_on(folder, described(folder, numbered(41), labels=["[]"] * 20 + labels[20:], splits=split))

    [problem] = found(few, "multi_label")
    assert problem["file"] == "40.png" and problem["severity"] == "warning"
    assert problem["message"].startswith("1 of 41 images have no class or several, '40.png' is one")
    assert not found(half, "multi_label")
    assert half["splits"]["validation"]["classes"] == {"a": 11, "b": 11}
