"""Pipelines: containers, draws that can be replayed, and what happens to masks and inputs."""

import json

import numpy as np
import pytest
from augment_strategies import operations
from hypothesis import given, settings
from hypothesis import strategies as st

from app.augment.parser import parse
from app.augment.pipeline import Pipeline
from app.augment.signatures import CONTAINERS, OPERATIONS
from app.errors import JobFailure

# One text per operation, each with something random where there is any.
TEXTS = {
    "AugRotate": "AugRotate angle=[-40,40] scale=0.8",
    "AugResizeDim": "AugResizeDim dims=(31,17)",
    "AugResizeScale": "AugResizeScale scale=(0.5,1.7)",
    "AugFlip": "AugFlip",
    "AugMirror": "AugMirror",
    "AugTranspose": "AugTranspose",
    "AugGaussianBlur": "AugGaussianBlur sigma=[0,3]",
    "AugAdditiveLaplaceNoise": "AugAdditiveLaplaceNoise std_dev=[0,51]",
    "AugAdditivePoissonNoise": "AugAdditivePoissonNoise lambda=[0,40]",
    "AugGammaContrast": "AugGammaContrast gamma=[0.5,2]",
    "AugCoarseDropout": "AugCoarseDropout p=[0.1,0.5] drop_size=[0.02,0.2] per_channel=0.5",
    "AugBrightness": "AugBrightness beta=[-50,50]",
    "AugGridDistortion": "AugGridDistortion num_steps=[2,6] distort_limit=[-0.3,0.3]",
    "AugElasticTransform": "AugElasticTransform alpha=[20,60] sigma=[3,6]",
    "AugOpticalDistortion": "AugOpticalDistortion distort_limit=[-0.5,0.5] shift_limit=[-5,5]",
    "AugSalt": "AugSalt p=[0,0.3] per_channel=0.5",
    "AugPepper": "AugPepper p=[0,0.3] per_channel=0.5",
    "AugSaltAndPepper": "AugSaltAndPepper p=[0,0.3] per_channel=0.5",
    "AugNormalize": "AugNormalize mean=100 std=2",
    "AugCenterCrop": "AugCenterCrop",
    "AugToFloat32": "AugToFloat32 divisor=255",
    "AugDivBy255": "AugDivBy255",
    "AugScaleTo": "AugScaleTo new_min=10 new_max=90",
    "AugScaleFromTo": "AugScaleFromTo old_min=50 old_max=200 new_min=0 new_max=255",
    "AugRandomCrop": "AugRandomCrop size=(20,60)",
}
SIZES = [(48, 36, 3), (48, 36, 1), (1, 1, 3), (2, 5, 1), (20, 9, 5)]


def pipeline(text):
    return Pipeline(parse(text))


def generator(seed=0):
    return np.random.default_rng(seed)


def noise_image(shape=(48, 36, 3), dtype=np.uint8):
    return generator(7).integers(0, 256, shape, dtype=np.uint8).astype(dtype)


