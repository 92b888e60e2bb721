"""The augmentation language: what is read, what is refused and how, and that writing is the inverse of reading."""

import subprocess
import sys
from collections import Counter

import pytest
from augment_strategies import augmentations
from hypothesis import given
from hypothesis import strategies as st

from app.augment.parser import DEEPEST_NESTING, LONGEST_TEXT, MOST_PROBLEMS, parse, to_text
from app.augment.signatures import ONE_OF, OPERATIONS, SEQUENTIAL, Augmentation
from app.errors import AugmentationError

TEXT_OF_7_13 = 'AugRotate angle=[-5,5] center=(0,0) scale=0.5 interp="linear"\n'
TEXT_OF_8_1 = (
    'SequentialAugmentationContainer\n AugRotate angle=[-5,5] center=(0,0) interp="linear"\n'
    " AugCoarseDropout p=[0,0.55] drop_size=[0.02,0.1] per_channel=0,\n OneOfAugmentationContainer\n"
    " AugAdditiveLaplaceNoise std_dev=[0,51]\n AugAdditivePoissonNoise lambda=[0,40]\n end\nend\n"
)
ROTATE = Augmentation("AugRotate", {"angle": (-5.0, 5.0), "scale": 0.5})
FLIP = Augmentation("AugFlip", {"p": 1.0})


def sequence(*children):
    return Augmentation(SEQUENTIAL, {}, children)


def problems_of(text):
    with pytest.raises(AugmentationError) as caught:
        parse(text)
    return caught.value.problems


def the_problem_of(text):
    (problem,) = problems_of(text)
    return problem


def test_reads_the_texts_that_d35_prints():
    assert parse(TEXT_OF_7_13) == Augmentation(
        "AugRotate", {"angle": (-5.0, 5.0), "center": (0.0, 0.0), "scale": 0.5, "interp": "linear"}
    )
    rotate, dropout, one_of = parse(TEXT_OF_8_1).children
    assert rotate.parameters["center"] == (0.0, 0.0)
    assert dropout.parameters == {"p": (0.0, 0.55), "drop_size": (0.02, 0.1), "per_channel": 0.0}
    assert [child.name for child in one_of.children] == ["AugAdditiveLaplaceNoise", "AugAdditivePoissonNoise"]
    assert one_of.settings() == {"p": 1.0}


@pytest.mark.parametrize("text", ["", "   \n\t\r\n", "# nothing yet", "\ufeff"])
def test_a_blank_text_is_an_empty_sequence(text):
    assert parse(text) == sequence()


@pytest.mark.parametrize(
    "text",
    [
        "AugRotate angle=[-5,5] scale=0.5",
        "\ufeffAugRotate angle=[-5,5] scale=0.5\r\n",
        "\tAugRotate\tangle=[-5,5]\tscale=0.5   \n\n",
        "AugRotate angle=[-5,5], scale=.5,",
        "AugRotate angle=[-5,5],scale=5e-1 ,\n",
        "# before\nAugRotate angle=[-5,5] scale=0.5 # after",
        "AugRotate angle = [ -5.0 ,\n +5. ] scale =\n 0.5",
        "AugRotate scale=0.5\n    angle=[-5,5]",
        "AugRotate angle=[-5,5]scale=0.5",
    ],
)
def test_tolerates_what_people_stumble_over(text):
    assert parse(text) == ROTATE


@pytest.mark.parametrize(
    "text",
    [
        "SequentialAugmentationContainer\n  AugFlip p=1\n\n  AugFlip p=1\nend",
        "SequentialAugmentationContainer\r\nAugFlip p=1\r\n \r\nAugFlip p=1\r\nend\r\n",
        "SequentialAugmentationContainer\rAugFlip p=1 # old Mac\rAugFlip p=1\rend",
        "SequentialAugmentationContainer AugFlip p=1 AugFlip p=1 end",
        "SequentialAugmentationContainer,\nAugFlip p=1,\nAugFlip p=1,\nend,\n",
        "SequentialAugmentationContainer\n# one\nAugFlip p=1, # two\nAugFlip p=1\nend # three",
    ],
)
def test_tolerates_any_line_ends_around_children(text):
    assert parse(text) == sequence(FLIP, FLIP)


