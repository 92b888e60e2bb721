"""The YAML below the format: attacks and faults are refused in one sentence, quickly."""

import time
from pathlib import Path

import pytest
import yaml

from app.datasets.yaml_format import nodes
from app.datasets.yaml_format.nodes import compose
from app.datasets.yaml_format.reading import read
from app.errors import DatasetError

ECVL_FILES = Path(__file__).parent.parent / "data" / "datasets" / "ecvl"
BOMB = b"a: &a [x, x, x, x, x, x, x, x, x, x]\n" + b"".join(
    b"%c: &%c [" % (name, name) + b", ".join([b"*%c" % (name - 1)] * 10) + b"]\n" for name in b"bcdefgh"
)
ATTACKS = {
    "bomb of aliases": (BOMB, "values, aliases written out"),
    "list in itself": (b"a: &a [*a]", "stands inside of what it stands for"),
    "absent anchor": (b"a: *b", "stands for nothing"),
    "python object": (b"a: !!python/object/apply:os.system [id]", "python/object/apply:os.system' is not allowed"),
    "own tag": (b"a: !secret b", "'!secret' is not allowed"),
    "10 MB of flow lists": (b"[" * 10_000_000, "more than 20 deep"),
    "10 MB of block lists": (b"- " * 5_000_000, "more than 20 deep"),
    "10 MB of mappings": (b"{" * 10_000_000, "more than 20 deep"),
    "10 MB of complex keys": (b"? " * 5_000_000, "more than 20 deep"),
    "second document": (b"a: b\n---\nc: d\n", "second document"),
    "not UTF-8": (b"a: b\nc: \xff\n", "line 2: The byte 0xff is not UTF-8"),
    "UTF-16": ("a: b".encode("utf-16"), "is not UTF-8"),
    "control character": (b"a: b\nc: \x07", "line 2: The character U+0007"),
    "tab": (b"a:\n\t- b", "line 2, column 1: This is not YAML"),
    "unclosed quote": (b"a: 'b", "This is not YAML"),
    "new YAML": (b"%YAML 3.0\n---\na: b", "This is not YAML"),
}


@pytest.fixture(params=["LibYAML", "Python"])
def loader(request, monkeypatch):
    if request.param == "LibYAML" and not yaml.__with_libyaml__:
        pytest.skip("PyYAML was built without LibYAML")
    chosen = yaml.CSafeLoader if request.param == "LibYAML" else yaml.SafeLoader
    monkeypatch.setattr(nodes, "_EVENT_LOADER", chosen)


@pytest.mark.usefixtures("loader")
@pytest.mark.parametrize("name", ATTACKS)
def test_attack_is_refused_in_one_quick_sentence(name):
    content, said = ATTACKS[name]
    started = time.process_time()
    with pytest.raises(DatasetError) as caught:
        read(content, "lab.yml")
    assert time.process_time() - started < 5
    assert said in caught.value.message
    assert len(caught.value.message) < 300


@pytest.mark.usefixtures("loader")
def test_nodes_know_their_line_and_whether_they_are_quoted():
    root = compose(b"a:\n  - b\n  - 'c'\n  - null\n", "lab.yml")
    [(key, listing)] = root.entries()
    assert (key.text, listing.line) == ("a", 2)
    assert [(item.text, item.line, item.is_plain) for item in listing.items] == [
        ("b", 2, True),
        ("c", 3, False),
        ("null", 4, True),
    ]
    assert [item.is_null for item in listing.items] == [False, False, True]


@pytest.mark.usefixtures("loader")
@pytest.mark.parametrize("start", [b"%YAML:1.2\n---\n", b"%YAML 1.2\n---\n", b"\xef\xbb\xbf", b"---\n", b"# a\r\n"])
def test_start_of_the_file_is_accepted(start):
    assert len(read(start + b"images: [a.png]", "lab.yml").samples) == 1


@pytest.mark.usefixtures("loader")
def test_anchors_are_followed():
    text = b"classes: [a, b]\nimages:\n  - {location: x.png, label: &l [a, b]}\n  - {location: y.png, label: *l}\n"
    assert [sample.classes for sample in read(text, "lab.yml").samples] == [(0, 1), (0, 1)]


@pytest.mark.usefixtures("loader")
def test_half_of_a_character_is_refused():
    with pytest.raises(DatasetError, match="line 1, column"):
        read(rb'images: ["\ud800.png"]', "lab.yml")


def outcome(content):
    try:
        return read(content, "lab.yml")
    except DatasetError as error:
        return [(problem.line, problem.key) for problem in error.problems]


@pytest.mark.parametrize("path", sorted(ECVL_FILES.glob("*.yml")), ids=lambda path: path.stem)
def test_without_libyaml_the_same_is_read(path, monkeypatch):
    expected = outcome(path.read_bytes())
    monkeypatch.setattr(nodes, "_EVENT_LOADER", yaml.SafeLoader)
    assert outcome(path.read_bytes()) == expected


@pytest.mark.usefixtures("loader")
def test_json_is_yaml():
    assert read(b'{"classes": ["a"], "images": [{"location": "x.png", "label": "a"}]}', "lab.yml").classes == ("a",)


@pytest.mark.parametrize("content", [b"", b"# only a comment\n", b"---\n", b"null"])
def test_empty_file_says_so(content):
    with pytest.raises(DatasetError, match="The file is empty; a mapping with the key `images` is expected"):
        read(content, "lab.yml")