def class_map(shape=(48, 36, 3)):
    """Make blocks of the classes 0, 3 and 200: blending or scaling any of them gives another number."""
    rows, columns = np.indices(shape[:2])
    return np.array([0, 3, 200], np.uint8)[(rows // 5 + columns // 7) % 3]


def test_every_operation_is_tried_here():
    assert set(TEXTS) == set(OPERATIONS) - CONTAINERS


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("shape", SIZES, ids=str)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_keeps_form_inputs_and_classes(text, shape, dtype):
    image, mask = noise_image(shape, dtype), class_map(shape)
    image.flags.writeable = mask.flags.writeable = False
    run = pipeline(text)
    for seed in range(5):
        result, result_mask = run(image, mask, generator(seed))
        assert result.ndim == 3
        assert result.shape[2] == shape[2]
        assert result.dtype == (np.float32 if "AugToFloat32" in text else dtype)
        assert np.isfinite(result).all()
        assert result_mask.shape == result.shape[:2]
        assert result_mask.dtype == np.uint8
        assert set(np.unique(result_mask)) <= {0, 3, 200}
        alone, nothing = run(image, None, generator(seed))
        assert nothing is None
        np.testing.assert_array_equal(alone, result)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_draw_can_be_stored_as_json_and_replayed(text):
    image, mask = noise_image(), class_map()
    run = pipeline(text)
    drawn = run.draw(generator(3))
    for result, replayed in zip(
        run(image, mask, generator(3)), run.apply(image, mask, json.loads(json.dumps(drawn))), strict=True
    ):
        np.testing.assert_array_equal(result, replayed)


RANDOM = {name: text for name, text in TEXTS.items() if pipeline(text).draw(generator())}


@pytest.mark.parametrize("text", RANDOM.values(), ids=RANDOM)
def test_depends_on_the_generator_only(text):
    image = noise_image()
    run = pipeline(text)
    np.random.seed(1)
    first = [run(image, None, generator(seed))[0].tobytes() for seed in range(8)]
    np.random.seed(2)
    assert first == [run(image, None, generator(seed))[0].tobytes() for seed in range(8)]
    assert len(set(first)) > 1


GEOMETRIC = ["AugRotate", "AugFlip", "AugMirror", "AugTranspose", "AugGridDistortion", "AugElasticTransform",
             "AugOpticalDistortion", "AugRandomCrop", "AugCenterCrop"]  # fmt: skip


@pytest.mark.parametrize("name", GEOMETRIC)
def test_mask_and_image_move_together(name):
    mask = class_map()
    text = TEXTS[name]
    if name in ("AugRotate", "AugGridDistortion", "AugElasticTransform", "AugOpticalDistortion"):
        text += ' interp="nearest"'
    for seed in range(10):
        image, moved = pipeline(text)(mask[:, :, np.newaxis], mask, generator(seed))
        np.testing.assert_array_equal(image[:, :, 0], moved)


def test_a_blank_text_returns_the_very_arrays():
    image, mask = noise_image(), class_map()
    for run in (pipeline(""), Pipeline(None)):
        result = run(image, mask, generator())
        assert result[0] is image
        assert result[1] is mask


def test_a_sequence_applies_its_children_in_their_order():
    image = np.full((2, 2, 1), 200, np.uint8)
    steps = ["AugBrightness beta=[100,100]", "AugBrightness beta=[-50,-50]"]
    there, _ = pipeline(f"SequentialAugmentationContainer {steps[0]} {steps[1]} end")(image, None, generator())
    back, _ = pipeline(f"SequentialAugmentationContainer {steps[1]} {steps[0]} end")(image, None, generator())
    assert (int(there.max()), int(back.max())) == (205, 250)


ONE_OF_TEXT = (
    "OneOfAugmentationContainer {} AugBrightness beta=[1,1] AugBrightness beta=[2,2] AugBrightness beta=[3,3] end"
)


@pytest.mark.parametrize(
    ("p", "shares"), [("", [0, 1 / 3, 1 / 3, 1 / 3]), ("p=0.4", [0.6, *[0.4 / 3] * 3]), ("p=0", [1, 0, 0, 0])]
)
def test_one_of_picks_each_child_as_often_and_none_with_1_minus_p(p, shares):
    run, rng, image = pipeline(ONE_OF_TEXT.format(p)), generator(), np.zeros((1, 1, 1), np.uint8)
    counts = np.bincount([run(image, None, rng)[0].item() for _ in range(3000)], minlength=4)
    np.testing.assert_allclose(counts / 3000, shares, atol=0.04)
    assert all(count == 0 for count, share in zip(counts, shares, strict=True) if share == 0)


@pytest.mark.parametrize("name", ["AugFlip", "AugMirror", "AugTranspose"])
def test_probability_0_is_never_and_1_is_always(name):
    image = noise_image()
    for p in (0, 1):
        drawn = [pipeline(f"{name} p={p}").draw(generator(seed))["p"] for seed in range(200)]
        assert set(drawn) == {bool(p)}
    assert pipeline(f"{name} p=0")(image, None, generator())[0] is image


class TestScaleMask:
    """Operations on values: a mask of grey values is scaled as ECVL does, a class map is left alone."""

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("AugToFloat32 divisor=255", 1.0),
            ("AugToFloat32 divisor=255 divisor_gt=51", 5.0),
            ("AugToFloat32 divisor_gt=51", 5.0),
            ("AugDivBy255", 1),
        ],
    )
    def test_grey_values_are_divided(self, text, expected):
        image, mask = noise_image(), np.full((48, 36), 255, np.uint8)
        _, divided = pipeline(text)(image, mask, generator(), scale_mask=True)
        assert divided.dtype == (np.uint8 if text == "AugDivBy255" else np.float32)
        assert (divided == expected).all()
        assert pipeline(text)(image, mask, generator())[1] is mask

    @pytest.mark.parametrize(
        "text",
        [
            'AugGridDistortion num_steps=[2,2] distort_limit=[3,3] border_type="constant" border_value=77',
            'AugOpticalDistortion distort_limit=[2,2] shift_limit=[9,9] border_type="constant" border_value=77',
            'AugElasticTransform alpha=[900,900] sigma=[1,1] border_type="constant" border_value=77',
            'AugRandomCrop size=(90,90) border_type="constant" border_value=77',
        ],
    )
    def test_beyond_the_edge_of_classes_is_class_0(self, text):
        mask = np.full((48, 36), 3, np.uint8)
        _, classes = pipeline(text)(noise_image(), mask, generator())
        _, greys = pipeline(text)(noise_image(), mask, generator(), scale_mask=True)
        assert set(np.unique(classes)) == {0, 3}
        assert set(np.unique(greys)) == {3, 77}
        np.testing.assert_array_equal(classes == 0, greys == 77)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("AugCenterCrop size=(37,4)", "cannot cut 37 x 4 out of an image of 36 x 48 pixels"),
        ("AugResizeScale scale=(0.001,1)", "makes 0 x 48 pixels of 36 x 48"),
        ("AugResizeScale scale=(1,999)", "makes 36 x 47952 pixels"),
        ("AugNormalize mean=(1,2) std=(1,2)", "2 values of mean and std, but the image has 3 channel(s)"),
    ],
)
def test_says_why_an_operation_does_not_fit_an_image(text, message):
    with pytest.raises(JobFailure, match=message.replace("(", r"\(").replace(")", r"\)")):
        pipeline(text)(noise_image(), None, generator())


