"""The datasets that come with the toolkit are whole, readable and made once."""

import numpy as np
import pytest
from mask_reading import read_mask
from PIL import Image

from app.datasets.checks import check_for_task, check_trainable
from app.datasets.images import read_image
from app.datasets.shipped import main, make_digits, make_nuclei, make_once
from app.datasets.yaml_format.reading import read_file


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets") / "digits"
    assert make_once(folder, make_digits)
    return folder


def test_digits_are_described_and_split(digits):
    description = read_file(digits / "digits.yml", 10**6)
    check_for_task(description, "classification", digits)
    check_trainable(description, "classification")
    assert description.name == "Digits"
    assert description.classes == tuple("0123456789")
    sizes = {name: len(indexes) for name, indexes in description.splits.items()}
    assert sizes == {"training": 1200, "validation": 237, "test": 360}
    for name, size in sizes.items():
        counts = description.class_counts(name)
        assert max(counts) - min(counts) <= max(2, size * 0.02)


def test_digits_fill_the_range_of_grey(digits):
    pixels = np.array([np.asarray(Image.open(path)) for path in sorted((digits / "images").iterdir())])
    assert pixels.shape == (1797, 8, 8)
    assert (pixels.dtype, pixels.min(), pixels.max()) == (np.uint8, 0, 255)
    assert read_image([digits / "images" / "0000.png"], 1, max_pixels=64).shape == (8, 8, 1)


def test_digits_are_the_same_each_time(digits, tmp_path):
    make_digits(tmp_path)
    assert (tmp_path / "digits.yml").read_bytes() == (digits / "digits.yml").read_bytes()


def test_nuclei_are_cut_into_tiles_with_masks(tmp_path):
    image = np.arange(512 * 512, dtype=np.uint16).reshape(512, 512) // 8
    labels = np.where(image % 640 > 600, 9, 0)
    make_nuclei(tmp_path, image, labels)
    description = read_file(tmp_path / "nuclei.yml", 10**6)
    check_for_task(description, "segmentation", tmp_path)
    check_trainable(description, "segmentation")
    assert description.summary() == {
        "classes": ["nucleus"],
        "sample_count": 64,
        "splits": {"training": 40, "validation": 8, "test": 16},
        "is_multi_label": False,
    }
    tile = np.s_[64:128, 192:256]  # row 1, column 3
    sample = description.samples[11]
    assert (read_mask(tmp_path / sample.mask, 1, max_pixels=4096) == (labels[tile] > 0)).all()
    grey = read_image([tmp_path / sample.location[0]], 1, max_pixels=4096)[..., 0].astype(float)
    assert np.corrcoef(grey.ravel(), image[tile].ravel())[0, 1] > 0.99


def test_folder_that_is_there_is_left_alone(tmp_path):
    (tmp_path / "digits").mkdir()
    assert not make_once(tmp_path / "digits", make_digits)
    assert list((tmp_path / "digits").iterdir()) == []


def test_failure_leaves_nothing(tmp_path):
    def fail(folder):
        (folder / "half").touch()
        raise RuntimeError

    with pytest.raises(RuntimeError):
        make_once(tmp_path / "digits", fail)
    assert list(tmp_path.iterdir()) == []


def test_maker_who_comes_second_keeps_the_first(tmp_path):
    def make_slowly(folder):
        (folder / "second").touch()
        (tmp_path / "digits").mkdir()
        (tmp_path / "digits" / "first").touch()

    assert not make_once(tmp_path / "digits", make_slowly)
    assert [path.name for path in tmp_path.rglob("*")] == ["digits", "first"]


def test_command_needs_one_folder(capsys):
    assert main([]) == 2
    assert "usage: python -m app.datasets.shipped FOLDER" in capsys.readouterr().err


def test_command_fails_in_one_sentence(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main([str(tmp_path / "file")]) == 1
    assert capsys.readouterr().err.startswith("The datasets cannot be made: ")
