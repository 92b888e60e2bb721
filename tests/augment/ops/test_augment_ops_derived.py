"""The operations against a second derivation from their description, in bare OpenCV and NumPy calls."""

import cv2
import numpy as np
import pytest

from app.augment.parser import parse
from app.augment.pipeline import Pipeline

WIDTH, HEIGHT = 33, 47
TURN = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), -30, 1)
ZOOM = cv2.getRotationMatrix2D((3.5, -2), 200, 0.5)


def image_of(channels, dtype):
    return np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, channels), dtype=np.uint8).astype(dtype)


def run(text, image, mask=None, **options):
    return Pipeline(parse(text))(image, mask, np.random.default_rng(0), **options)


def cut(values, dtype):
    """Limit to what the type holds and cut fractions off."""
    return np.clip(values, 0, 255).astype(dtype) if dtype == np.uint8 else values.astype(dtype)


def blurred(image, sigma):
    radius = max(int(((sigma - 0.8) / 0.3 + 1) / 0.5 + 1) // 2, 1)
    weights = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * sigma**2))
    weights /= sum(weights)
    padded = np.pad(image.astype(float), ((radius, radius), (radius, radius), (0, 0)), mode="edge")
    rows = sum(weight * padded[:, i : i + WIDTH] for i, weight in enumerate(weights))
    return sum(weight * rows[i : i + HEIGHT] for i, weight in enumerate(weights))


def of_doubles(formula):
    return lambda image: cut(formula(image.astype(float)), image.dtype)


BARE = {
    **{
        f'AugRotate angle=[30,30] interp="{name}"': lambda image, flag=flag: cv2.warpAffine(
            image, TURN, (WIDTH, HEIGHT), flags=flag
        )
        for name, flag in [("nearest", 0), ("linear", 1), ("area", 3), ("cubic", 2), ("lanczos4", 4)]
    },
    "AugRotate angle=[-200,-200] center=(3.5,-2) scale=0.5": lambda i: cv2.warpAffine(i, ZOOM, (WIDTH, HEIGHT)),
    'AugResizeDim dims=(7.9,5.2) interp="area"': lambda i: cv2.resize(i, (7, 5), interpolation=cv2.INTER_AREA),
    'AugResizeDim dims=(60,50) interp="lanczos4"': lambda i: cv2.resize(i, (60, 50), interpolation=cv2.INTER_LANCZOS4),
    # 16.5 and 70.5 are rounded away from zero, not to the even number.
    'AugResizeScale scale=(0.5,1.5) interp="nearest"': lambda i: cv2.resize(i, (17, 71), interpolation=0),
    "AugFlip p=1": lambda i: i[::-1],
    "AugMirror p=1": lambda i: i[:, ::-1],
    "AugTranspose p=1": lambda i: i.swapaxes(0, 1),
    "AugCenterCrop": lambda i: i[7:40],
    "AugCenterCrop size=(8,12)": lambda i: i[17:29, 12:20],
    "AugRandomCrop size=(33,47)": lambda i: i,
    "AugBrightness beta=[-0.5,-0.5]": of_doubles(lambda v: v - 0.5),
    "AugBrightness beta=[70.6,70.6]": of_doubles(lambda v: v + 70.6),
    "AugGammaContrast gamma=[0,0]": of_doubles(lambda v: np.full_like(v, 255)),
    "AugGammaContrast gamma=[0.4,0.4]": of_doubles(lambda v: (v / 255) ** 0.4 * 255),
    "AugNormalize mean=10.5 std=2.5": of_doubles(lambda v: (v - 10.5) / 2.5),
    "AugNormalize mean=10.5 std=-2": of_doubles(lambda v: (v - 10.5) / -2),
    "AugGaussianBlur sigma=[1e-200,1e-200]": lambda i: i,
    "AugDivBy255": of_doubles(lambda v: v / 255),
    "AugToFloat32 divisor=-3": lambda i: (i / -3).astype(np.float32),
    "AugScaleTo new_min=200.5 new_max=20": of_doubles(lambda v: v * (-180.5 / 255) + (20 + 180.5)),
    "AugScaleFromTo old_min=10 old_max=90 new_min=0 new_max=4": of_doubles(lambda v: (v.clip(10, 90) - 10) / 20),
    "AugSalt p=[1,1] per_channel=0": lambda i: np.full_like(i, 255),
    "AugPepper p=[1,1] per_channel=1": np.zeros_like,
    "AugCoarseDropout p=[1,1] drop_size=[0.3,0.3] per_channel=0": np.zeros_like,
    "SequentialAugmentationContainer OneOfAugmentationContainer p=1 AugFlip p=1 end AugMirror p=1 end": lambda i: i[
        ::-1, ::-1
    ],
}