# Each text, then line, column and a part of its one problem.
REFUSED = [
    ("AugRotat angle=[1,1]", 1, 1, "did you mean AugRotate?"),
    ("augflip", 1, 1, "did you mean AugFlip?"),
    ("Zzz", 1, 1, "names look like AugRotate"),
    ("{", 1, 1, "The name of an operation is expected, not {."),
    ("AugFlip; p=1", 1, 1, "There is no operation AugFlip;; did you mean AugFlip?"),
    ("AugFlip p=1 // twice", 1, 13, "expected as name=value, not //; a comment begins with #."),
    ("// twice", 1, 1, "not //; a comment begins with #."),
    ("AugFlip p=1\u200b", 1, 11, r"not 1\u200b."),
    ("AugFlip p=\x1b", 1, 11, r"not \x1b."),
    ("AugRotate angle=[1,1] centre=(1,1)", 1, 23, "AugRotate has no parameter centre; did you mean center?"),
    ("AugFlip foo=3", 1, 9, "AugFlip has no parameter foo; it has p."),
    ("AugDivBy255 p=3", 1, 13, "AugDivBy255 has no parameters"),
    ("SequentialAugmentationContainer p=1\nend", 1, 33, "SequentialAugmentationContainer has no parameters"),
    ("AugRotate", 1, 1, "AugRotate needs angle, a range such as [0,1]."),
    ("AugCoarseDropout p=[0,1] drop_size=[0,1]", 1, 1, "AugCoarseDropout needs per_channel"),
    ("AugRotate angle=30", 1, 17, "must be a range such as [0,1], not the number 30"),
    ("AugRotate angle=(1,2)", 1, 17, "must be a range such as [0,1], not the vector (1,2)"),
    ("AugFlip p=[0,1]", 1, 11, "must be a finite number such as 0.5, not the range [0,1]"),
    ('AugFlip p="1"', 1, 11, 'not the string "1"'),
    ("AugFlip p=1px", 1, 11, "not 1px"),
    ("AugFlip p=0x1", 1, 11, "not 0x1"),
    ("AugFlip p=nan", 1, 11, "finite number"),
    ("AugFlip p=inf", 1, 11, "finite number"),
    ("AugBrightness beta=[0,1e999]", 1, 23, "too large"),
    ("AugBrightness beta=[0,nan]", 1, 23, "a finite number is expected in the range, not nan"),
    ("AugBrightness beta=[]", 1, 21, "a finite number is expected"),
    ("AugBrightness beta=[5,5,]", 1, 25, "a finite number is expected"),
    ("AugBrightness beta=[5;5]", 1, 21, "not 5;5"),
    ("AugBrightness beta=[5,5", 1, 24, "`,` or `]` is expected in the range, not the end of the text"),
    ("AugBrightness beta=[5,5)", 1, 24, "not )"),
    ("AugBrightness beta=[5]", 1, 20, "a range of 2 numbers, [min,max], not of 1"),
    ("AugBrightness beta=[1,2,3]", 1, 20, "not of 3"),
    ("AugBrightness beta=[9,5]", 1, 20, "9 is greater than 5"),
    ("AugRotate angle=[1,1] center=(3)", 1, 30, "a vector of 2 numbers, not of 1"),
    ("AugFlip p=1.5", 1, 11, "from 0 to 1, not 1.5"),
    ("AugFlip p=-0.1", 1, 11, "from 0 to 1, not -0.1"),
    ("AugSalt p=[0,2] per_channel=0", 1, 11, "from 0 to 1, not 2"),
    ("OneOfAugmentationContainer p=7\nAugFlip\nend", 1, 30, "from 0 to 1, not 7"),
    ("AugResizeDim dims=(0,4)", 1, 19, "from 1 to 8192, not 0"),
    ("AugResizeDim dims=(4,8193)", 1, 19, "not 8193"),
    ("AugResizeDim dims=(8192,8192,5)", 1, 1, "dims ask for 335,544,320 values; at most 268,435,456"),
    ("AugResizeDim dims=(4)", 1, 19, "a vector of 2 or 3 numbers, not of 1"),
    ('AugResizeDim dims=(3,4) interp="bilinear"', 1, 32, 'did you mean "linear"?'),
    ('AugResizeDim dims=(3,4) interp="LINEAR"', 1, 32, 'did you mean "linear"?'),
    ("AugResizeDim dims=(3,4) interp=linear", 1, 32, "a string in double quotes"),
    ('AugResizeDim dims=(3,4) interp="linear', 1, 32, "no closing quote"),
    ("AugFlip p=", 1, 11, "p has no value"),
    ("AugFlip p=,", 1, 11, "p has no value"),
    ("AugFlip p", 1, 9, "expected as name=value, not p"),
    ("AugFlip 0.5", 1, 9, "expected as name=value, not 0.5"),
    ('AugFlip "p"=1', 1, 9, 'expected as name=value, not "p"'),
    ("AugFlip p=1 p=1", 1, 13, "p is given twice"),
    ("AugNormalize mean=1 std=(1,2)", 1, 1, "both be numbers, or both be vectors"),
    ("AugNormalize mean=(1,2,3) std=(1,2)", 1, 1, "mean has 3 values and std has 2"),
    ("AugNormalize mean=1 std=0", 1, 1, "std must not be 0"),
    ("AugScaleFromTo old_min=5 old_max=5 new_min=0 new_max=1", 1, 1, "old_min (5) must be less than old_max (5)"),
    ("OneOfAugmentationContainer\nend", 1, 1, "no operations to choose from"),
    (
        "SequentialAugmentationContainer\n  AugFlip\n",
        3,
        1,
        "The SequentialAugmentationContainer of line 1 has no `end`",
    ),
    ("SequentialAugmentationContainer\n  AugFlip\nEnd", 3, 1, "`End` must be written `end`"),
    ("SequentialAugmentationContainr\n  AugFlip\nend", 1, 1, "did you mean SequentialAugmentationContainer?"),
    ("SequentialAugmentationContainer AugFlop p=1 end", 1, 33, "did you mean AugFlip?"),
    ("end", 1, 1, "`end` closes no container"),
    ("SequentialAugmentationContainer\nend\nend", 3, 1, "`end` closes no container"),
    ("AugFlip\nAugMirror", 2, 1, "wrap all of them in SequentialAugmentationContainer ... end"),
    ("SequentialAugmentationContainer\nend\nAugFlip", 3, 1, "Nothing may stand after the outermost `end`"),
]


