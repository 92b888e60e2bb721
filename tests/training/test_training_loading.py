import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from app.datasets.masks import MaskRule
from app.datasets.yaml_format.reading import read_file
from app.errors import JobFailure
from app.settings import Settings
from app.training.config import TrainingConfig
from app.training.loading import Loader, SampleReader
from app.training.remote import LocalCopies

ROTATE = "AugRotate angle=[-30,30]"


def config_for(**values):
    plain = {
        "task": "classification", "architecture": "lenet", "classes": ("a", "b"), "channels": 1, "learning_rate": 1e-3,
        "loss": "cross_entropy", "metric": "categorical_accuracy", "epochs": 1, "batch_size": 4, "input_height": 10,
        "input_width": 12, "optimizer": "adam", "weight_decay": 0.0, "seed": 3,
    }  # fmt: skip
    return TrainingConfig(**plain | values)


@pytest.fixture
def folder(tmp_path):
    return write_images(tmp_path)


def write_images(folder):
    """Write eleven images of 8 x 10 pixels, image i of value 20 i, with classes in turn; return the folder."""
    for index in range(11):
        Image.fromarray(np.full((8, 10), 20 * index, np.uint8)).save(folder / f"{index}.png")
    lines = [f"  - {{location: {index}.png, label: {'ab'[index % 2]}}}" for index in range(11)]
    (folder / "set.yml").write_text("classes: [a, b]\nimages:\n" + "\n".join(lines) + "\n")
    return folder


def loader_for(folder, *, config=None, indexes=range(11), **options):
    config = config or config_for()
    description = read_file(folder / "set.yml", 10_000)
    copies = LocalCopies(folder / "copies", Settings())
    reader = SampleReader(description, folder, config, copies, 10_000, MaskRule({0: 0, 255: 1}))
    return Loader(reader, indexes, config, "training", **options)


def test_every_sample_comes_once_an_epoch_the_last_partial_batch_included(folder):
    loader = loader_for(folder, is_shuffled=True)

    batches = list(loader.batches(1))

    assert [len(batch.indexes) for batch in batches] == [4, 4, 3]
    assert sorted(index for batch in batches for index in batch.indexes) == list(range(11))
    assert (loader.sample_count, loader.batch_count) == (11, 3)


def test_images_and_targets_are_those_of_their_indexes(folder):
    for batch in loader_for(folder, is_shuffled=True).batches(1):
        assert batch.images.shape[1:] == (1, 10, 12) and batch.images.dtype == np.float32
        for index, image, target in zip(batch.indexes, batch.images, batch.targets, strict=True):
            np.testing.assert_allclose(image, 20 * index / 255, atol=1e-6)
            assert target == index % 2


def test_the_order_changes_with_epoch_and_seed_and_repeats_for_the_same(folder):
    def order(epoch, seed=3):
        loader = loader_for(folder, config=config_for(seed=seed), is_shuffled=True)
        return [index for batch in loader.batches(epoch) for index in batch.indexes]

    assert order(1) == order(1)
    assert order(1) != order(2)
    assert order(1) != order(1, seed=4)
    assert [index for batch in loader_for(folder).batches(1) for index in batch.indexes] == list(range(11))


def test_augmentation_depends_on_seed_epoch_and_sample_and_not_on_the_batch(folder):
    Image.fromarray(np.arange(80, dtype=np.uint8).reshape(8, 10)).save(folder / "0.png")

    def first_image(epoch, batch_size=4, seed=3):
        config = config_for(training_augmentations=ROTATE, batch_size=batch_size, seed=seed)
        return next(iter(loader_for(folder, config=config).batches(epoch))).images[0]

    np.testing.assert_array_equal(first_image(1), first_image(1, batch_size=7))
    assert np.abs(first_image(1) - first_image(2)).max() > 0
    assert np.abs(first_image(1) - first_image(1, seed=9)).max() > 0


def test_a_text_that_gives_floats_is_not_scaled_again(folder):
    config = config_for(training_augmentations="AugToFloat32 divisor=10")

    batch = next(iter(loader_for(folder, config=config).batches(1)))

    np.testing.assert_allclose(batch.images[3], 60 / 10)


def test_masks_keep_their_classes_whatever_the_size_and_the_text(tmp_path):
    Image.fromarray(np.zeros((8, 10), np.uint8)).save(tmp_path / "0.png")
    mask = np.zeros((8, 10), np.uint8)
    mask[2:6, 3:8] = 255
    Image.fromarray(mask).save(tmp_path / "m.png")
    (tmp_path / "set.yml").write_text("classes: [cell]\nimages:\n  - {location: 0.png, label: m.png}\n")
    config = config_for(
        task="segmentation", architecture="unet", classes=("cell",), input_height=64, input_width=50,
        training_augmentations="AugToFloat32 divisor=255 divisor_gt=255",
    )  # fmt: skip

    (batch,) = loader_for(tmp_path, config=config, indexes=[0]).batches(1)

    assert batch.targets.shape == (1, 64, 50)
    assert set(np.unique(batch.targets)) == {0, 1}
    assert batch.targets.mean() == pytest.approx(20 / 80, abs=0.01)


def test_a_mask_of_another_size_than_its_image_fails_with_both_names(tmp_path):
    Image.fromarray(np.zeros((8, 10), np.uint8)).save(tmp_path / "0.png")
    Image.fromarray(np.zeros((8, 9), np.uint8)).save(tmp_path / "m.png")
    (tmp_path / "set.yml").write_text("classes: [cell]\nimages:\n  - {location: 0.png, label: m.png}\n")
    config = config_for(task="segmentation", architecture="unet", classes=("cell",), input_height=32, input_width=32)

    with pytest.raises(JobFailure, match=r"'m\.png' has 9 x 8 pixels and its image '0\.png' 10 x 8"):
        list(loader_for(tmp_path, config=config, indexes=[0]).batches(1))


