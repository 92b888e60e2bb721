"""Each engine reads and augments in its own way; what a network sees is the same."""

import numpy as np
import pytest
from PIL import Image
from test_engines_contract import CLASSIFICATION, SEGMENTATION, changed
from tried_engines import engine_parameter

from app.datasets.masks import MaskRule
from app.datasets.yaml_format.reading import read_file
from app.engines import get_engine
from app.errors import JobFailure
from app.settings import Settings
from app.training.loading import SampleReader
from app.training.remote import LocalCopies

CONTAINER = "SequentialAugmentationContainer\n    {}\nend\n"
FIXED = [
    "",
    "AugMirror p=1",
    "AugFlip p=1",
    "AugRotate angle=[30,30]",
    "AugResizeDim dims=(9,7)",
    "AugCenterCrop size=(5,6)",
    "AugBrightness beta=[20,20]",
    "AugGammaContrast gamma=[1.5,1.5]",
    "AugGaussianBlur sigma=[1,1]",
    "AugToFloat32 divisor=255",
    "AugToFloat32",
    "AugFlip p=1  # a comment",
    "AugFlip\n  p=1",
    "AugToFloat32\ndivisor=255",
    "SequentialAugmentationContainer AugMirror p=1 AugTranspose p=1 end",
    'AugOpticalDistortion distort_limit=[-0.3,-0.3] shift_limit=[9,9] border_type="constant"',
    'AugOpticalDistortion distort_limit=[-0.3,-0.3] shift_limit=[0,0] border_type="reflect101"',
    CONTAINER.format("AugMirror p=1\n    AugRotate angle=[90,90]\n    AugToFloat32 divisor=128"),
    "OneOfAugmentationContainer p=0\n    AugFlip p=1\nend",
]
# Masks of several classes: here the nearest pixel counts, and in ECVL the class with the largest share of four.
BLENDED = ("AugRotate angle=[30", "AugOpticalDistortion")
CLASSES = ("background", "a", "b", "c", "d", "e")


