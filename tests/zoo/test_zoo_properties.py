import json
from importlib.resources import files

import pytest

from app.zoo.architectures import ARCHITECTURES
from app.zoo.properties import CHOICES, RULES, canonical_choice, property_key


def records(name):
    return json.loads((files("app.zoo") / f"{name}.json").read_text())


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("loss", "CrossEntropy", "cross_entropy"),
        ("loss", "SoftCrossEntropy", "soft_cross_entropy"),
        ("loss", "softmax_cross_entropy", "soft_cross_entropy"),
        ("loss", "MSE", "mean_squared_error"),
        ("loss", "mean_squared_error", "mean_squared_error"),
        ("loss", "binary_cross_entropy", "binary_cross_entropy"),
        ("loss", "dice", "dice"),
        ("metric", "CategoricalAccuracy", "categorical_accuracy"),
        ("metric", "accuracy", "categorical_accuracy"),
        ("metric", "mean_absolute_error", "mean_absolute_error"),
        ("optimizer", "adam", "adam"),
        ("loss", "Cross", None),
    ],
)
def test_the_words_of_both_generations_of_clients_mean_the_same(kind, text, value):
    assert canonical_choice(kind, text) == value


def test_names_match_without_case_and_with_underscores():
    assert property_key("LEARNING_RATE") == "learning rate"
    assert property_key("Augmentations") == "training augmentations"


def test_the_ids_that_clients_have_built_in():
    names = [record["name"] for record in records("properties")[:7]]
    assert names == ["Learning rate", "Loss function", "Epochs", "Batch size", "Metric", "Input height", "Input width"]


def test_every_property_has_a_rule_and_every_listed_value_a_meaning():
    for record in records("properties"):
        rule = RULES[property_key(record["name"])]
        for text in filter(None, (record["values"] or "").split(",")):
            assert canonical_choice(rule.choices, text), f"{record['name']}: {text}"


def test_allowed_properties_and_models_refer_to_what_there_is():
    properties = {record["id"]: record for record in records("properties")}
    models = {record["id"]: record for record in records("models")}
    for record in models.values():
        assert record["architecture"] in ARCHITECTURES
    for row in records("allowed_properties"):
        task = ARCHITECTURES[models[row["model_id"]]["architecture"]].task
        kind = RULES[property_key(properties[row["property_id"]]["name"])].choices
        for text in filter(None, [row["default_value"], *(row["allowed_value"] or "").split(",")]):
            if kind:
                assert task in CHOICES[kind][canonical_choice(kind, text)].tasks
            assert " " not in text and "[" not in text
