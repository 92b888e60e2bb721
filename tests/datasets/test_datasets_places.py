"""Paths that come from outside are judged by where they really lead."""

from pathlib import Path

import pytest

from app.datasets.places import file_of, inside_roots, resolve, split_part, split_text
from app.errors import InvalidInput


@pytest.fixture
def roots(tmp_path):
    for name in ("first", "second", "outside", "first-and-more"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.yml").touch()
    return [tmp_path / "first", tmp_path / "second"]


def test_file_in_a_root_is_returned_by_its_real_path(roots):
    (roots[0] / "link.yml").symlink_to(roots[1] / "second.yml")
    assert inside_roots(str(roots[0] / "first.yml"), roots) == roots[0] / "first.yml"
    assert inside_roots(str(roots[0] / "link.yml"), roots) == roots[1] / "second.yml"


def test_relative_path_is_looked_for_in_every_root(roots):
    assert inside_roots("second.yml", roots) == roots[1] / "second.yml"


def test_root_that_is_a_link_is_followed(roots, tmp_path):
    (tmp_path / "door").symlink_to(roots[0])
    assert inside_roots(str(tmp_path / "door" / "first.yml"), [tmp_path / "door"]) == roots[0] / "first.yml"


@pytest.mark.parametrize(
    "path",
    [
        "{top}/outside/outside.yml",
        "{top}/first/../outside/outside.yml",
        "{top}/first-and-more/first-and-more.yml",
        "../outside/outside.yml",
        "{top}/first/link.yml",
        "/etc/passwd",
        "/etc/there-is-no-such-file",
        "~/x.yml/../../../../../..",
    ],
)
def test_path_outside_is_refused_and_the_roots_are_named(roots, tmp_path, path):
    (roots[0] / "link.yml").symlink_to(tmp_path / "outside" / "outside.yml")
    with pytest.raises(InvalidInput) as caught:
        inside_roots(path.format(top=tmp_path), roots)
    assert "does not lie in a folder that is open to datasets" in caught.value.message
    assert str(roots[0]) in caught.value.message
    assert str(roots[1]) in caught.value.message


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("none.yml", "does not exist"),
        ("folder", "is a folder, not a file"),
        ("", "is empty"),
        ("a\0.yml", "NUL"),
        ("x" * 300, "cannot be used|does not exist"),
        ("circle", "cannot be used|does not exist|does not lie"),
    ],
)
def test_path_that_is_no_file_is_refused(roots, path, said):
    (roots[0] / "folder").mkdir()
    (roots[0] / "circle").symlink_to(roots[0] / "circle")
    with pytest.raises(InvalidInput, match=said):
        inside_roots(path, roots[:1])


def test_locations_are_relative_to_the_folder_of_the_description():
    assert resolve("img/a.png", Path("/sets/insects")) == Path("/sets/insects/img/a.png")
    assert resolve("/img/a.png", Path("/sets/insects")) == Path("/img/a.png")
    assert resolve("HTTPS://lab.example/a.png", Path("/sets")) == "HTTPS://lab.example/a.png"
    assert resolve("img/a b.png", "https://lab.example/sets/x.yml") == "https://lab.example/sets/img/a%20b.png"


@pytest.mark.parametrize(
    ("location", "parts"),
    [
        ("scan.nii.gz#slice=12&axis=0", ("scan.nii.gz", "#slice=12&axis=0")),
        ("https://host/a.dcm#frame=2", ("https://host/a.dcm", "#frame=2")),
        ("a#1.png", ("a#1.png", "")),
        ("a#page=2#page=3", ("a#page=2", "#page=3")),
        ("a#page=2/b.png", ("a#page=2/b.png", "")),
    ],
)
def test_part_stands_behind_the_last_sign(location, parts):
    assert split_text(location) == parts


def test_file_of_a_part_is_the_file(tmp_path):
    assert split_part(tmp_path / "a.tif#page=2") == (tmp_path / "a.tif", "#page=2")
    assert file_of(tmp_path / "a.tif#page=2") == tmp_path / "a.tif"
    assert file_of(tmp_path / "a.tif") == tmp_path / "a.tif"
    assert file_of(tmp_path / "#page=2") == tmp_path / "#page=2"


def test_file_that_is_literally_so_named_wins(tmp_path):
    (tmp_path / "a.tif#page=2").touch()
    assert split_part(tmp_path / "a.tif#page=2") == (tmp_path / "a.tif#page=2", "")


def test_part_stays_attached_beside_a_url():
    assert resolve("b c.tif#page=2", "http://host/x/d.yml") == "http://host/x/b%20c.tif#page=2"
    assert resolve("b#1.tif", "http://host/x/d.yml") == "http://host/x/b%231.tif"
    assert resolve("b.tif#page=2", Path("/x")) == Path("/x/b.tif#page=2")
