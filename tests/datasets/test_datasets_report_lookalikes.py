"""Copies that were saved or resized anew are found in other splits, and different images are left alone."""

import cv2
import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from app.datasets.description import Description, Sample
from app.datasets.report.report import DatasetReport
from app.datasets.report.sample import SampleGauge


@pytest.fixture
def photos(tmp_path):
    """Six smooth colour images, `0.png` .. `5.png`."""
    generator = np.random.default_rng(4)
    for index in range(6):
        pixels = cv2.GaussianBlur(generator.integers(0, 256, (90, 120, 3), dtype=np.uint8), (0, 0), 4)
        Image.fromarray(cv2.normalize(pixels, None, 0, 255, cv2.NORM_MINMAX)).save(tmp_path / f"{index}.png")
    return tmp_path


def lookalikes(folder, channels=3, **splits):
    """Return the sentences on lookalikes among images in these splits."""
    names = [name for members in splits.values() for name in members]
    description = Description(
        name="",
        text="",
        features=(),
        classes=("a", "b"),
        samples=tuple(Sample(location=(name,), classes=(0,)) for name in names),
        splits={split: tuple(names.index(name) for name in members) for split, members in splits.items()},
    )
    gauge = SampleGauge(lambda name: folder / name, channels, 10**6, reads_masks=False)
    report = DatasetReport(description, "classification", gauge).make()
    return [problem for problem in report["problems"] if problem["kind"] == "lookalike"]


def saved_anew(folder, kind):
    image = Image.open(folder / "1.png")
    if kind == "half":
        image.resize((60, 45), Image.Resampling.BOX).save(folder / "copy.png")
        return "copy.png"
    image.save(folder / f"copy.{kind}", quality=75)
    return f"copy.{kind}"


@pytest.mark.parametrize("kind", ["jpg", "webp", "half"])
def test_a_copy_in_another_split_is_named_with_its_original(photos, kind):
    copy = saved_anew(photos, kind)

    [problem] = lookalikes(photos, training=["0.png", "1.png", "2.png"], validation=["3.png"], test=["4.png", copy])

    assert (problem["severity"], problem["file"], problem["split"]) == ("warning", copy, "test")
    assert problem["message"].startswith(f"'{copy}' (test) looks like '1.png' (training)")


def test_a_copy_in_the_same_split_is_nobodys_concern(photos):
    assert not lookalikes(photos, training=["0.png", "1.png", saved_anew(photos, "jpg")], test=["4.png"])


def test_equal_images_are_leaks_and_not_told_twice(photos):
    Image.open(photos / "1.png").save(photos / "copy.bmp")
    assert not lookalikes(photos, training=["0.png", "1.png"], test=["copy.bmp"])


def test_images_without_contrast_are_not_compared(tmp_path):
    for index in range(4):
        Image.new("L", (30, 20), 100 + index).save(tmp_path / f"{index}.png")
    assert not lookalikes(tmp_path, training=["0.png", "1.png"], test=["2.png", "3.png"])


def test_handwritten_digits_are_not_copies_of_each_other(tmp_path):
    for index, digit in enumerate(load_digits().images):
        Image.fromarray((digit * 255 / 16).astype(np.uint8)).save(tmp_path / f"{index}.png")
    names = [f"{index}.png" for index in range(1797)]
    assert not lookalikes(tmp_path, channels=1, training=names[:1200], test=names[1200:])


def test_only_so_many_images_are_compared(photos, monkeypatch):
    copy = saved_anew(photos, "jpg")
    monkeypatch.setattr("app.datasets.report.lookalikes.MOST_COMPARED", 3)
    assert not lookalikes(photos, training=["0.png", "1.png", "2.png"], test=[copy])
    assert lookalikes(photos, training=["0.png", "1.png"], test=[copy])
