"""The files whose treatment by ECVL is known: each is read, or refused with its line and key."""

from pathlib import Path

import pytest

from app.datasets.description import Sample
from app.datasets.yaml_format.reading import read, read_file
from app.datasets.yaml_format.writing import write
from app.errors import DatasetError

FOLDER = Path(__file__).parent.parent / "data" / "datasets" / "ecvl"
LIMIT_BYTES = 100_000

FIRST_SAMPLES = {
    "000": Sample(("img/c0.png",), classes=(2,)),
    "002": Sample(("img/c0.png",), classes=(1,)),
    "004": Sample(("img/c0.png",), classes=(0, 2)),
    "006": Sample(("img/c0.png",), classes=(1,)),
    "018": Sample(("img/c0.png",), classes=(2,)),
    "020": Sample(("img/c0.png",), classes=(1,)),  # the class named 5; ECVL reads index 5 and corrupts its memory
    "022": Sample(("img/c0.png",), classes=(1,)),
    "024": Sample(("img/c0.png",), classes=(1,)),
    "034": Sample(("img/c0.png",), mask="gt/m0.png"),
    "036": Sample(("./img/c0.png",), mask="gt/m0.png"),
    "038": Sample(("img/c0.png",), mask="gt/nope.png"),
    "040": Sample(("img/c0.png",), mask="img/small4x9.png"),
    "042": Sample(("img/c0.png",), classes=(0,)),
    "044": Sample(("./img/c0.png",), classes=(0,)),
    "046": Sample(("img/c0.png",)),
    "048": Sample(("img/g0.png", "img/g1.png", "img/g2.png"), classes=(0,)),
    "050": Sample(("img/g0.png", "img/g1.png")),
    "052": Sample(("img/nope.png",), classes=(0,)),
    "054": Sample(("img/c0.png",), classes=(0,)),
    "056": Sample(("img/nope.png",), classes=(0,)),
    "058": Sample(("img/empty.png",), classes=(0,)),
    "066": Sample(("img/g16.png",), classes=(0,)),
    "068": Sample(("img/bit1.png",), classes=(0,)),
    "070": Sample(("img/c2.png",), classes=(0,)),
    "072": Sample(("img/exif6.jpg",), classes=(0,)),
    "074": Sample(("img/c0.png",), classes=(0,), values={"f1": "a", "f3": 3.5}),
    "078": Sample(("img/c0.png",), classes=(0,), values={"f1": "a", "f2": "b", "f3": "c"}),
    "084": Sample(("img/c0.png",), classes=(0,)),
    "086": Sample(("img/c0.png",), classes=(0,)),
    "088": Sample(("img/c0.png",), classes=(0,)),
    "090": Sample(("img/c0.png",), classes=(0,)),
    "106": Sample(("img/c0.png",), classes=(0,)),
    "108": Sample(("img/c0.png",), classes=(0,)),
    "112": Sample(("img/c0.png",), classes=(0,)),
    "130": Sample(("img/c0.png",), classes=(1,)),
}

SPLITS = {
    "046": {"test": (0, 1)},
    "056": {"training": (1,)},
    "084": {},
    "086": {"training": (0,), "test2": (1,), "test": (2,)},
    "088": {"training": (0, 1), "validation": (2,), "test": ()},
    "090": {},
    "106": {"Training": (0,)},
    "108": {"training": (0, 1)},
}

REFUSED = {
    "008": [(4, "images[0].label")],
    "010": [(4, "images[0].label")],
    "012": [(4, "images[0].label")],
    "014": [(4, "images[0].label")],
    "016": [(4, "images[0].label")],
    "026": [(1, "classes[1]")],
    "028": [(3, "images[0].label")],
    "030": [(1, "classes")],
    "032": [(5, "split.training")],
    "060": [(5, "images[1].location")],
    "062": [(3, "images[0].location")],
    "064": [(5, "images[0].foo")],
    "076": [(6, "images[0].values.zz")],
    "080": [(5, "images[0].values")],
    "082": [(6, "images[0].values.f1")],
    "092": [(11, "split.test")],
    "094": [(10, "split.training")],
    "096": [(10, "split.training")],
    "098": [(10, "split.training")],
    "100": [(10, "split.training")],
    "102": [(10, "split.training")],
    "104": [(11, "split.training")],
    "110": [(50, "images[4].label")],  # its mask does not exist; beside it, the file is read (below)
    "114": [(1, "images")],
    "116": [(2, "images")],
    "118": [(1, "foo")],
    "120": [(1, "The file")],
    "122": [(1, "The file")],
    "124": [(2, None)],
    "126": [(12, None)],
    "128": [(2, "base"), (5, "images[0].<<")],
    "132": [(2, "classes")],
}


def test_every_file_has_its_expectation():
    assert {path.stem for path in FOLDER.glob("*.yml")} == FIRST_SAMPLES.keys() | REFUSED.keys()


@pytest.mark.parametrize("name", FIRST_SAMPLES)
def test_accepted_file_gives_its_first_sample_and_splits(name):
    description = read_file(FOLDER / f"{name}.yml", LIMIT_BYTES)
    assert description.samples[0] == FIRST_SAMPLES[name]
    if name in SPLITS:
        assert description.splits == SPLITS[name]


@pytest.mark.parametrize("name", FIRST_SAMPLES)
def test_accepted_file_is_the_same_after_writing_and_reading(name):
    description = read_file(FOLDER / f"{name}.yml", LIMIT_BYTES)
    assert read(write(description).encode(), "written.yml") == description


@pytest.mark.parametrize("name", REFUSED)
def test_refused_file_names_file_line_and_key(name):
    with pytest.raises(DatasetError) as caught:
        read_file(FOLDER / f"{name}.yml", LIMIT_BYTES)
    assert [(problem.line, problem.key) for problem in caught.value.problems] == REFUSED[name]
    assert f"{name}.yml" in caught.value.errors
    assert caught.value.message.startswith(f"{name}.yml: line ")


def test_the_formats_own_example_is_read_where_its_mask_exists(tmp_path):
    example = tmp_path / "110.yml"
    example.write_bytes((FOLDER / "110.yml").read_bytes())
    (tmp_path / "path_to_ground_truth_image").touch()
    description = read_file(example, LIMIT_BYTES)
    assert description.name == "dataset_name"
    assert len(description.samples) == 11
    assert description.samples[0].values == {"feature_1": "value_1", "feature_3": "value_3"}
    assert description.samples[1].values == {"feature_1": "value_1", "feature_3": "value_3"}
    assert description.samples[2].classes == (0, 2)
    assert description.samples[4].mask == "path_to_ground_truth_image"
    assert description.samples[10].location == tuple(f"image_path_and_name_plane_{plane}" for plane in (4, 5, 6, 7))
    assert description.splits == {"training": (0, 1), "validation": (2,), "test": (3,)}
    assert read(write(description).encode(), "x.yml").samples[4].mask == "./path_to_ground_truth_image"
