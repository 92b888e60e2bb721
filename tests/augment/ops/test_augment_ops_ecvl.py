"""The operations against ECVL 1.0.3: its own outputs where nothing is random, its statistics where something is."""

import json
from pathlib import Path

import numpy as np
import pytest

from app.augment.parser import parse
from app.augment.pipeline import Pipeline
from app.errors import JobFailure

DATA = Path(__file__).parents[2] / "data" / "augment"
CASES = json.loads((DATA / "ecvl.json").read_text())["cases"]
# ECVL interpolates the masks of these as it does images; ours never blend classes.
BLENDED = ("AugGridDistortion", "AugElasticTransform", "AugOpticalDistortion")


@pytest.fixture(scope="module")
def arrays():
    with np.load(DATA / "ecvl.npz") as archive:
        return dict(archive)


def assert_as_ecvl(ours, theirs):
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    if ours.dtype == np.uint8:
        np.testing.assert_array_equal(ours, theirs)
    else:
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_equals_ecvl(case, arrays):
    run = Pipeline(parse(case["text"]))
    image, mask = arrays[case["image"]], arrays[case["image"] + "__mask"]
    if "refused" in case:
        with pytest.raises(JobFailure):
            run(image, mask, np.random.default_rng(0), scale_mask=True)
        return
    result, result_mask = run(image, mask, np.random.default_rng(0), scale_mask=True)
    assert_as_ecvl(result, arrays[case["name"]])
    if case["text"].startswith(BLENDED) and "nearest" not in case["text"]:
        assert set(np.unique(result_mask)) <= {*np.unique(mask), 77, 0}
    else:
        assert_as_ecvl(result_mask, arrays[case["name"] + "__mask"])


