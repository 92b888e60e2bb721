"""Folders without a description, as newcomers have them."""

import gzip
import os

import nibabel
import numpy as np
import pytest

from app.datasets.formats.nifti_header import volume_shape
from app.datasets.images import read_image
from app.datasets.probe import probe
from app.datasets.sources import folders
from app.datasets.sources.folders import find_base, find_description
from app.datasets.sources.layouts import describe
from app.datasets.yaml_format.reading import read
from app.datasets.yaml_format.writing import write
from app.errors import InvalidInput, TooLarge


def write_volume(path, *shape):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(np.zeros(shape, np.uint8), np.eye(4)), path)
    return path


def fill(folder, *paths):
    """Make files; what is in them is nobody's business here."""
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"")
    return folder


def images(folder, count, ending=".png"):
    return [f"{folder}/{index}{ending}" for index in range(count)]


def test_folders_named_after_classes(tmp_path):
    fill(tmp_path, *images("mel", 10), *images("ben/patient 1", 20, ".JPG"), "notes.txt", "ben/notes.txt", ".hid/1.png")
    description = describe(tmp_path, "classification", "Moles")
    assert description.name == "Moles" and description.classes == ("ben", "mel")
    assert {sample.location[0]: sample.classes for sample in description.samples} == {
        **dict.fromkeys(images("mel", 10), (1,)),
        **dict.fromkeys(images("ben/patient 1", 20, ".JPG"), (0,)),
    }
    assert description.class_counts("training") == [14, 7]
    assert {name: len(indexes) for name, indexes in description.splits.items()} == {
        "training": 21,
        "validation": 5,
        "test": 4,
    }
    assert describe(tmp_path, "classification", "Moles") == description
    assert read(write(description).encode(), "moles.yml") == description


def test_images_and_masks_of_the_same_names(tmp_path):
    fill(tmp_path, *images("Images", 3), *images("masks", 3, ".tif"))
    fill(tmp_path, "Images/ISIC_1.jpg", "masks/ISIC_1_segmentation.png")
    write_volume(tmp_path / "Images/b/x.nii.gz", 4, 3)
    write_volume(tmp_path / "masks/b/x_mask.nii.gz", 4, 3, 1)
    description = describe(tmp_path, "segmentation", "Nuclei")
    assert description.classes == ("foreground",)
    assert {sample.location[0]: sample.mask for sample in description.samples} == {
        "Images/0.png": "masks/0.tif",
        "Images/1.png": "masks/1.tif",
        "Images/2.png": "masks/2.tif",
        "Images/ISIC_1.jpg": "masks/ISIC_1_segmentation.png",
        "Images/b/x.nii.gz": "masks/b/x_mask.nii.gz",
    }
    assert sorted(sum(description.splits.values(), ())) == [0, 1, 2, 3, 4]
    assert read(write(description).encode(), "nuclei.yml") == description


def test_volumes_become_slices_that_stay_together(tmp_path):
    for number, depth in enumerate([5, 4, 3, 6]):
        write_volume(tmp_path / f"images/case_{number}.nii.gz", 8, 8, depth)
        write_volume(tmp_path / f"masks/case_{number}_mask.nii", 8, 8, depth)
    description = describe(tmp_path, "segmentation", "Organs")
    assert description.features == ("volume",) and len(description.samples) == 18
    first = description.samples[0]
    assert (first.location, first.mask) == (
        ("images/case_0.nii.gz#slice=0",),
        "masks/case_0_mask.nii#slice=0",
    )
    volumes = {
        split: {description.samples[index].values["volume"] for index in members}
        for split, members in description.splits.items()
    }
    assert sum(len(names) for names in volumes.values()) == 4 and list(volumes) == ["training", "validation", "test"]
    assert read(write(description).encode(), "organs.yml") == description
    assert (
        probe(tmp_path / first.location[0]).width
        == read_image([tmp_path / first.location[0]], 1, max_pixels=64).shape[1]
    )


