"""What makes no sense is refused by name; what is merely odd is told."""

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight
from test_training_loading import config_for

from app.datasets.description import Description, Sample
from app.errors import InvalidInput
from app.training.choices import balanced_weights, check_choices, remarks

LABELS = (0, 0, 0, 1, 1, 2)


def described(labels=LABELS, training=range(5), validation=(5,), masks=False):
    samples = tuple(
        Sample((f"{index}.png",), *((None, "mask.png") if masks else ((label,) if isinstance(label, int) else label,)))
        for index, label in enumerate(labels)
    )
    splits = {"training": tuple(training), "validation": tuple(validation)}
    return Description("d", "", ("a", "b", "c"), (), samples, splits)


def refusal(description=None, *, is_fine_tuning=False, **values):
    with pytest.raises(InvalidInput) as refused:
        check_choices(config_for(**{"epochs": 10} | values), description or described(), is_fine_tuning=is_fine_tuning)
    ((name, (sentence,)),) = refused.value.errors.items()
    assert sentence.startswith(f"{name}: ")
    return sentence


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"warmup_epochs": 10}, "Warm-up epochs: 10 of 10 epochs leave none with the full rate"),
        ({"freeze_epochs": 2}, "Freeze epochs: there is nothing to freeze in a training from scratch; give weights_id"),
        ({"freeze_epochs": 10, "is_fine_tuning": True}, "Freeze epochs: 10 of 10 epochs leave none for the encoder"),
        ({"early_stopping_patience": 5, "lr_schedule": "plateau"}, "Early stopping patience: after 5 epochs"),
        ({"class_weights": "balanced"}, "Class weights: class 'c' has no image in the training split"),
        ({"devices": "two_gpus", "halve_batch_size": "yes"}, "Halve batch size: several Devices cannot halve a batch"),
        ({"class_weights": "sampler"}, "Class weights: class 'c' has no image in the training split"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(values, words):
    assert words in refusal(**values)


def test_patience_needs_a_validation_split():
    assert "no labelled validation split" in refusal(described(validation=()), early_stopping_patience=3)


@pytest.mark.parametrize(
    ("values", "split"), [({}, "validation"), ({"validation": (), "training": range(3)}, "training")]
)
def test_an_area_under_the_curve_needs_images_of_several_classes_to_judge_by(values, split):
    assert f"those of the {split} split all have the same classes" in refusal(described(**values), metric="auc")

    check_choices(config_for(metric="auc", keep_best_by="loss"), described(**values), is_fine_tuning=False)
    check_choices(config_for(metric="auc"), described(validation=(2, 5)), is_fine_tuning=False)


def test_class_weights_are_for_single_classes_of_images():
    masks = described(masks=True)
    assert "weights are for the classes of images" in refusal(masks, task="segmentation", class_weights="balanced")
    several = described(labels=((0, 1), 0, 1, 2, 2, 0))
    assert "exactly one class" in refusal(several, class_weights="sampler")


def test_all_that_makes_no_sense_is_named_at_once():
    with pytest.raises(InvalidInput) as refused:
        check_choices(config_for(epochs=2, warmup_epochs=2, freeze_epochs=1), described(), is_fine_tuning=False)
    assert list(refused.value.errors) == ["Warm-up epochs", "Freeze epochs"]


def test_what_makes_sense_passes():
    values = {
        "epochs": 10, "warmup_epochs": 9, "freeze_epochs": 9, "early_stopping_patience": 6, "lr_schedule": "plateau",
        "class_weights": "balanced",
    }  # fmt: skip
    check_choices(config_for(**values), described(training=range(6), validation=(0,)), is_fine_tuning=True)


def test_balanced_weights_are_those_of_scikit_learn():
    labels = np.array(LABELS)

    expected = compute_class_weight("balanced", classes=np.unique(labels), y=labels)

    assert balanced_weights(np.bincount(labels).tolist()) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"batch_size": 7}, "Batch size 7 is more than the 6 images"),
        ({"batch_size": 3, "gradient_accumulation": 3}, "3 batches of 3 are more than the 6 images"),
        ({"early_stopping_patience": 8, "epochs": 8}, "cannot end a training of 8 epochs"),
        ({"lr_schedule": "plateau", "epochs": 6}, "6 epochs end before the LR schedule reduces the rate"),
        ({"lr_schedule": "step", "epochs": 3, "warmup_epochs": 2}, "3 epochs end before"),
        ({"halve_batch_size": "yes", "batch_size": 1}, "nothing to halve"),
    ],
)
def test_what_is_odd_is_told(values, words):
    (remark,) = remarks(config_for(**values), 6)
    assert words in remark


def test_nothing_is_told_of_what_is_usual():
    assert remarks(config_for(batch_size=2, gradient_accumulation=3), 6) == []
    assert remarks(config_for(batch_size=2, halve_batch_size="yes", lr_schedule="step", epochs=2), 6) == []
    assert remarks(config_for(batch_size=2, lr_schedule="plateau", epochs=7), 6) == []
