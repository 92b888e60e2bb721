import json
from importlib.resources import files

import pytest

from app.errors import InvalidInput
from app.training.config import TrainingConfig, resolve_properties

PROPERTIES = json.loads((files("app.zoo") / "properties.json").read_text())
ALLOWED = json.loads((files("app.zoo") / "allowed_properties.json").read_text())


def resolve(architecture="lenet", extra=(), **requested):
    model_id = {"lenet": 1, "unet": 2}[architecture]
    allowed = [*extra, *(row for row in ALLOWED if row["model_id"] == model_id)]
    items = [{"name": name, "value": value} for name, value in requested.items()]
    return resolve_properties(items, PROPERTIES, allowed, architecture)


def test_the_model_decides_where_the_request_says_nothing():
    resolved = resolve()

    assert resolved.values["batch_size"] == 64
    assert resolved.values["epochs"] == 50
    assert resolved.values["loss"] == "cross_entropy"
    assert resolved.texts[4] == "64" and resolved.texts[3] == "50" and resolved.texts[8] is None
    assert set(resolved.texts) == {record["id"] for record in PROPERTIES}


def test_a_row_for_the_dataset_comes_before_one_for_the_model():
    row = {"property_id": 4, "model_id": 1, "dataset_id": 5, "allowed_value": None, "default_value": "16"}

    assert resolve(extra=[row]).values["batch_size"] == 16
    assert resolve(extra=[row], batch_size=8).values["batch_size"] == 8


@pytest.mark.parametrize("value", ["1e-3", 0.001, ["0.001"], " 1e-3 "])
def test_a_value_may_be_text_a_number_or_a_list_of_one(value):
    assert resolve(Learning_Rate=value).values["learning_rate"] == 0.001


@pytest.mark.parametrize("value", [[], None, "", "  "])
def test_an_untouched_field_means_the_default(value):
    assert resolve(Epochs=value).values["epochs"] == 50


def test_augmentations_means_training_augmentations():
    text = 'AugRotate angle=[-5,5] center=(0,0) scale=0.5 interp="linear"\n'

    assert resolve(Augmentations=text).values["training_augmentations"] == text


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("Learning rate", "fast", "Learning rate: 'fast' cannot be used; give a number greater than 0"),
        ("Learning rate", "0,001", "Learning rate: '0,001' cannot be used; give a number with a decimal point greater"),
        ("Learning rate", "0", "greater than 0"),
        ("Learning rate", "nan", "cannot be used"),
        ("Learning rate", "1e999", "cannot be used"),
        ("Epochs", "1.5", "give a whole number from 1"),
        ("Epochs", "1_0", "cannot be used"),
        ("Batch size", -1, "give a whole number from 1"),
        ("Input height", "9", None),
        ("Input height", "500", "Input height: 500 pixels do not suit this model; give 8 to 224"),
        ("Loss function", "Dice", "Loss function: 'Dice' does not fit this classification model; choose one of Cross"),
        ("Loss function", "hinge", "Loss function: 'hinge' is not known; choose one of CrossEntropy, SoftCrossEntropy"),
        ("Learning rat", "1", "There is no property 'Learning rat'; did you mean 'Learning rate'?"),
        ("Training augmentations", "AugRotat angle=[1,2]", "Training augmentations: "),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_with_what_would_be_right(name, value, sentence):
    if sentence is None:
        assert resolve(**{name: value}).values["input_height"] == 9
        return
    with pytest.raises(InvalidInput) as refused:
        resolve(**{name: value})
    assert sentence in refused.value.message
    assert list(refused.value.errors) == [name]


def test_all_bad_properties_are_named_at_once():
    with pytest.raises(InvalidInput) as refused:
        resolve(Epochs="x", Metric="y", nonsense=1)
    assert set(refused.value.errors) == {"Epochs", "Metric", "nonsense"}


def test_two_different_values_for_one_property_are_refused():
    with pytest.raises(InvalidInput, match="given twice"):
        resolve(Epochs="3", epochs="4")


def test_a_config_survives_json():
    values = resolve("unet").values
    config = TrainingConfig(task="segmentation", architecture="unet", classes=("a",), channels=1, **values)

    assert TrainingConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert config.output_channels == 1


@pytest.mark.parametrize(
    ("devices", "alone"), [("cpu", "cpu"), ("four_cpus", "cpu"), ("auto", "auto"), ("two_gpus", "auto")]
)
def test_where_nothing_is_learned_one_device_computes(devices, alone):
    config = TrainingConfig(
        task="segmentation",
        architecture="unet",
        classes=("a",),
        channels=1,
        **resolve("unet").values | {"devices": devices},
    )
    assert config.for_one_device().devices == alone