@pytest.mark.parametrize("count", [1, 2])
def test_few_volumes_fill_the_first_splits(tmp_path, count):
    for number in range(count):
        write_volume(tmp_path / f"a/{number}.nii", 8, 8, 3)
    fill(tmp_path, "b/.keep")
    write_volume(tmp_path / "b/0.nii", 8, 8, 1)
    assert list(describe(tmp_path, "classification", "X").splits) == ["training", "validation", "test"][: count + 1]


@pytest.mark.parametrize(
    ("image", "mask", "told"),
    [
        ((8, 8, 5), (8, 8, 4), r"'images/1.nii.gz' has 5 slices and its mask 'masks/1.nii.gz' 4 slices"),
        ((8, 8, 5), (8, 8), r"its mask 'masks/1.nii.gz' 1 slice; a mask has a slice for each"),
        ((8, 8, 5, 3), (8, 8, 5), r"'images/1.nii.gz' holds 3 volumes; name those that are images in a YAML file"),
    ],
)
def test_volumes_that_do_not_fit(tmp_path, image, mask, told):
    write_volume(tmp_path / "images/1.nii.gz", *image)
    write_volume(tmp_path / "masks/1.nii.gz", *mask)
    with pytest.raises(InvalidInput, match=told):
        describe(tmp_path, "segmentation", "X")


@pytest.mark.parametrize("content", [b"", b"no volume", gzip.compress(b"short"), bytes(600)])
def test_files_that_are_no_volumes_are_named(tmp_path, content):
    fill(tmp_path, "images/1.nii.gz", "masks/1.nii.gz")
    (tmp_path / "images/1.nii.gz").write_bytes(content)
    with pytest.raises(InvalidInput, match=r"images/1\.nii\.gz"):
        describe(tmp_path, "segmentation", "X")


def test_the_shape_in_a_header_is_what_nibabel_reads(tmp_path):
    for order in "<>":
        for kind, header in ((nibabel.Nifti1Image, nibabel.Nifti1Header), (nibabel.Nifti2Image, nibabel.Nifti2Header)):
            image = kind(np.zeros((3, 4, 5, 2), np.int16), np.eye(4), header(endianness=order))
            nibabel.save(image, tmp_path / "x.nii.gz")
            assert volume_shape(tmp_path / "x.nii.gz", "x") == (3, 4, 5, 2)


def test_folders_that_say_the_splits(tmp_path):
    fill(tmp_path, *images("Train/a", 3), *images("Train/b", 2), *images("val/a", 1), *images("val/b", 1))
    description = describe(tmp_path, "classification", "X")
    assert description.classes == ("a", "b")
    assert description.splits == {"training": (0, 1, 2, 3, 4), "validation": (5, 6)}
    fill(tmp_path / "pairs", *images("test/images", 1), *images("test/masks", 1), *images("train/images", 2))
    fill(tmp_path / "pairs", *images("train/masks", 2))
    assert describe(tmp_path / "pairs", "segmentation", "X").splits == {"training": (0, 1), "test": (2,)}


def test_a_split_in_which_a_class_is_absent(tmp_path):
    fill(tmp_path, *images("train/a", 3), *images("train/b", 2), *images("test/b", 1))
    description = describe(tmp_path, "classification", "X")
    assert description.splits["test"] == (5,) and description.samples[5].classes == (1,)


def test_a_test_split_without_labels(tmp_path):
    fill(tmp_path / "a", *images("train/a", 1), *images("train/b", 1), *images("test", 2))
    fill(tmp_path / "b", *images("train/images", 1), *images("train/masks", 1), *images("test/images", 2))
    fill(tmp_path / "c", *images("images/train", 1), *images("masks/train", 1), *images("images/test", 2))
    for folder, task in (("a", "classification"), ("b", "segmentation"), ("c", "segmentation")):
        description = describe(tmp_path / folder, task, "X")
        assert [len(members) for members in description.splits.values()] == [len(description.samples) - 2, 2]
        assert description.has_labels("training") and not description.has_labels("test")