# Text, statistic, and its mean and standard deviation over ECVL's 200 runs on a colour image of 33 x 47 noise pixels.
STATISTICS = [
    ("AugAdditiveLaplaceNoise std_dev=[25.5,25.5]", "out_mean", 126.53447, 0.46134),
    ("AugAdditiveLaplaceNoise std_dev=[25.5,25.5]", "out_std", 77.9156, 0.37537),
    ("AugAdditiveLaplaceNoise std_dev=[25.5,25.5]", "frac_elements_changed", 0.97643, 0.002),
    ("AugAdditiveLaplaceNoise std_dev=[25.5,25.5]", "diff_std", 32.12936, 0.52279),
    ("AugAdditivePoissonNoise lambda=[2,2]", "out_mean", 128.93622, 0.01895),
    ("AugAdditivePoissonNoise lambda=[2,2]", "out_std", 74.69041, 0.01895),
    ("AugAdditivePoissonNoise lambda=[2,2]", "frac_elements_changed", 0.86015, 0.00516),
    ("AugAdditivePoissonNoise lambda=[2,2]", "diff_std", 1.41268, 0.01546),
    ("AugCoarseDropout p=[0.1,0.1] drop_size=[0.1,0.1] per_channel=1", "out_mean", 122.68056, 1.19196),
    ("AugCoarseDropout p=[0.1,0.1] drop_size=[0.1,0.1] per_channel=1", "out_std", 76.91003, 0.57187),
    ("AugCoarseDropout p=[0.1,0.1] drop_size=[0.1,0.1] per_channel=1", "frac_elements_changed", 0.0335, 0.00919),
    ("AugCoarseDropout p=[0.1,0.1] drop_size=[0.1,0.1] per_channel=1", "diff_std", 26.40753, 3.80757),
    ("AugCoarseDropout p=[0,0.03] drop_size=[0.0,0.05] per_channel=0.25", "out_mean", 125.41448, 1.19735),
    ("AugCoarseDropout p=[0,0.03] drop_size=[0.0,0.05] per_channel=0.25", "out_std", 75.52836, 0.6152),
    ("AugCoarseDropout p=[0,0.03] drop_size=[0.0,0.05] per_channel=0.25", "frac_elements_changed", 0.01208, 0.00928),
    ("AugCoarseDropout p=[0,0.03] drop_size=[0.0,0.05] per_channel=0.25", "diff_std", 14.62934, 6.7824),
    ("AugSalt p=[0.3,0.3] per_channel=0.5", "out_mean", 165.26836, 1.17819),
    ("AugSalt p=[0.3,0.3] per_channel=0.5", "out_std", 85.71395, 0.30055),
    ("AugSalt p=[0.3,0.3] per_channel=0.5", "frac_elements_changed", 0.29781, 0.00802),
    ("AugSalt p=[0.3,0.3] per_channel=0.5", "diff_std", 71.46217, 0.9887),
    ("AugPepper p=[0.3,0.3] per_channel=0.5", "out_mean", 88.96977, 1.10568),
    ("AugPepper p=[0.3,0.3] per_channel=0.5", "out_std", 85.37517, 0.29661),
    ("AugPepper p=[0.3,0.3] per_channel=0.5", "frac_elements_changed", 0.29791, 0.00805),
    ("AugPepper p=[0.3,0.3] per_channel=0.5", "diff_std", 71.05089, 0.91714),
    ("AugSaltAndPepper p=[0.3,0.3] per_channel=0.5", "out_mean", 127.39808, 1.45089),
    ("AugSaltAndPepper p=[0.3,0.3] per_channel=0.5", "out_std", 93.8323, 0.59579),
    ("AugSaltAndPepper p=[0.3,0.3] per_channel=0.5", "frac_elements_changed", 0.30097, 0.00964),
    ("AugSaltAndPepper p=[0.3,0.3] per_channel=0.5", "diff_std", 81.18764, 1.4694),
    ("AugElasticTransform alpha=[120,120] sigma=[6,6] border_value=0", "out_mean", 127.20904, 1.43261),
    ("AugElasticTransform alpha=[120,120] sigma=[6,6] border_value=0", "out_std", 50.00629, 0.59544),
    ("AugElasticTransform alpha=[120,120] sigma=[6,6] border_value=0", "frac_elements_changed", 0.99604, 0.0009),
    ("AugElasticTransform alpha=[120,120] sigma=[6,6] border_value=0", "diff_std", 89.40657, 0.68858),
    ("AugGridDistortion num_steps=[3,3] distort_limit=[-0.05,0.05] border_value=0", "out_mean", 127.27431, 0.29229),
    ("AugGridDistortion num_steps=[3,3] distort_limit=[-0.05,0.05] border_value=0", "out_std", 51.43517, 0.89878),
    (
        "AugGridDistortion num_steps=[3,3] distort_limit=[-0.05,0.05] border_value=0",
        "frac_elements_changed",
        0.99112,
        0.00221,
    ),
    ("AugGridDistortion num_steps=[3,3] distort_limit=[-0.05,0.05] border_value=0", "diff_std", 76.54002, 4.09122),
    ("AugRotate angle=[-5,5]", "out_mean", 124.11929, 1.55447),
    ("AugRotate angle=[-5,5]", "out_std", 54.08356, 5.03604),
    ("AugRotate angle=[-5,5]", "frac_elements_changed", 0.97781, 0.07359),
    ("AugRotate angle=[-5,5]", "diff_std", 58.44618, 24.68164),
    ('AugRandomCrop size=(120,100) border_type="reflect101" border_value=0', "out_mean", 127.00829, 0.20621),
    ('AugRandomCrop size=(120,100) border_type="reflect101" border_value=0', "out_std", 74.71893, 0.11696),
]
MEASURES = {
    "out_mean": lambda before, after: after.mean(),
    "out_std": lambda before, after: after.std(),
    "frac_elements_changed": lambda before, after: (after != before).mean(),
    "diff_std": lambda before, after: (after - before).std(),
}
RUNS = 200


@pytest.mark.parametrize(
    ("text", "statistic", "mean", "deviation"), STATISTICS, ids=[f"{c[0]} {c[1]}" for c in STATISTICS]
)
def test_is_as_random_as_ecvl(text, statistic, mean, deviation, arrays):
    image, rng, run = arrays["noise33x47"], np.random.default_rng(5), Pipeline(parse(text))
    measure, before = MEASURES[statistic], image.astype(float)
    measured = [measure(before, run(image, None, rng)[0].astype(float)) for _ in range(RUNS)]
    sampling_error = np.hypot(deviation, np.std(measured)) / np.sqrt(RUNS)
    assert np.mean(measured) == pytest.approx(mean, abs=4 * sampling_error + 1e-4 * max(1, abs(mean)))
