"""Where ECVL's code departs from its documentation (or leaves something open), ours does what is documented."""

import numpy as np
import pytest

from app.augment.parser import parse
from app.augment.pipeline import Pipeline
from app.errors import JobFailure

RAMP = np.arange(48, dtype=np.uint8).reshape(6, 8, 1) * 5
COLOUR = np.dstack([RAMP, RAMP + 1, RAMP + 2])


def run(text, image, mask=None, seed=0):
    return Pipeline(parse(text))(image, mask, np.random.default_rng(seed))[0]


def test_angles_are_clockwise():
    dot = np.zeros((9, 9, 1), np.uint8)
    dot[0, 4] = 255  # twelve o'clock
    turned = run("AugRotate angle=[90,90] center=(4,4)", dot)
    assert np.argwhere(turned[:, :, 0] == 255).tolist() == [[4, 8]]  # three o'clock


def test_flip_is_vertical_and_mirror_horizontal():
    np.testing.assert_array_equal(run("AugFlip p=1", COLOUR), COLOUR[::-1])
    np.testing.assert_array_equal(run("AugMirror p=1", COLOUR), COLOUR[:, ::-1])
    np.testing.assert_array_equal(run("AugTranspose p=1", COLOUR), COLOUR.swapaxes(0, 1))


def test_a_constant_border_is_black_unless_a_value_is_given():
    text = 'AugOpticalDistortion distort_limit=[0,0] shift_limit=[8,8] border_type="constant"'
    dark, bright = run(text, RAMP + 1), run(text + " border_value=99", RAMP + 1)
    assert (dark == 0).sum() > 40
    np.testing.assert_array_equal((dark == 0), (bright == 99))


def test_the_border_value_of_a_colour_image_is_its_blue():
    text = 'AugRandomCrop size=(24,18) border_type="constant" border_value=99'
    corners = {tuple(run(text, np.full((1, 1, 3), 7, np.uint8), seed=seed)[0, 0]) for seed in range(30)}
    assert corners <= {(0, 0, 99), (7, 7, 7)}
    assert (0, 0, 99) in corners


def test_a_transparent_border_shows_the_image_itself():
    text = 'AugOpticalDistortion distort_limit=[0,0] shift_limit=[400,400] border_type="transparent"'
    np.testing.assert_array_equal(run(text, RAMP), RAMP)


def test_random_crop_takes_a_transparent_border_where_it_needs_none():
    text = 'AugRandomCrop size=(8,6) border_type="transparent"'
    np.testing.assert_array_equal(run(text, RAMP), RAMP)
    with pytest.raises(JobFailure, match="8 x 6 of an image of 8 x 5 pixels"):
        run(text, RAMP[:5])


def test_random_crop_needs_no_border_type():
    crops = {run("AugRandomCrop size=(7,5)", RAMP, seed=seed)[0, 0].item() for seed in range(60)}
    assert crops == {0, 5, 40, 45}  # each of the four places


def test_random_crop_adds_what_is_lacking_on_both_sides():
    lit = np.full((4, 4, 1), 255, np.uint8)
    lefts = {np.argwhere(run("AugRandomCrop size=(6,4)", lit, seed=seed))[0][1].item() for seed in range(60)}
    assert lefts == {0, 1, 2}


def test_center_crop_takes_the_middle_and_rounds_down():
    np.testing.assert_array_equal(run("AugCenterCrop size=(3,3)", RAMP), RAMP[1:4, 2:5])
    np.testing.assert_array_equal(run("AugCenterCrop", RAMP), RAMP[:, 1:7])


def test_to_float32_without_a_divisor_divides_by_1():
    result = run("AugToFloat32", RAMP)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, RAMP)