def test_classes_are_in_the_order_that_people_count_in(tmp_path):
    fill(tmp_path, *(f"grade {number}/{number}.png" for number in (10, 2, 1)), "Normal/1.png", "axial/1.png")
    assert describe(tmp_path, "classification", "X").classes == ("axial", "grade 1", "grade 2", "grade 10", "Normal")
    assert describe(fill(tmp_path / "n", "valid/1.png", "invalid/1.png"), "classification", "X").classes == (
        "invalid",
        "valid",
    )


@pytest.mark.parametrize("names", [("imgs", "Labels"), ("Image", "ground_truth"), ("JPEGImages", "SegmentationClass")])
def test_names_that_people_give_to_the_two_folders(tmp_path, names):
    fill(tmp_path, f"{names[0]}/1.png", f"{names[1]}/1.png", "README.md", "overlays/1.png")
    assert describe(tmp_path, "segmentation", "X").samples[0].mask == f"{names[1]}/1.png"


@pytest.mark.parametrize("mask", ["1.PNG", "1_Mask.png", "mask_1.png", "1-gt.tif", "1 label.png", "1_manual1.gif"])
@pytest.mark.parametrize("image", ["images/1.jpg", "images/IMG_1.JPG"])
def test_names_that_people_give_to_masks(tmp_path, image, mask):
    fill(tmp_path, image, f"masks/{mask}")
    assert describe(tmp_path, "segmentation", "X").samples[0].mask == f"masks/{mask}"


def test_masks_beside_their_images(tmp_path):
    fill(tmp_path, "p1/1.png", "p1/1_mask.png", "p2/1.png", "p2/1_mask.png")
    description = describe(tmp_path, "segmentation", "X")
    assert [(sample.location, sample.mask) for sample in description.samples] == [
        (("p1/1.png",), "p1/1_mask.png"),
        (("p2/1.png",), "p2/1_mask.png"),
    ]


def test_splits_named_below_images_and_masks(tmp_path):
    fill(tmp_path, *images("images/training", 2), *images("images/val", 1), *images("annotations/training", 2))
    fill(tmp_path, *images("annotations/val", 1))
    assert describe(tmp_path, "segmentation", "X").splits == {"training": (0, 1), "validation": (2,)}


def test_files_that_scanners_name_and_kinds_that_are_not_read(tmp_path):
    fill(tmp_path, "a/IM0002", "a/3.heic", "a/table.csv.gz", "b/1.png")
    (tmp_path / "a/IM0001").write_bytes(bytes(128) + b"DICM")
    locations = [sample.location[0] for sample in describe(tmp_path, "classification", "X").samples]
    assert locations == ["a/3.heic", "a/IM0001", "b/1.png"]  # the report names what cannot be read


@pytest.mark.parametrize("name", ["1.png", "1.nii", "IM0001", "1.yml"])
def test_pipes_are_never_opened(tmp_path, name):
    fill(tmp_path, "a/1.jpg", "b/1.jpg")
    os.mkfifo(tmp_path / "a" / name)
    assert find_description(tmp_path) is None
    if name in ("IM0001", "1.yml"):
        assert len(describe(tmp_path, "classification", "X").samples) == 2
    else:
        with pytest.raises(InvalidInput, match=f"'a/{name}' is a link to nothing, a pipe or a device"):
            describe(tmp_path, "classification", "X")


def test_a_description_further_down(tmp_path):
    fill(tmp_path, "a/1.png", "b/1.png", "README.md", "a/notes.yml")
    assert find_description(tmp_path) is None
    (tmp_path / "a/notes.yml").write_text("name: x\nimages: []\n")
    assert find_description(tmp_path) == tmp_path / "a/notes.yml"


def test_where_a_dataset_begins_and_what_describes_it(tmp_path):
    fill(tmp_path, "lab/moles/images/1.png", "__MACOSX/x", ".DS_Store")
    assert find_base(tmp_path) == tmp_path / "lab/moles/images"
    fill(tmp_path, "lab/moles/set.YAML")
    assert find_base(tmp_path) == tmp_path / "lab/moles"
    assert find_description(tmp_path / "lab/moles") == tmp_path / "lab/moles/set.YAML"
    assert find_description(tmp_path / "lab/moles/images") is None
    fill(tmp_path, "README.md")
    assert find_base(tmp_path) == tmp_path / "lab/moles"
    fill(tmp_path, "lab/moles/other.yml")
    with pytest.raises(InvalidInput, match=r"2 YAML files, other\.yml, set\.YAML"):
        find_description(tmp_path / "lab/moles")