@pytest.mark.parametrize(("text", "line", "column", "message"), REFUSED, ids=[case[0] for case in REFUSED])
def test_refuses_with_place_and_advice(text, line, column, message):
    problem = the_problem_of(text)
    assert message in problem.message
    assert (problem.line, problem.column) == (line, column)


def test_lists_all_problems_of_a_text_in_its_order():
    text = (
        "SequentialAugmentationContainer\r\n"
        "    AugRotat angle=[1,1]\r\n"
        "    AugRotate angle=[5,1] interp=linear\r\n"
        "    AugFlip p=0.5\r\n"
        "\tAugResizeDim dims=(0,4), dim=3\r\n"
    )
    places = [(problem.line, problem.column) for problem in problems_of(text)]
    assert places == [(2, 5), (3, 21), (3, 34), (5, 20), (5, 27), (6, 1)]


def test_the_error_carries_every_sentence_for_the_api():
    with pytest.raises(AugmentationError) as caught:
        parse("AugFlip p=2 q=3")
    assert caught.value.errors == {
        "augmentation text": [
            "line 1, column 11: AugFlip: p must be from 0 to 1, not 2.",
            "line 1, column 13: AugFlip has no parameter q; it has p.",
        ]
    }


@pytest.mark.parametrize(
    ("text", "excerpt"),
    [
        ("AugFlip p=2", "AugFlip p=2\n          ^"),
        ("\ufeffAugFlip\r\n\tp=2 # twice\r\n", " p=2 # twice\n   ^"),
        ("OneOfAugmentationContainer\nAugFlip\n", "\n^"),
        (f"AugFlip {' ' * 52} p=2", f"AugFlip {' ' * 52} p=2\n{' ' * 63}^"),
        (f"AugFlip {' ' * 53} p=2", f"...lip {' ' * 53} p=2\n{' ' * 63}^"),
        (f"AugFlip p=2 {'# ' * 99}", f"AugFlip p=2 {'# ' * 19}...\n          ^"),
        ("AugFlip p=2".ljust(LONGEST_TEXT + 1), f"AugFlip p=2{' ' * 29}...\n^"),
    ],
)
def test_each_problem_shows_its_line_with_a_caret(text, excerpt):
    assert problems_of(text)[0].excerpt == excerpt


