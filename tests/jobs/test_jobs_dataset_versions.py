"""New splits of a registered dataset."""

import pytest
from PIL import Image

from app.errors import InvalidInput, NotFound
from app.jobs.datasets.opened import open_dataset
from app.jobs.datasets.registration import register_dataset
from app.jobs.datasets.versions import split_dataset


@pytest.fixture
def moles(services, data_root):
    """A dataset of 40 images of 8 patients, two of the images in no split and two without a label."""
    lines = ["classes: [ben, mel]", "features: [patient, age]", "images:"]
    for index in range(40):
        Image.new("L", (8, 8), index).save(data_root / f"m{index}.png")
        label = f"label: {'ben' if index % 4 else 'mel'}, " if index not in (36, 37) else ""
        lines.append(f"  - {{location: m{index}.png, {label}values: [p{index // 5}, {20 + index}]}}")
    lines += [f"split: {{training: {list(range(36))}, test: [36, 37]}}"]
    (data_root / "moles.yml").write_text("\n".join(lines))
    return register_dataset(services, "Moles", 1, str(data_root / "moles.yml"))


def test_a_new_split_is_a_new_dataset_and_the_old_one_stays(services, moles):
    version = split_dataset(services, moles["id"], {"training": 0.5, "validation": 0.25, "test": 0.25, "seed": 5})

    assert version["name"] == "Moles (split 2)" and version["version_of"] == moles["id"]
    assert version["splits"] == {"training": 18, "validation": 9, "test": 9}
    assert version["split_settings"]["seed"] == 5
    assert services.database.datasets.get(moles["id"]) == moles
    old, new = open_dataset(moles).description, open_dataset(version).description
    assert new.samples == old.samples and new.classes == old.classes and new.features == old.features
    assert sorted(sum(new.splits.values(), ())) == list(range(36))
    assert new.class_counts("test") == [7, 2] or new.class_counts("test") == [6, 3]
    assert services.queue.position("check", version["check_process_id"]) == 2


def test_the_same_seed_gives_the_same_split_and_none_a_new_one(services, moles):
    versions = [split_dataset(services, moles["id"], {"seed": seed}) for seed in (1, 1, None, None)]
    splits = [open_dataset(version).description.splits for version in versions]
    assert splits[0] == splits[1] != splits[2] != splits[3]
    assert [version["name"] for version in versions] == [f"Moles (split {number})" for number in (2, 3, 4, 5)]
    again = split_dataset(services, versions[2]["id"], {"seed": versions[2]["split_settings"]["seed"]})
    assert open_dataset(again).description.splits == splits[2]
    assert again["name"] == "Moles (split 6)" and again["version_of"] == versions[2]["id"]


def test_patients_stay_together(services, moles):
    version = split_dataset(services, moles["id"], {"group_by": "patient", "seed": 1})
    description = open_dataset(version).description
    patients = [
        {description.samples[index].values["patient"] for index in part} for part in description.splits.values()
    ]
    assert len(patients) == 3 and sum(map(len, patients)) == len(set().union(*patients)) == 8


def test_folds_and_one_of_them_for_validation(services, moles):
    folds = split_dataset(services, moles["id"], {"folds": 4, "seed": 2})
    assert folds["splits"] == {f"fold_{number}": 9 for number in range(1, 5)}
    parts = open_dataset(folds).description.splits
    for number in range(1, 5):
        version = split_dataset(services, moles["id"], {"folds": 4, "fold": number, "seed": 2})
        splits = open_dataset(version).description.splits
        assert splits["validation"] == parts[f"fold_{number}"] and list(splits) == ["training", "validation"]
    versions = [split_dataset(services, moles["id"], {"folds": 3, "fold": n, "test": 0.25, "seed": 2}) for n in (1, 2)]
    first, second = (open_dataset(version).description.splits for version in versions)
    assert first["test"] == second["test"] and len(first["test"]) == 9
    assert not set(first["validation"]) & set(second["validation"])


@pytest.mark.parametrize(
    ("request_body", "field", "sentence"),
    [
        ({"training": 0.9, "test": 0.2}, "training", "sum up to 1.1"),
        ({"training": 0}, "training", "sum up to 0"),
        ({"folds": 3, "training": 0.5}, "folds", "only `test`"),
        ({"fold": 1}, "fold", "give `folds` too"),
        ({"folds": 3, "fold": 4}, "fold", "there are 3 folds"),
        ({"group_by": "patients"}, "group_by", "did you mean 'patient'"),
        ({"folds": 9, "group_by": "patient"}, "group_by", "8 groups of samples, too few for 9"),
        ({"folds": 50}, None, "36 images, too few for 50"),
    ],
)
def test_what_cannot_be_split(services, moles, stored, request_body, field, sentence):
    before = stored()
    with pytest.raises(InvalidInput, match=sentence) as refused:
        split_dataset(services, moles["id"], request_body)
    assert field is None or field in refused.value.errors
    assert stored() == before


def test_masks_have_no_classes_to_share_out(services, data_root):
    masks = register_dataset(services, "Masks", 2, str(data_root / "masks.yml"))
    with pytest.raises(InvalidInput, match="no classes"):
        split_dataset(services, masks["id"], {"stratify": True})
    assert split_dataset(services, masks["id"], {"seed": 0})["splits"] == {"training": 3, "validation": 1, "test": 1}


def test_an_unknown_dataset(services):
    with pytest.raises(NotFound):
        split_dataset(services, 99, {})
