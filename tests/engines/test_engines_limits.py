"""What is known of an engine without its library: whether it is there, and what it cannot do."""

import subprocess
import sys
from dataclasses import replace

import pytest
from test_engines_contract import CLASSIFICATION, SEGMENTATION

from app.datasets.description import Description, Sample
from app.engines import ENGINES, engine_faults, get_engine, why_not_installed
from app.engines.eddl_engine.limits import ARCHITECTURES
from app.errors import JobFailure
from app.settings import CLONE_FOLDER, ENGINE_NAMES
from app.zoo.properties import CHOICES

EDDL = replace(CLASSIFICATION, engine="eddl")


def described(*places, mask=None):
    samples = [Sample(location=place if isinstance(place, tuple) else (place,), classes=(0,), mask=mask, values={})
               for place in places]  # fmt: skip
    return Description(name="set", text="", classes=("a",), features=(), samples=tuple(samples), splits={})


def test_setting_property_and_registry_know_the_same_engines():
    assert tuple(ENGINES) == ENGINE_NAMES
    assert list(CHOICES["engine"]) == ["auto", *ENGINES]


def test_an_engine_that_is_not_there_is_refused_with_what_to_install(monkeypatch):
    monkeypatch.setitem(ENGINES, "eddl", replace(ENGINES["eddl"], packages=("json", "no_such_package")))

    assert why_not_installed("eddl") == (
        "The engine EDDL needs no_such_package, not installed on this machine: "
        "install pyeddl and pyecvl (docs/eddl.md), or choose Torch."
    )
    with pytest.raises(JobFailure, match="needs no_such_package"):
        get_engine("eddl")


def test_the_torch_engine_has_no_limits():
    assert engine_faults(replace(CLASSIFICATION, precision="mixed", architecture="densenet121")) == {}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_eddl_takes_the_defaults_of_its_models(architecture):
    assert engine_faults(replace(EDDL, architecture=architecture)) == {}
    assert engine_faults(replace(SEGMENTATION, engine="eddl", loss="dice_cross_entropy")) == {}


@pytest.mark.parametrize(
    ("values", "name", "words"),
    [
        ({"architecture": "densenet121"}, "Engine", "LeNet, VGG16, ResNet50, U-Net, SegNet, and not densenet121"),
        ({"optimizer": "adamw"}, "Optimizer", "Adam and SGD"),
        ({"weight_decay": 0.01}, "Weight decay", "give 0"),
        ({"loss": "focal"}, "Loss function", "no focal loss"),
        ({"precision": "mixed"}, "Precision", "Float32 only"),
        ({"devices": "two_cpus"}, "Devices", "give Auto or CPU"),
        ({"devices": "gpu"}, "Devices", "give Auto or CPU"),
        ({"loader_workers": 2}, "Loader workers", "give 1"),
        ({"freeze_epochs": 1}, "Freeze epochs", "give 0"),
        ({"halve_batch_size": "yes"}, "Halve batch size", "give No"),
        ({"pretrained": "file"}, "Pretrained", "give None"),
        ({"channels": 5}, "dataset_id", "1 or 3 channels"),
        (
            {"validation_augmentations": "AugAdditivePoissonNoise lambda=[0,0]"},
            "Validation augmentations",
            "leave it out",
        ),
    ],
)
def test_what_eddl_cannot_do_is_said_by_the_name_of_the_property(values, name, words):
    faults = engine_faults(replace(EDDL, **values))

    assert list(faults) == [name]
    assert faults[name].startswith(f"{name}: ") and words in faults[name] and faults[name].endswith("Torch.")


@pytest.mark.parametrize(
    ("description", "words"),
    [
        (described("a.png", "b.dcm"), "'b.dcm'"),
        (described("scan.nii.gz#slice=3"), "part of a file"),
        (described(("red.png", "green.png")), "planes of one image"),
        (described("a.png", mask="m.nii"), "'m.nii'"),
    ],
)
def test_images_that_ecvl_does_not_read_are_refused_by_name(description, words):
    faults = engine_faults(EDDL, description)

    assert list(faults) == ["dataset_id"] and words in faults["dataset_id"]
    assert engine_faults(EDDL, described("a.png", "b.JPG", "https://host/c.tif")) == {}


def test_asking_loads_no_library():
    script = """
import sys
from app.engines import ENGINES, installed_engines, package_versions
import app.engines.eddl_engine.limits
installed_engines(), [package_versions(name) for name in ENGINES]
for name in ("torch", "monai", "onnx", "onnxruntime", "pyeddl", "pyecvl", "numpy"):
    assert name not in sys.modules, name
"""
    answer = subprocess.run([sys.executable, "-c", script], cwd=CLONE_FOLDER, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