def nested(depth):
    return f"{SEQUENTIAL}\n" * depth + "end\n" * depth


def test_nesting_has_a_limit():
    parse(nested(DEEPEST_NESTING))
    assert the_problem_of(nested(DEEPEST_NESTING + 1)).line == DEEPEST_NESTING + 1


def test_length_has_a_limit():
    parse("AugFlip".ljust(LONGEST_TEXT))
    assert f"at most {LONGEST_TEXT}" in the_problem_of("AugFlip".ljust(LONGEST_TEXT + 1)).message


@pytest.mark.parametrize(
    "text",
    ["{} 3", "{}=", "AugFlip {}=1", "AugDivBy255 {}=1", "AugFlip {}=[", "AugFlip p={}", 'AugFlip p="{}"', "Contain{}",
     'AugRotate angle=[1,1] interp="{}"', "AugFlip p=[{}]", "{{{}", "AugFlip p=1{}"],
)  # fmt: skip
def test_a_problem_of_a_very_long_word_is_still_a_sentence(text):
    assert all(len(problem.message) < 250 for problem in problems_of(text.format("9" * 30_000)))
    assert all(len(problem.message) < 250 for problem in problems_of(text.format("x" * 30_000)))


def test_stops_counting_problems_at_some_point():
    assert len(problems_of("AugRotat angle=[1,1]\n" * 2000)) == MOST_PROBLEMS


@pytest.mark.parametrize(
    "piece",
    ["1", "x", "[", '"', "a=", "a=1 ", "AugFlip ", "AugRotate angle=[1,", "AugFlip p=1,\n", f"{ONE_OF} ", "١", "="],
)
def test_hostile_texts_are_read_in_time_that_grows_with_their_length(piece):
    short, long = (piece * (length // len(piece)) for length in (LONGEST_TEXT // 4, LONGEST_TEXT))
    assert problems_of(long)
    assert calls_to_refuse(long) <= 4 * calls_to_refuse(short) + 200


def calls_to_refuse(text):
    """Count the calls of functions, those written in C included."""
    counts = Counter()
    sys.setprofile(lambda frame, event, function: counts.update([event]))
    try:
        parse(text)
    except AugmentationError:
        pass
    finally:
        sys.setprofile(None)
    return counts["call"] + counts["c_call"]


@pytest.mark.parametrize("piece", ["1", "[", "[1,", '"', "AugFlip\n", f"{SEQUENTIAL}\n"])
def test_a_text_of_a_megabyte_is_not_even_cut_into_pieces(piece):
    text = piece * (2**20 // len(piece))
    assert "at most" in the_problem_of(text).message
    assert calls_to_refuse(text) < 1000


def test_loads_neither_numpy_nor_opencv():
    code = "import sys, app.augment.parser; sys.exit(bool({'numpy', 'cv2', 'torch'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Writing


@given(augmentations)
def test_what_is_written_reads_back_equal(augmentation):
    assert parse(to_text(augmentation)) == augmentation


@given(augmentations, st.sampled_from(["\n", "\r\n", " \n\t\n", " # why\r\n"]))
def test_line_ends_change_nothing(augmentation, line_end):
    assert parse(to_text(augmentation).replace("\n", line_end)) == augmentation


PIECES = [*OPERATIONS, "end", "End", "p", "angle", "dims", "interp", "=", ",", "[", "]", "(", ")", "0.5", "-3", "1e999",
          '"linear"', '"', "#", "\n", "\r\n", " ", "\t", "nan", "½", "\x00", "AugFli"]  # fmt: skip


@st.composite
def mistyped(draw):
    """Write a sound text and exchange some of its parts for others."""
    text = to_text(draw(augmentations))
    for _ in range(draw(st.integers(1, 4))):
        start, length = draw(st.integers(0, len(text))), draw(st.integers(0, 12))
        text = text[:start] + draw(st.sampled_from(PIECES) | st.text(max_size=3)) + text[start + length :]
    return text


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=60).map(" ".join) | mistyped())
def test_any_text_is_read_or_refused_with_places_inside_it(text):
    try:
        augmentation = parse(text)
    except AugmentationError as error:
        lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
        for problem in error.problems:
            assert 1 <= problem.line <= len(lines)
            assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1
            assert problem.excerpt.count("\n") == 1
    else:
        assert parse(to_text(augmentation)) == augmentation
