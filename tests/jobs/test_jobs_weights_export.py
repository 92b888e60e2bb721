"""The ONNX file of weights, and the report that says whether it may be offered."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from app.engines import get_engine
from app.errors import JobFailure
from app.files import read_json, write_json
from app.jobs.weights.detail import export_report, is_exported
from app.jobs.weights.export import _compared, export_weights, metadata
from app.runs.layout import WeightsFolder
from app.training.checkpoints import save_epoch
from app.training.config import TrainingConfig
from app.training.position import Position

CONFIG = TrainingConfig(
    task="classification", architecture="lenet", classes=("left", "right"), channels=1, learning_rate=1e-3,
    loss="cross_entropy", metric="categorical_accuracy", epochs=1, batch_size=4, input_height=8, input_width=12,
    optimizer="adam", weight_decay=0.0, seed=7,
)  # fmt: skip
IMAGES = np.random.default_rng(0).random((4, 1, 8, 12), dtype=np.float32)
FACTS = {"weights_id": "3"}


@pytest.fixture
def folder(tmp_path):
    """The folder of weights as a training leaves it."""
    folder = WeightsFolder(tmp_path)
    save(folder)
    return folder


def save(folder, config=CONFIG):
    network = get_engine("torch").build(config)
    save_epoch(folder, network, config, Position(), is_best=True, is_complete=True)


def test_the_report_tells_the_largest_difference_over_the_images(folder):
    assert export_report(folder) is None and not is_exported(folder)

    export_weights(folder, FACTS, [IMAGES, IMAGES[:1]])

    report = export_report(folder)
    assert report["image_count"] == 5 and report["error"] is None and not report["is_noise"]
    assert 0 <= report["largest_difference"] <= report["relative_difference"] < 1e-4
    assert is_exported(folder)


def test_without_images_random_ones_are_compared_and_the_report_says_so(folder):
    export_weights(folder, FACTS, None)
    assert export_report(folder)["is_noise"] and export_report(folder)["image_count"] == 2


def test_a_file_of_earlier_weights_is_no_longer_offered(folder):
    export_weights(folder, FACTS, None)
    save(folder, replace(CONFIG, seed=8))
    assert export_report(folder) is None and not is_exported(folder)


def test_a_file_that_computes_other_numbers_is_an_error(folder, tmp_path):
    engine = get_engine("torch")
    engine.build(replace(CONFIG, seed=8)).export_onnx(tmp_path / "other.onnx", {})

    with pytest.raises(JobFailure, match="computes other numbers than the service"):
        _compared(engine, engine.build(CONFIG), tmp_path / "other.onnx", [IMAGES])


def test_weights_that_are_no_numbers_are_an_error(folder):
    content = torch.load(folder.best, weights_only=True)
    next(iter(content["weights"].values())).fill_(float("nan"))
    torch.save(content, folder.best)

    with pytest.raises(JobFailure, match=r"not finite \(NaN\)"):
        export_weights(folder, FACTS, [IMAGES])
    assert not is_exported(folder)


def test_a_class_that_is_never_seen_is_compared_by_the_probability_of_its_absence(tmp_path):
    """Two programs round 1e-9 differently; that is no difference of a probability."""
    config = replace(CONFIG, is_multi_label=True, loss="binary_cross_entropy")
    folder = WeightsFolder(tmp_path)
    save(folder, config)
    content = torch.load(folder.best, weights_only=True)
    bias = [name for name in content["weights"] if name.endswith("bias")][-1]
    content["weights"][bias] -= 20
    torch.save(content, folder.best)

    report = export_weights(folder, FACTS, [IMAGES])

    assert report["relative_difference"] == pytest.approx(report["largest_difference"], rel=1e-3)


def test_weights_that_cannot_be_exported_leave_the_reason_and_no_file(folder):
    export_weights(folder, FACTS, None)
    card = read_json(folder.card)
    write_json(folder.card, card | {"config": replace(CONFIG, channels=3).to_dict()})

    with pytest.raises(JobFailure, match="do not fit their model"):
        export_weights(folder, FACTS, None)

    assert "do not fit their model" in export_report(folder)["error"]
    assert not is_exported(folder) and not folder.onnx.exists()


@pytest.mark.parametrize(
    ("changes", "colours", "output"),
    [
        ({}, "GRAY", "probabilities of the classes of the image, summing to 1"),
        ({"channels": 3, "is_multi_label": True}, "RGB", "probabilities of the classes of the image, each by itself"),
        ({"channels": 5, "task": "segmentation", "classes": ("a",)}, "5 planes", "probability of the class, of each"),
        ({"task": "segmentation"}, "GRAY", "probabilities of the classes of each pixel, summing to 1"),
    ],
)
def test_the_metadata_says_what_goes_in_and_out(changes, colours, output):
    facts = metadata({"metric": "dice", "value": 0.5, "epoch": 2}, replace(CONFIG, **changes), FACTS)
    assert facts["deephealth.colour_type"] == colours
    assert facts["deephealth.output"].startswith(output)
    assert facts["deephealth.input_size"] == f'{{"height":8,"width":12,"channels":{changes.get("channels", 1)}}}'
    assert facts["deephealth.metrics"] == '{"metric":"dice","value":0.5,"epoch":2}'
    assert facts["deephealth.weights_id"] == "3"


def test_the_metadata_says_how_images_are_prepared():
    texts = {f"{split}_augmentations": f"AugGaussianBlur sigma=[{number},{number}]"
             for number, split in enumerate(("training", "validation", "test"), 1)}  # fmt: skip
    facts = metadata({}, replace(CONFIG, **texts), FACTS)

    assert facts["deephealth.augmentations"] == "AugGaussianBlur sigma=[3,3]"
    steps = facts["deephealth.preprocessing"].split("; then ")
    expected = ["decode to 8 bits and one channel", "apply the text of", "resize to 8 x 12 pixels", "divide by 255,"]
    assert [step.startswith(words) for step, words in zip(steps, expected, strict=True)] == [True] * 4