@pytest.mark.parametrize(
    ("task", "paths", "sentence"),
    [
        ("classification", [], "at least 2 classes; it is empty"),
        ("classification", ["1.png", "2.png"], r"class_name/image\.png .* there are: 1\.png, 2\.png"),
        ("classification", ["only/1.png", "more.txt"], "at least 2 classes"),
        ("segmentation", ["a/1.png", "b/1.png"], "images/ and masks/; there are: a/, b/"),
        ("segmentation", ["images/1.png", "images/2.png", "masks/1.png"], r"'images/2\.png' has no mask"),
        ("segmentation", ["images/1.png", "masks/1.png", "masks/3.png"], r"'masks/3\.png' has no image"),
        ("segmentation", ["images/1.png", "images/1.jpg", "masks/1.png"], "have one name"),
        ("segmentation", ["images/x.txt", "masks/x.txt"], "'images' has no image"),
        ("classification", ["a/\udcff.png", "b/1.png"], "cannot be written"),
        ("classification", ["a/1.png", "b/1.png", "2.png"], r"'2\.png' lies beside the folders of the classes"),
        ("classification", ["a/1.png", "b/1.png", "c/.keep"], "'c' is empty; put the images of its class into it"),
        ("classification", ["a/1.png", "a/1_mask.png", "b/1.png"], r"'a/1_mask\.png' seems to be the mask"),
        ("classification", ["images/1.png", "gt/1.png"], "images and their masks; register it for segmentation"),
        ("classification", ["train/A/1.png", "train/b/1.png", "val/a/1.png"], "'A' and 'a' are spelt alike"),
        ("classification", ["train/a/1.png", "val/a/1.png", "more/1.png"], "'more' lies beside train, val"),
        ("classification", ["train/a/1.png", "val/a/1.png", "1.png"], "lies beside the folders of the splits"),
        ("classification", ["train/a/1.png", "val/a/1.png", "valid/a/1.png"], "two folders for the validation split"),
        ("classification", ["train/1.png", "val/1.png"], "The folder 'train' has no YAML file"),
        ("segmentation", ["images/1.png", "imgs/1.png", "masks/1.png"], "'images' and 'imgs' are both named"),
        ("segmentation", ["images/1.png", "images/1_image.png", "masks/1.png"], "have one mask, 'masks/1.png'"),
        ("segmentation", ["images/1.png", "masks/1.png", "masks/1_mask.png"], r"'masks/1_mask\.png' has no image"),
        ("segmentation", ["1.png", "1_mask.png", "2.png"], r"'2\.png' has no mask of the same name; .* 1_mask\.png"),
        ("segmentation", ["images/train/1.png", "images/val/1.png", "masks/train/1.png"], "'images/val' has no folder"),
    ],
)
def test_other_layouts_are_told_what_is_expected(tmp_path, task, paths, sentence):
    with pytest.raises(InvalidInput, match=sentence):
        describe(fill(tmp_path, *paths), task, "X")


def test_many_images_without_masks_are_counted(tmp_path):
    fill(tmp_path, *images("images", 10), *images("masks", 1))
    with pytest.raises(InvalidInput, match="and 6 more have no mask"):
        describe(tmp_path, "segmentation", "X")


def test_too_many_files(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "MOST_FILES", 5)
    with pytest.raises(TooLarge, match="more than 5 images"):
        describe(fill(tmp_path, *images("a", 4), *images("b", 6)), "classification", "X")


@pytest.mark.parametrize("link", ["c", "a/linked"])
def test_links_to_folders_are_told_not_followed(tmp_path, link):
    outside = fill(tmp_path / "outside", *images("deep", 3))
    folder = fill(tmp_path / "set", *images("a", 3), *images("b", 3))
    (folder / link).symlink_to(outside)
    with pytest.raises(InvalidInput, match=f"'{link}' is a link"):
        describe(folder, "classification", "X")