def test_a_grey_image_becomes_colour_for_weights_trained_on_colour(folder):
    batch = next(iter(loader_for(folder, config=config_for(channels=3)).batches(1)))

    assert batch.images.shape[1] == 3
    np.testing.assert_allclose(batch.images[2], 40 / 255, atol=1e-6)


@pytest.mark.parametrize("size", [(4, 5), (20, 30)])
def test_images_of_many_planes_are_resized(folder, size):
    text = "classes: [a, b]\nimages:\n  - {location: [0.png, 1.png, 2.png, 3.png, 4.png, 5.png], label: a}\n"
    (folder / "set.yml").write_text(text)
    config = config_for(channels=6, input_height=size[0], input_width=size[1])

    (batch,) = loader_for(folder, config=config, indexes=[0]).batches(1)

    assert batch.images.shape == (1, 6, *size)
    np.testing.assert_allclose(batch.images[0, :, 0, 0], np.arange(6) * 20 / 255, atol=1e-6)


def test_a_missing_image_fails_with_its_name(folder):
    (folder / "5.png").unlink()

    with pytest.raises(JobFailure, match=r"5\.png"):
        list(loader_for(folder).batches(1))


def test_leaving_early_ends_the_reading(folder):
    batches = loader_for(folder).batches(1)
    next(batches)
    batches.close()


LARGER_THAN_MEMORY = """
import resource, sys
from pathlib import Path
from app.datasets.description import Description, Sample
from app.settings import Settings
from app.training.config import TrainingConfig
from app.training.loading import Loader, SampleReader
from app.training.remote import LocalCopies

samples = tuple(Sample((f"{index % 2}.png",), (index % 2,)) for index in range(600))
description = Description("Large", "", ("a", "b"), (), samples, {"training": tuple(range(600))})
config = TrainingConfig(
    task="classification", architecture="lenet", classes=("a", "b"), channels=3, learning_rate=1e-3,
    loss="cross_entropy", metric="accuracy", epochs=1, batch_size=4, input_height=32, input_width=32,
    optimizer="adam", weight_decay=0.0, seed=3, loader_workers=2,
)
reader = SampleReader(description, Path(sys.argv[1]), config, LocalCopies(Path(sys.argv[1]), Settings()), 10**7)
list(Loader(reader, range(8), config, "training").batches(1))  # what is loaded once is loaded by now
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + 256 * 1024**2
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
print(sum(len(batch.indexes) for batch in Loader(reader, range(600), config, "training").batches(1)))
"""


def test_a_dataset_larger_than_the_memory_is_read(tmp_path):
    for index in range(2):
        Image.new("RGB", (512, 512), (index, 0, 0)).save(tmp_path / f"{index}.png")
    command = [sys.executable, "-c", LARGER_THAN_MEMORY, str(tmp_path)]  # 450 MiB of pixels, 256 MiB of memory
    environment = os.environ | {"MALLOC_ARENA_MAX": "1"}  # else the C library reserves 64 MiB for every thread
    found = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert found.stdout == "600\n", found.stderr


def test_targets_of_several_classes_tell_for_each_whether_it_is_there(folder):
    labels = ["[a, b]", "b", "[]"]
    lines = [f"  - {{location: {index}.png, label: {label}}}" for index, label in enumerate(labels)]
    (folder / "set.yml").write_text("classes: [a, b]\nimages:\n" + "\n".join(lines) + "\n")

    [batch] = loader_for(folder, config=config_for(is_multi_label=True), indexes=range(3)).batches(1)

    assert batch.targets.tolist() == [[1, 1], [0, 1], [0, 0]] and batch.targets.dtype == np.int64


def test_the_number_of_workers_changes_no_batch(folder):
    def batches(count):
        config = config_for(training_augmentations=ROTATE, batch_size=2, loader_workers=count)
        return list(loader_for(folder, config=config, is_shuffled=True).batches(1))

    for one, other in zip(batches(1), batches(4), strict=True):
        assert one.indexes == other.indexes
        np.testing.assert_array_equal(one.images, other.images)


def test_the_sampler_draws_every_class_as_often_and_as_many_samples_as_there_are(folder):
    rare = [0, 1, 3, 5, 7, 9]  # image 0 is the only one of class a
    loader = loader_for(folder, config=config_for(class_weights="sampler"), indexes=rare, is_shuffled=True)

    epochs = [[index for batch in loader.batches(epoch) for index in batch.indexes] for epoch in range(200)]

    assert {len(epoch) for epoch in epochs} == {6}
    assert np.mean([epoch.count(0) for epoch in epochs]) == pytest.approx(3, abs=0.3)
    assert epochs[0] != epochs[1]
    assert epochs[0] == [index for batch in loader.batches(0) for index in batch.indexes]
    assert [index for batch in loader.batches(0, first=1) for index in batch.indexes] == epochs[0][4:]


def test_a_sample_that_is_drawn_again_is_augmented_anew(folder):
    Image.fromarray(np.arange(80, dtype=np.uint8).reshape(8, 10)).save(folder / "0.png")
    config = config_for(class_weights="sampler", training_augmentations=ROTATE, batch_size=6)
    (batch,) = loader_for(folder, config=config, indexes=[0, 1, 3, 5, 7, 9], is_shuffled=True).batches(1)

    first, second = np.flatnonzero(np.array(batch.indexes) == 0)[:2]

    assert np.abs(batch.images[first] - batch.images[second]).max() > 0
