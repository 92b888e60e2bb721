"""One flag for several masks, wherever the images stand."""

import itertools

import pytest

from app.commands.greedy_option import spread

EXPECTED = "--masks m1 --masks m2 --out d text i1 i2"


@pytest.mark.parametrize(
    "line",
    [
        "text i1 i2 --masks m1 m2 --out d",
        "text i1 i2 --out d --masks m1 m2",
        "text i1 i2 --masks m1 --masks m2 --out d",
        "text i1 i2 --out d --masks m1 --masks m2",
        "--masks m1 m2 --out d text i1 i2",
        "--masks m1 m2 text i1 i2 --out d",
        "--masks m1 --masks m2 text i1 i2 --out d",
        "text --masks m1 m2 i1 i2 --out d",
        "text --out d --masks m1 m2 i1 i2",
        "text i1 --masks m1 m2 --out d i2",
        "--masks m1 m2 text i1 --out d i2",
        "--out d --masks m1 m2 -- text i1 i2",
    ],
)
def test_several_masks_after_one_flag(line):
    words = [word for word in spread(line.split(), "--masks", {"--out"}) if word != "--"]

    masks = [word for flag, word in itertools.pairwise(words) if flag == "--masks"]
    out = words.index("--out")
    own = [word for word in words if word[0] in "ti"]
    assert (masks, words[out + 1], own) == (["m1", "m2"], "d", ["text", "i1", "i2"])
    assert sorted(words) == sorted(EXPECTED.split())


@pytest.mark.parametrize("line", ["text i1 --out d", "text i1 i2 --out=d --seed -1", "text", ""])
def test_a_line_without_the_flag_stays_as_it_is(line):
    assert spread(line.split(), "--masks", {"--out", "--seed"}) == line.split()


def test_a_wrong_number_of_masks_is_left_to_the_command():
    words = spread(["text", "i1", "i2", "--masks", "m1", "m2", "m3", "m4"], "--masks", set())

    assert words == ["--masks", "m1", "--masks", "m2", "--masks", "m3", "--masks", "m4", "text", "i1", "i2"]
    assert spread(["text", "i1", "--masks"], "--masks", set()) == ["text", "i1", "--masks"]