@pytest.mark.parametrize("text", BARE)
@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_equals_the_bare_calls(text, channels, dtype):
    image = image_of(channels, dtype)
    result, _ = run(text, image)
    # OpenCV interpolates at most four channels at once, so each one is derived by itself.
    planes = [BARE[text](image[:, :, [channel]]) for channel in range(channels)]
    expected = np.dstack([plane if plane.ndim == 2 else plane[:, :, 0] for plane in planes])
    assert result.dtype == expected.dtype
    if dtype == np.uint8:
        np.testing.assert_array_equal(result, expected)
    else:
        np.testing.assert_allclose(result, expected, rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize("sigma", [0.8, 1.3, 4])
@pytest.mark.parametrize("channels", [1, 3])
def test_blurs_with_a_kernel_as_wide_as_sigma_asks_for(sigma, channels):
    image = image_of(channels, np.uint8)
    result, _ = run(f"AugGaussianBlur sigma=[{sigma},{sigma}]", image)
    # The order of summing decides about values a hair from a whole number, so one level is allowed.
    assert np.abs(result - np.floor(blurred(image, sigma))).max() <= 1
    exact, _ = run(f"AugGaussianBlur sigma=[{sigma},{sigma}]", image.astype(np.float32))
    np.testing.assert_allclose(exact, blurred(image, sigma), rtol=1e-6)


def test_resizes_floating_point_to_its_last_digits():
    """Intel's routines, which OpenCV prefers, are off by more than 1e-6."""
    image = image_of(3, np.float32) / 255
    positions = ((np.arange(64) + 0.5) * WIDTH / 64 - 0.5).clip(0, WIDTH - 1)
    left = np.minimum(positions.astype(int), WIDTH - 2)
    share = (positions - left)[:, np.newaxis]
    expected = image[:, left] * (1 - share) + image[:, left + 1] * share
    is_used = cv2.ipp.useIPP()
    result, _ = run("AugResizeDim dims=(64,47)", image)
    assert cv2.ipp.useIPP() == is_used
    np.testing.assert_allclose(result, expected, rtol=0, atol=2.5e-7)


@pytest.mark.parametrize("border_type", ["constant", "replicate", "reflect", "wrap", "reflect_101", "reflect101"])
def test_random_crop_pads_both_sides_and_cuts_somewhere(border_type):
    image = np.arange(12, dtype=np.uint8).reshape(3, 4, 1) + 100
    modes = {
        "constant": {"constant_values": 9},
        "replicate": {"mode": "edge"},
        "reflect": {"mode": "symmetric"},
        "wrap": {"mode": "wrap"},
    }
    padded = np.pad(image, ((2, 2), (2, 2), (0, 0)), **modes.get(border_type, {"mode": "reflect"}))
    places = {padded[y : y + 5, x : x + 6].tobytes() for y in range(3) for x in range(3)}
    text = f'AugRandomCrop size=(6,5) border_type="{border_type}" border_value=9'
    found = {Pipeline(parse(text))(image, None, np.random.default_rng(seed))[0].tobytes() for seed in range(200)}
    assert found == places


GT_INTERPOLATED = [
    "AugRotate angle=[30,30] gt_interp={}",
    "AugResizeDim dims=(9,11) gt_interp={}",
    "AugResizeDim dims=(90,50) gt_interp={}",
    "AugResizeScale scale=(0.4,2.2) gt_interp={}",
]


@pytest.mark.parametrize("interpolation", ["nearest", "linear", "area", "cubic", "lanczos4"])
@pytest.mark.parametrize("text", GT_INTERPOLATED)
def test_classes_are_never_blended_and_grey_values_as_the_text_says(text, interpolation):
    image = image_of(1, np.uint8)
    mask = np.random.default_rng(3).choice(np.array([0, 3, 200], np.uint8), (HEIGHT, WIDTH))
    text = text.format(f'"{interpolation}"')
    _, classes = run(text, image, mask)
    _, greys = run(text, image, mask, scale_mask=True)
    assert set(np.unique(classes)) <= {0, 3, 200}
    assert (set(np.unique(greys)) <= {0, 3, 200}) == (interpolation == "nearest")
    np.testing.assert_array_equal(classes, run(text.replace(interpolation, "nearest"), image, mask)[1])