def test_an_error_of_opencv_becomes_a_sentence():
    with pytest.raises(JobFailure, match="AugRotate cannot be applied to an image of 36 x 48 pixels") as caught:
        pipeline("AugRotate angle=[1,1]")(noise_image().astype(np.int64), None, generator())
    assert caught.value.__cause__ is not None


def is_affordable(augmentation):
    """Tell whether an operation makes a small image of a small one; the others only cost time here."""
    sizes = augmentation.parameters.get("dims") or augmentation.parameters.get("size") or (1, 1)
    factors = augmentation.parameters.get("scale", 1)
    is_narrow = augmentation.parameters.get("sigma", (0, 0))[1] < 50
    return is_narrow and sizes[0] * sizes[1] < 1e5 and (isinstance(factors, float) or np.prod(factors) < 100)


@pytest.mark.filterwarnings("error", "ignore::ResourceWarning")  # of files that other tests left to be closed
@settings(deadline=None)
@given(operations().filter(is_affordable), st.sampled_from([(9, 7, 3), (1, 5, 1)]), st.booleans())
def test_whatever_the_language_accepts_runs_or_says_why_not(augmentation, shape, scale_mask):
    for dtype in (np.uint8, np.float32):
        try:
            result, mask = Pipeline(augmentation)(noise_image(shape, dtype), class_map(shape), generator(), scale_mask)
        except JobFailure as failure:
            assert failure.__cause__ is None, "a reason of its own, not OpenCV's"
            continue
        assert result.ndim == 3
        assert result.shape[:2] == mask.shape
