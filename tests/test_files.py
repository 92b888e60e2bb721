import errno
import subprocess
import sys
from pathlib import Path

import pytest

from app.errors import StorageUnavailable
from app.files import read_json, read_object, remove_temporaries, sync_disk, sync_file, write_atomically, write_json


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_whole_and_nothing_is_left_beside_it(tmp_path):
    path = tmp_path / "state.json"
    write_atomically(path, b"a longer first content")
    write_atomically(path, b"second")
    assert path.read_bytes() == b"second"
    assert names_in(tmp_path) == ["state.json"]


def test_who_has_the_old_file_open_reads_it_to_its_end(tmp_path):
    path = tmp_path / "state.json"
    write_atomically(path, b"old content")
    with path.open("rb") as file:
        write_atomically(path, b"new")
        assert file.read() == b"old content"


def test_the_permissions_that_a_person_gave_stay(tmp_path):
    path = tmp_path / "state.json"
    write_atomically(path, b"1")
    path.chmod(0o640)
    write_atomically(path, b"2")
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_new_file_gets_the_permissions_that_other_new_files_get(tmp_path):
    plain = tmp_path / "plain"
    plain.touch()
    write_atomically(tmp_path / "state.json", b"1")
    assert (tmp_path / "state.json").stat().st_mode == plain.stat().st_mode


def test_json_comes_back_as_it_was_and_a_person_can_read_it(tmp_path):
    path = tmp_path / "state.json"
    value = {"name": "Zürich", "progress": 0.1, "classes": ["a", "b"], "error": None}
    write_json(path, value)
    assert read_json(path) == value
    assert path.read_text("utf-8").startswith('{\n  "name": "Zürich",\n')
    assert path.read_text("utf-8").endswith("}\n")


@pytest.mark.parametrize("value", [{1: "a number as key"}, {"path": Path("/")}, {"text": "\ud800"}])
def test_a_value_that_json_cannot_hold_leaves_the_old_file(tmp_path, value):
    path = tmp_path / "state.json"
    write_json(path, "old")
    with pytest.raises(TypeError):
        write_json(path, value)
    assert read_json(path) == "old"
    assert names_in(tmp_path) == ["state.json"]


def test_an_absent_file_is_left_to_the_caller(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "state.json")


@pytest.mark.parametrize("content", [b"", b'{"a": 1', b"\xff\xfe", b"[NaN]"])
def test_a_file_without_json_is_named_with_the_place(tmp_path, content):
    path = tmp_path / "state.json"
    path.write_bytes(content)
    with pytest.raises(StorageUnavailable, match=r"state\.json holds no valid JSON \(line 1, column "):
        read_json(path)
    assert path.read_bytes() == content


def test_a_folder_in_the_place_of_the_file_is_named(tmp_path):
    (tmp_path / "state.json").mkdir()
    with pytest.raises(StorageUnavailable, match=r"state\.json cannot be read \(Is a directory\)"):
        read_json(tmp_path / "state.json")
    with pytest.raises(StorageUnavailable, match=r"state\.json cannot be written \(Is a directory\)"):
        write_json(tmp_path / "state.json", 1)
    assert names_in(tmp_path) == ["state.json"]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(StorageUnavailable, match=r"absent/state\.json cannot be written \(No such file"):
        write_json(tmp_path / "absent" / "state.json", 1)


def test_only_the_temporaries_of_this_file_are_removed(tmp_path):
    names = [".a[1].json.0123.tmp", ".a1.json.0123.tmp", "a[1].json", ".a[1].json.swp", "a[1].json.0123.tmp"]
    for name in names:
        (tmp_path / name).touch()
    remove_temporaries(tmp_path / "a[1].json")
    assert names_in(tmp_path) == sorted(names[1:])


FILL_THE_DISK = """
import resource, sys
from pathlib import Path
from app.errors import StorageUnavailable
from app.files import write_json

resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))  # from here on, as on a disk with 100 bytes left
try:
    write_json(Path(sys.argv[1]), "x" * 500)
except StorageUnavailable as error:
    print(error)
"""


def test_where_there_is_no_room_the_old_file_stays_and_the_part_written_is_removed(tmp_path):
    path = tmp_path / "state.json"
    write_json(path, "old")
    command = [sys.executable, "-c", FILL_THE_DISK, str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent.parent)
    assert ended.stdout == f"{path} cannot be written (File too large); give it room and access, then try again.\n"
    assert read_json(path) == "old"
    assert names_in(tmp_path) == ["state.json"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"[1]", "has a fault: an object is expected"),
        (b"null", "has a fault: an object is expected"),
        (b'{"a": "1"}', "has a fault: at a a whole number is expected"),
        (b"", "no valid"),
    ],
)
def test_an_object_is_read_in_its_form_or_the_file_is_named(tmp_path, content, told):
    path = tmp_path / "card.json"
    path.write_bytes(content)

    with pytest.raises(StorageUnavailable, match=rf"{path} .*{told}"):
        read_object(path, dict[str, int])


def test_what_is_on_no_disk_is_told(tmp_path):
    sync_disk(tmp_path)
    with pytest.raises(StorageUnavailable, match=r"rows.jsonl cannot be written \(No such file"):
        sync_file(tmp_path / "rows.jsonl")


class StalePath(type(Path())):
    """A file on NFS that another machine replaces so many times while it is read."""

    def read_bytes(self):
        if self.replaced:
            self.replaced -= 1
            raise OSError(errno.ESTALE, "Stale file handle")
        return super().read_bytes()


@pytest.mark.parametrize("replaced", [1, 2])
def test_a_file_that_another_machine_replaces_just_now_is_read_anew(tmp_path, replaced):
    write_json(tmp_path / "state.json", 1)
    path = StalePath(tmp_path / "state.json")
    path.replaced = replaced

    assert read_json(path) == 1


def test_a_file_that_stays_stale_is_told(tmp_path):
    path = StalePath(tmp_path / "state.json")
    path.replaced = 1000

    with pytest.raises(StorageUnavailable, match=r"state\.json cannot be read \(Stale file handle\)"):
        read_json(path)