def test_normalize_takes_a_vector_of_one_for_grey_images():
    image = RAMP.astype(np.float32)
    np.testing.assert_allclose(run("AugNormalize mean=(10) std=(4)", image), (image - 10) / 4)
    np.testing.assert_array_equal(run("AugNormalize mean=(10) std=(4)", RAMP), np.maximum(RAMP - 10.0, 0) // 4)


def test_normalize_takes_each_channel_by_itself():
    expected = (COLOUR - np.array([10.0, 20, 30])) / [1, 2, 4]
    text = "AugNormalize mean=(10,20,30) std=(1,2,4)"
    np.testing.assert_allclose(run(text, COLOUR.astype(np.float32)), expected)
    np.testing.assert_array_equal(run(text, COLOUR), expected.clip(0, 255).astype(np.uint8))


def test_scale_to_maps_an_image_of_one_value_to_the_minimum():
    assert (run("AugScaleTo new_min=20 new_max=90", np.full((3, 3, 1), 128, np.uint8)) == 20).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("text", ["AugScaleTo", "AugScaleFromTo old_min=0 old_max=1e-9"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_range_beyond_all_numbers_warns_nobody(text, dtype):
    scaled = run(f"{text} new_min=0 new_max=1e308", RAMP.astype(dtype))
    assert (scaled.dtype, scaled.shape) == (dtype, RAMP.shape)


def test_scale_from_to_limits_before_it_maps():
    scaled = run("AugScaleFromTo old_min=50 old_max=100 new_min=20 new_max=220", RAMP)
    assert scaled.ravel()[[0, 9, 10, 15, 20, 30]].tolist() == [20, 20, 20, 120, 220, 220]


@pytest.mark.parametrize("text", ["AugAdditiveLaplaceNoise std_dev=[0,0]", "AugAdditivePoissonNoise lambda=[0,0]"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_noise_of_strength_0_changes_nothing(text, dtype):
    np.testing.assert_array_equal(run(text, COLOUR.astype(dtype)), COLOUR)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_noise_of_float_images_is_as_strong(dtype):
    grey = np.full((64, 64, 3), 128, dtype)
    laplace = run("AugAdditiveLaplaceNoise std_dev=[10,10]", grey).astype(float)
    poisson = run("AugAdditivePoissonNoise lambda=[10,10]", grey).astype(float)
    assert laplace.std() == pytest.approx(10 * 2**0.5, rel=0.05)
    assert poisson.mean() == pytest.approx(138, abs=0.2)
    assert poisson.var() == pytest.approx(10, rel=0.1)


def test_dropout_drops_whole_cells_of_all_channels_or_of_each():
    white = np.full((40, 20, 3), 255, np.uint8)
    together = run("AugCoarseDropout p=[0.5,0.5] drop_size=[0.1,0.1] per_channel=0", white)
    np.testing.assert_array_equal(together, together[::4, ::2].repeat(4, 0).repeat(2, 1))
    assert set(map(tuple, together.reshape(-1, 3))) == {(0, 0, 0), (255, 255, 255)}
    each = run("AugCoarseDropout p=[0.9,0.9] drop_size=[0.1,0.1] per_channel=1", white)
    assert (each == 0).mean() == pytest.approx(0.3, abs=0.1)  # p / channels
    assert len(set(map(tuple, each.reshape(-1, 3)))) > 2


def test_the_smallest_cells_of_dropout_are_pixels():
    dropped = run("AugCoarseDropout p=[0.5,0.5] drop_size=[0,0] per_channel=0", np.full((40, 20, 1), 255, np.uint8))
    assert (dropped[:, ::2] != dropped[:, 1::2]).mean() == pytest.approx(0.5, abs=0.1)
    assert (dropped[::2] != dropped[1::2]).mean() == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(("name", "values"), [("AugSalt", {255}), ("AugPepper", {0}), ("AugSaltAndPepper", {0, 255})])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_salt_and_pepper_hit_pixels_or_channels(name, values, dtype):
    grey = np.full((64, 64, 3), 128, dtype)
    pixels = run(f"{name} p=[0.3,0.3] per_channel=0", grey)
    assert set(np.unique(pixels)) == values | {128}
    assert (pixels == pixels[:, :, :1]).all()
    channels = run(f"{name} p=[0.3,0.3] per_channel=1", grey)
    assert not (channels == channels[:, :, :1]).all()
    assert (channels != 128).mean() == pytest.approx(0.3, abs=0.03)
    assert channels.dtype == dtype


# ECVL's fields have a standard deviation of 5.54 pixels along x and 5.57 along y, and of 1.22 and 1.13.
@pytest.mark.parametrize(("sigma", "deviation"), [(1, 5.55), (20, 1.17)])
def test_elastic_transform_moves_each_axis_by_its_own_field(sigma, deviation):
    x, y = np.meshgrid(np.arange(192.0), np.arange(192.0))
    positions = np.dstack([x, y, x]).astype(np.float32)
    moved = run(f"AugElasticTransform alpha=[34,34] sigma=[{sigma},{sigma}]", positions)
    shifts = (moved - positions)[30:-30, 30:-30]
    assert shifts[:, :, 0].std() == pytest.approx(deviation, rel=0.2)
    assert shifts[:, :, 1].std() == pytest.approx(deviation, rel=0.2)
    assert abs(np.corrcoef(shifts[:, :, 0].ravel(), shifts[:, :, 1].ravel())[0, 1]) < 0.3


def test_resizing_to_three_channels_repeats_grey():
    resized = run("AugResizeDim dims=(8,6,3)", RAMP)
    np.testing.assert_array_equal(resized, RAMP.repeat(3, axis=2))
