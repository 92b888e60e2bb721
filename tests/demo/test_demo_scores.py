from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from app.demo.scores import accuracy, confusion_matrix, dice_scores, read_split
from app.errors import JobFailure


def png(rows: list[list[int]]) -> bytes:
    stream = BytesIO()
    Image.fromarray(np.array(rows, dtype=np.uint8)).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def animals(tmp_path):
    (tmp_path / "animals.yml").write_text(
        "classes: [ant, bee]\n"
        "images:\n"
        "  - {location: 0.png, label: bee}\n"
        "  - {location: 1.png, label: ant}\n"
        "  - {location: 2.png, label: bee}\n"
        "split: {training: [0], test: [2, 1, 0]}\n"
    )
    return read_split(tmp_path / "animals.yml", "test")


@pytest.fixture
def cells(tmp_path):
    (tmp_path / "0.png").write_bytes(png([[255, 255], [0, 0]]))
    (tmp_path / "1.png").write_bytes(png([[0, 0], [0, 0]]))
    (tmp_path / "cells.yml").write_text(
        "classes: [cell]\n"
        "images:\n"
        "  - {location: a.png, label: 0.png}\n"
        "  - {location: b.png, label: 1.png}\n"
        "split: {test: [0, 1]}\n"
    )
    return read_split(tmp_path / "cells.yml", "test")


def test_a_split_is_read_in_its_own_order(animals):
    assert [(image.location, image.label) for image in animals.images] == [
        ("2.png", "bee"),
        ("1.png", "ant"),
        ("0.png", "bee"),
    ]


def test_confusion_has_true_classes_in_rows(animals):
    matrix = confusion_matrix(animals, [[0.1, 0.9], [0.8, 0.2], [0.7, 0.3]])

    assert matrix.tolist() == [[1, 0], [1, 1]]
    assert accuracy(matrix) == pytest.approx(2 / 3)


def test_a_missing_row_is_a_failure(animals):
    with pytest.raises(JobFailure, match="2 rows for the 3 images"):
        confusion_matrix(animals, [[0.1, 0.9], [0.8, 0.2]])


def test_dice_is_the_mean_over_the_images_and_micro(cells):
    # First image: 1 pixel in common of 2 labelled and 1 predicted: 2/3. Second: both empty: 1.
    mean, micro = dice_scores(cells, [png([[255, 0], [0, 0]]), png([[0, 0], [0, 0]])])

    assert mean == pytest.approx((2 / 3 + 1) / 2)
    assert micro == pytest.approx(2 / 3)


def test_a_mask_of_another_size_is_a_failure(cells):
    with pytest.raises(JobFailure, match=r"0\.png is \(1, 1\) pixels, not \(2, 2\)"):
        dice_scores(cells, [png([[255]]), png([[0, 0], [0, 0]])])