@pytest.fixture
def folder(tmp_path):
    """Seven images of several sizes in grey, colour and with a palette, and masks of six classes."""
    generator = np.random.default_rng(3)
    for index in range(7):
        height, width = (8, 10) if index % 3 else (20, 15)
        blocks = generator.integers(0, 256, (height // 2 + 1, width // 2 + 1, 3), dtype=np.uint8)
        pixels = blocks.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
        Image.fromarray(pixels).save(tmp_path / f"{index}.png")
        mask = Image.fromarray((pixels[:, :, 0] % len(CLASSES)).astype(np.uint8)).convert("P")
        mask.putpalette(list(range(3 * len(CLASSES))))
        mask.save(tmp_path / f"m{index}.png")
    classes = "".join(f"  - {{location: {index}.png, label: {'ab'[index % 2]}}}\n" for index in range(7))
    (tmp_path / "classes.yml").write_text("classes: [a, b]\nimages:\n" + classes)
    masks = "".join(f"  - {{location: {index}.png, label: m{index}.png}}\n" for index in range(7))
    (tmp_path / "masks.yml").write_text(f"classes: [{', '.join(CLASSES)}]\nimages:\n{masks}")
    return tmp_path


def loader_of(engine, folder, config, indexes=range(7), **options):
    description = read_file(folder / ("classes.yml" if config.task == "classification" else "masks.yml"), 100_000)
    rule = MaskRule({index: index for index in range(len(CLASSES))})
    reader = SampleReader(description, folder, config, LocalCopies(folder / "copies", Settings()), 10_000, rule)
    return engine.loader(reader, indexes, config, "training", **options)


CONFIGS = {
    "classification": changed(CLASSIFICATION, channels=3, classes=("a", "b"), batch_size=3),
    "grey": changed(CLASSIFICATION, channels=1, classes=("a", "b"), batch_size=3),
    "segmentation": changed(SEGMENTATION, classes=CLASSES, batch_size=3),
}


@pytest.mark.parametrize("text", FIXED)
@pytest.mark.parametrize("name", CONFIGS)
def test_a_text_without_chance_gives_the_network_the_same_as_with_torch(engine, folder, name, text):
    config = changed(CONFIGS[name], training_augmentations=text)

    found = list(loader_of(engine, folder, config).batches(1))
    expected = list(loader_of(get_engine("torch"), folder, config).batches(1))

    assert [batch.indexes for batch in found] == [batch.indexes for batch in expected] == [(0, 1, 2), (3, 4, 5), (6,)]
    for own, wanted in zip(found, expected, strict=True):
        assert own.images.dtype == np.float32 and own.images.shape == wanted.images.shape
        scale = 255 if wanted.images.max() > 2 else 128 if "128" in text else 1
        # Grey of colours is rounded here and cut off there, and blurring too: by one of 256 levels.
        np.testing.assert_allclose(
            own.images / scale, wanted.images / scale, atol=1.01 / 127 if scale > 1 else 1.01 / 255
        )
        assert own.targets.dtype == np.int64
        assert (own.targets == wanted.targets).mean() > (0.9 if config.task == "segmentation" else 0.999)
        if not any(name in text for name in BLENDED):
            np.testing.assert_array_equal(own.targets, wanted.targets)


@pytest.mark.parametrize("name", CONFIGS)
def test_what_is_drawn_depends_on_seed_epoch_and_sample_alone(engine, folder, name):
    text = CONTAINER.format("AugRotate angle=[-90,90]\n    AugBrightness beta=[-80,80]\n    AugMirror p=0.5")
    config = changed(CONFIGS[name], training_augmentations=text)

    def images(config=config, epoch=1, first=0):
        batches = loader_of(engine, folder, config, is_shuffled=True).batches(epoch, first)
        return {index: (image, target) for batch in batches
                for index, image, target in zip(batch.indexes, batch.images, batch.targets, strict=True)}  # fmt: skip

    whole, rest = images(), images(first=2)
    assert len(whole) == 7 and len(rest) == 1
    for index, (image, target) in (images(changed(config, batch_size=2)) | rest).items():
        np.testing.assert_array_equal(image, whole[index][0])
        np.testing.assert_array_equal(target, whole[index][1])
    others = (images(epoch=2), images(changed(config, seed=8)))
    assert all(any((other[index][0] != whole[index][0]).any() for index in whole) for other in others)


@pytest.mark.parametrize("class_weights", ["none", "sampler"])
def test_the_order_of_an_epoch_is_that_of_every_engine(engine, folder, class_weights):
    config = changed(CONFIGS["classification"], class_weights=class_weights)

    orders = [
        [batch.indexes for batch in loader_of(each, folder, config, is_shuffled=True).batches(3)]
        for each in (engine, get_engine("torch"))
    ]

    assert orders[0] == orders[1]
    assert (len({index for batch in orders[0] for index in batch}) == 7) == (class_weights == "none")


def test_samples_without_labels_give_images_alone(engine, folder):
    batches = list(loader_of(engine, folder, CONFIGS["segmentation"], has_labels=False).batches(0))

    assert [len(batch.images) for batch in batches] == [3, 3, 1]
    assert all(batch.targets is None for batch in batches)


def broken(kind, path):
    """Write a file that a decoder takes without a word, and that is no image as it should be."""
    image = Image.fromarray(np.arange(3 * 64 * 48, dtype=np.uint8).reshape(64, 48, 3))
    if kind == "text":
        path.write_bytes(b"no image")
    elif kind == "half":
        image.save(path, "JPEG")
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        Image.new("RGB", (200, 100)).save(path)


@pytest.mark.parametrize("kind", ["text", "half", "too large"])
@pytest.mark.parametrize("index", [0, 4])
def test_a_file_that_cannot_be_read_is_named(engine, folder, index, kind):
    broken(kind, folder / f"{index}.png")

    with pytest.raises(JobFailure, match=rf"'{index}\.png"):
        list(loader_of(engine, folder, CONFIGS["classification"]).batches(1))


@pytest.mark.parametrize("name", [engine_parameter("eddl")])
def test_an_image_of_which_ecvl_reads_other_pixels_is_refused(name, folder):
    turned = Image.Exif()
    turned[0x0112] = 3  # upside down
    Image.open(folder / "4.png").save(folder / "4.png", "WEBP", exif=turned, lossless=True)

    with pytest.raises(JobFailure, match=r"ECVL reads other pixels of the image '4\.png'.*choose the engine Torch"):
        list(loader_of(get_engine(name), folder, CONFIGS["classification"]).batches(1))


@pytest.mark.parametrize("name", [engine_parameter("eddl")])
def test_a_text_that_ecvl_cannot_apply_to_an_image_names_it(name, folder):
    config = changed(CONFIGS["classification"], training_augmentations="AugCenterCrop size=(500,500)")

    with pytest.raises(JobFailure, match=r"'0\.png', or apply .*: Start of crop .*limits\.$"):
        list(loader_of(get_engine(name), folder, config).batches(1))
