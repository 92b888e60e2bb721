"""Reading the format beyond the known files, and writing it."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from app.datasets.description import Description, Sample
from app.datasets.places import OTHER_SCHEME
from app.datasets.problems import MOST_PROBLEMS
from app.datasets.yaml_format.reading import read, read_file
from app.datasets.yaml_format.writing import write
from app.errors import DatasetError, InvalidInput, TooLarge


def problems_of(text, **arguments):
    with pytest.raises(DatasetError) as caught:
        read(text.encode(), "lab.yml", **arguments)
    return [str(problem) for problem in caught.value.problems]


def label_of(label, classes="[ant, bee, cat]"):
    text = f"classes: {classes}\nimages:\n  - location: a.png\n    label: {label}\n"
    sample = read(text.encode(), "lab.yml").samples[0]
    return sample.classes if sample.mask is None else sample.mask


@pytest.mark.parametrize(
    ("label", "classes", "expected"),
    [
        ("1", "['0', '1']", (1,)),
        ("'7'", "[3, 5, 7]", (2,)),
        ("7", "[3, 5, 7]", (2,)),
        ("1", "[1, 0]", (0,)),
        ("2", "[3, 5, 7]", (2,)),
        ("[3, 1]", "[3, 5, 7]", (0, 1)),
        ("[]", "[ant, bee]", ()),
        ("[gt/m.png]", "[ant, bee]", "gt/m.png"),
        ("masks/ant", "[ant, bee]", "masks/ant"),
        ("m.TIFF", "[ant, bee]", "m.TIFF"),
        ("https://lab.example/m?id=1", "[ant, bee]", "https://lab.example/m?id=1"),
        ("!!str 1", "[ant, bee]", (1,)),
    ],
)
def test_label_is_read_as(label, classes, expected):
    assert label_of(label, classes) == expected


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ("Ant", "did you mean 'ant'?"),
        ("catt", "did you mean 'cat'?"),
        ("1.0", "neither a class nor the location of a mask"),
        ("08", "neither a class nor the location of a mask"),
        ("010", "an index from 0 to 2 is expected"),
        ("99999999999999999999", "is 99999999999999999999, but an index from 0 to 2 is expected"),
        ("-" + "9" * 5000, "9...', but an index from 0 to 2 is expected"),
        ("0x" + "f" * 5000, "f...', but an index from 0 to 2 is expected"),
        ("file:///lab/m.png", "a path, or a URL with http or https, is expected"),
        ("{a: b}", "is a mapping"),
        ("[[0]]", "holds a list"),
        ("[gt/a.png, gt/b.png]", "one mask or classes"),
        ("[0, gt/b.png]", "one mask or classes"),
        ("~", "leave the key out"),
        ('"m\\0.png"', "NUL"),
    ],
)
def test_label_that_cannot_be_used_is_refused(label, said):
    [problem] = problems_of(f"classes: [ant, bee, cat]\nimages:\n  - location: a.png\n    label: {label}\n")
    assert problem.startswith("line 4: images[0].label ")
    assert said in problem


def test_unclear_label_is_a_mask_if_there_is_such_a_file():
    text = b"classes: [ant]\nimages: [{location: a, label: truth}]"
    assert read(text, "lab.yml", is_file=lambda name: name == "truth").samples[0].mask == "truth"


def test_label_that_is_no_file_is_refused_without_classes_too():
    [problem] = problems_of("images: [{location: a.png, label: bee}]")
    assert problem.endswith("is 'bee', which is no file; name classes under `classes`, or the path of a mask.")
    assert read(b"images: [{location: a, label: bee}]", "x", is_file=lambda name: True).samples[0].mask == "bee"


@pytest.mark.parametrize(
    "location", ["ftp://lab.example/a.png", "FILE:///a.png", "s3://a/b", "data:image/png;base64,A"]
)
def test_url_that_cannot_be_fetched_is_refused(location):
    [problem] = problems_of(f"images:\n  - {location}\n  - b.png\n")
    assert problem.startswith("line 2: images[0] is ") and "http or https, is expected" in problem


LONG, SLY = "k" * 1000, r'"k\e[31m\nx"'


@pytest.mark.parametrize("name", [LONG, SLY])
@pytest.mark.parametrize(
    "text",
    [
        "images: [a]\nNAME: 1",
        "images: [a]\nsplit: {NAME: [4]}",
        "images: [a]\nsplit: {NAME: [0], test: [0]}",
        "classes: [a]\nimages: [{location: a, label: a}, b]\nsplit: {NAME: [0, 1]}",
        "features: [NAME]\nimages: [{location: a, values: {? NAME : [1]}}]",
        "classes: [NAME]\nimages: [{location: a, label: zz}]",
        "classes: [NAME]\nimages: [{location: a, label: kkx}]",
        "images: [a]\nsplit: {test: [NAME]}",
    ],
)
def test_names_are_told_in_short_and_without_commands_to_a_terminal(name, text):
    [problem] = problems_of(text.replace("NAME", name))
    assert problem.isprintable() and len(problem) < 250


def test_empty_key_is_told():
    assert problems_of("images: [a]\n~: 1\nsplit: {'': [0]}") == [
        "line 2: The file has an empty key; a name is expected before the colon.",
        "line 3: split has an empty key; a name is expected before the colon.",
    ]


def test_class_index_without_classes_says_so():
    assert problems_of("images: [{location: a.png, label: 1}]") == [
        "line 1: images[0].label is 1, but the file lists no classes."
    ]


def test_all_problems_are_told_at_once_in_the_order_of_their_lines():
    problems = problems_of(
        "nmae: x\n"
        "classes: [ant, ant]\n"
        "features: {a: b}\n"
        "images:\n"
        "  - location: []\n"
        "  - lokation: b.png\n"
        "  - location: c.png\n"
        "    label: ant\n"
        "split:\n"
        "  training: [0, 9]\n"
        "  test: 3\n"
    )
    assert [int(problem.split(":")[0].removeprefix("line ")) for problem in problems] == [1, 2, 3, 5, 6, 6, 10, 11]
    assert "did you mean 'name'?" in problems[0]


def test_problems_found_late_stand_at_their_line():
    problems = problems_of("split: {training: [9]}\nimages:\n  - a.png\n  - a.png\nname: [x]\n")
    assert [problem[:6] for problem in problems] == ["line 1", "line 4", "line 5"]


def test_the_number_of_listed_problems_is_limited():
    classes = ", ".join(f"a very long name of an ant number {index}" for index in range(1000))
    text = f"classes: [{classes}]\nimages:\n" + "".join(
        f"  - {{location: {i}.png, label: a very long name of a bee number {i}}}\n" for i in range(3000)
    )
    started = time.process_time()
    problems = problems_of(text)
    assert len(problems) == MOST_PROBLEMS + 1
    assert problems[-1] == f"{3000 - MOST_PROBLEMS} more problems are not listed."
    assert time.process_time() - started < 6


def test_labels_are_not_judged_by_broken_classes():
    assert len(problems_of("classes: ant\nimages: [{location: a.png, label: ant}]")) == 1


@pytest.mark.parametrize("names", ["training: [0], test: [1]", "fold_a: [0], fold_b: [1]"])
def test_whole_splits_may_differ_in_having_labels(names):
    text = f"classes: [ant]\nimages: [{{location: a.png, label: ant}}, b.png]\nsplit: {{{names}}}"
    description = read(text.encode(), "lab.yml")
    assert [description.has_labels(name) for name in description.splits] == [True, False]


def test_mixed_test_split_is_refused_too():
    [problem] = problems_of("classes: [ant]\nimages: [{location: a.png, label: ant}, b.png]\nsplit: {test: [0, 1]}")
    assert "split.test mixes 1 labelled and 1 unlabelled images" in problem


def test_index_twice_in_one_split_is_refused():
    [problem] = problems_of("images: [a.png, b.png]\nsplit:\n  training: [0, 0, 1]\n")
    assert problem == "line 3: split.training lists image 0 twice."


@pytest.mark.parametrize("index", ["'0'", "1.0", "[0]", "null", "0-1"])
def test_split_index_that_is_no_integer_is_refused(index):
    [problem] = problems_of(f"images: [a.png, b.png]\nsplit: {{training: [{index}]}}")
    assert "an image index from 0 to 1 is expected" in problem


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("3", 3),
        ("-0.5", -0.5),
        ("1e3", 1000.0),
        ("007", "007"),
        ("12:30", "12:30"),
        ("yes", "yes"),
        ("true", True),
        ("1e999", "1e999"),
    ],
)
def test_value_keeps_what_was_written(value, expected):
    text = f"features: [f, g]\nimages: [{{location: a.png, values: [null, {value}]}}]"
    assert read(text.encode(), "lab.yml").samples[0].values == {"g": expected}


def test_limit_of_the_file_size_is_kept(tmp_path):
    file = tmp_path / "lab.yml"
    file.write_text("images: [a.png]")
    assert len(read_file(file, limit_bytes=15).samples) == 1
    with pytest.raises(TooLarge, match="more than 14 bytes"):
        read_file(file, limit_bytes=14)


def test_absent_file_is_told(tmp_path):
    with pytest.raises(InvalidInput, match=r"none\.yml cannot be read: No such file or directory"):
        read_file(tmp_path / "none.yml", limit_bytes=10)


def test_file_of_another_kind_is_told(tmp_path):
    (tmp_path / "scan.png").write_bytes(b"\x89PNG\r\n")
    with pytest.raises(InvalidInput, match=r"'scan\.png' is a PNG image; a YAML file that lists the images"):
        read_file(tmp_path / "scan.png", limit_bytes=10)


def test_25000_images_are_read():
    images = "".join(f"  - location: images/train/{i:06}.png\n    label: {'ab'[i % 2]}\n" for i in range(25_000))
    indexes = ", ".join(map(str, range(25_000)))
    text = f"classes: [a, b]\nimages:\n{images}split:\n  training: [{indexes}]\n".encode()
    description = read(text, "lab.yml")
    assert len(description.split("training")) == 25_000


def test_text_is_written_so_that_a_person_can_read_it():
    description = Description(
        name="Nuclei",
        text="Cells: many",
        classes=("nucleus", "7"),
        features=("age",),
        samples=(Sample(("a.png",), mask="m/a.png", values={"age": 7}), Sample(("b.png", "c.png"), classes=(1,))),
        splits={"training": (0,), "test": ()},
    )
    assert write(description) == (
        "name: Nuclei\n"
        'description: "Cells: many"\n'
        'classes: [nucleus, "7"]\n'
        "features: [age]\n"
        "images:\n"
        "  - location: a.png\n"
        "    label: m/a.png\n"
        "    values: {age: 7}\n"
        "  - location: [b.png, c.png]\n"
        '    label: "7"\n'
        "split:\n"
        "  training: [0]\n"
        "  test: []\n"
    )


names = some.text(some.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12).filter(
    str.strip
)
locations = names.filter(lambda text: "\0" not in text and not OTHER_SCHEME.match(text))
values = some.one_of(names, some.integers(-(10**17), 10**17), some.booleans(), some.floats(allow_nan=False, width=32))


@some.composite
def descriptions(draw):
    classes = tuple(draw(some.lists(names, min_size=1, max_size=4, unique=True)))
    features = tuple(draw(some.lists(names, max_size=3, unique=True)))
    places = draw(some.lists(some.lists(locations, min_size=1, max_size=3), min_size=1, max_size=5, unique_by=tuple))
    indexes = some.lists(some.integers(0, len(classes) - 1), max_size=3, unique=True).map(tuple)
    samples = []
    for place in places:
        known = draw(some.dictionaries(some.sampled_from(features), values)) if features else {}
        known = {feature: value for feature, value in known.items() if value not in (float("inf"), float("-inf"))}
        mask = draw(some.none() | locations.map(lambda text: f"gt/{text}.png"))
        mask = None if mask in classes else mask
        label = draw(some.none() | indexes) if mask is None else None
        samples.append(Sample(tuple(place), label, mask, {name: known[name] for name in features if name in known}))
    splits = {}
    if all(sample.has_label for sample in samples):
        cut = draw(some.integers(0, len(samples)))
        splits = {"training": tuple(range(cut)), draw(names): tuple(range(cut, len(samples)))}
        splits = splits if len(splits) == 2 else {}
    return Description(
        draw(names | some.just("")), draw(names | some.just("")), classes, features, tuple(samples), splits
    )


@settings(max_examples=300, deadline=None)
@given(descriptions())
def test_what_is_written_is_read_back(description):
    assert read(write(description).encode(), "written.yml") == description


@settings(max_examples=300, deadline=None)
@given(some.binary(max_size=200) | some.text(alphabet="ab:-[]{}&*!?#'\"|>\n ,01\t%<", max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(content):
    try:
        read(b"images: [a.png]\n" + content, "lab.yml")
    except DatasetError as error:
        assert error.problems


SCALARS = ["ant", "7", "'7'", "0x1", "-0", "1e999", ".5", "1.50", "yes", '"\\e\\0"', "007", "é", "' a'", '"\'"']
LABELS = ["ant", "7", "'7'", "0", "0x1", "+2", "yes", "[ant, 0]", "[]", "['7']", "m.png", "./ant", "ant.tif#page=1"]
scalars = some.sampled_from(SCALARS)
lists = some.lists(scalars | some.just("~"), max_size=3).map(", ".join).map("[{}]".format)
places = scalars.filter(lambda text: '0"' not in text)


@settings(max_examples=500, deadline=None)
@given(some.lists(some.tuples(places, some.sampled_from(LABELS) | some.none(), lists | some.none()), min_size=1))
def test_what_is_accepted_can_be_written_and_read_again(entries):
    images = "".join(
        f"  - location: [{index}.png, {place}]\n"
        + (f"    label: {label}\n" if label else "")
        + (f"    values: {values}\n" if values else "")
        for index, (place, label, values) in enumerate(entries)
    )
    text = f"classes: [ant, '7', 'yes', '0']\nfeatures: [f, '~', 'a: b']\nimages:\n{images}"
    description = read(text.encode(), "lab.yml")
    assert read(write(description).encode(), "written.yml") == description
