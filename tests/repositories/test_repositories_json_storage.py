import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.errors import StorageUnavailable
from app.repositories.json_storage import JsonStorage
from app.repositories.repository import Repository

CLONE_FOLDER = Path(__file__).parent.parent.parent


def test_an_unchanged_file_is_served_from_memory(storage, settle):
    settle(storage.path)
    assert storage.read() is storage.read()


def test_a_replaced_file_is_read_again(storage, settle):
    settle(storage.path)
    storage.read()
    JsonStorage(storage.path).write({"projects": {"1": {"name": "a"}}})
    assert storage.read() == {"projects": {"1": {"name": "a"}}}


def test_a_file_changed_a_moment_ago_is_not_yet_served_from_memory(storage):
    """Its next change may fall into the same tick of the file system's clock and leave the same stamp."""
    future = time.time() + 3600
    os.utime(storage.path, (future, future))
    assert storage.read() is not storage.read()


def test_a_transaction_is_not_seen_before_it_ends(storage):
    with storage.transaction() as tables:
        tables.table("projects").insert({"name": "a"})
        assert storage.read() == {}
        assert json.loads(storage.path.read_bytes()) == {}
    assert storage.read() == {"projects": {"1": {"name": "a"}}}


def test_a_transaction_that_raises_leaves_the_file(storage):
    with pytest.raises(KeyboardInterrupt), storage.transaction() as tables:
        tables.table("projects").insert({"name": "a"})
        raise KeyboardInterrupt
    assert json.loads(storage.path.read_bytes()) == {}
    with storage.transaction():
        pass  # the lock is free again


def test_a_transaction_without_a_change_does_not_write(storage):
    before = storage.path.stat().st_ino
    with storage.transaction() as tables:
        tables.table("projects").all()
    assert storage.path.stat().st_ino == before


def test_what_a_killed_writer_left_goes_with_the_next_write(storage, names_beside):
    left = storage.path.with_name(".projects.json.0123456789abcdef.tmp")
    left.write_bytes(b'{"projects": {"1": {"na')
    Repository(storage, "project").add({})
    assert names_beside(storage.path) == ["projects.json", "projects.json.lock"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", r"holds no valid JSON \(line 1, column 1"),
        ('{"projects": {"1": {"name": "a"}}', r"holds no valid JSON \(line 1, column 3"),
        ("[]", "is no table: an object like"),
        ("null", "is no table: an object like"),
        ('{"projects": []}', "is no table: an object like"),
        ('{"projects": {"one": {}}}', "is no table: at 'one' an entry like"),
        ('{"projects": {"0": {}}}', "is no table: at '0' an entry like"),
        ('{"projects": {"07": {}}}', "is no table: at '07' an entry like"),
        ('{"projects": {"7": "demo"}}', "is no table: at '7' an entry like"),
    ],
)
def test_a_file_that_cannot_be_understood_is_named_and_never_overwritten(storage, text, fault):
    repository = Repository(storage, "project")
    repository.add({"name": "a"})
    storage.path.write_text(text)
    uses = (repository.all, lambda: repository.get(1), lambda: repository.add({}), lambda: repository.delete(1))
    for use in uses:
        with pytest.raises(StorageUnavailable, match=rf"projects\.json {fault}"):
            use()
    assert storage.path.read_text() == text
    storage.path.write_text('{"projects": {"1": {"name": "mended"}}}')
    assert repository.get(1)["name"] == "mended"


def test_a_file_that_vanished_is_an_error_and_not_an_empty_table(storage):
    repository = Repository(storage, "project")
    repository.add({"name": "a"})
    storage.path.unlink()
    for use in (repository.all, lambda: repository.add({})):
        with pytest.raises(StorageUnavailable, match=r"projects\.json cannot be read \(No such file"):
            use()
    assert not storage.path.exists()


def test_making_the_file_again_keeps_it(storage):
    Repository(storage, "project").add({"name": "a"})
    before = storage.path.read_bytes()
    JsonStorage(storage.path).create()
    assert storage.path.read_bytes() == before


FILL_THE_DISK = """
import resource, sys
from pathlib import Path
from app.errors import StorageUnavailable
from app.repositories.json_storage import JsonStorage
from app.repositories.repository import Repository

path = Path(sys.argv[1])
repository = Repository(JsonStorage(path), "project")
resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, resource.RLIM_INFINITY))
for change in (lambda: repository.add({"name": "b" * 100}), lambda: repository.update(1, name="b" * 100)):
    try:
        change()
    except StorageUnavailable as error:
        print(error)
print(repository.all())
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(repository.add({"name": "c"}))
"""


def test_on_a_full_disk_a_change_is_refused_and_what_was_stored_is_kept(storage, names_beside):
    """The limit on file sizes fails a real write in its middle, as a full disk does."""
    Repository(storage, "project").add({"name": "a"})
    command = [sys.executable, "-c", FILL_THE_DISK, str(storage.path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, cwd=CLONE_FOLDER)
    refusal = f"{storage.path} cannot be written (File too large); give it room and access, then try again."
    assert ended.stdout.splitlines() == [
        refusal,
        refusal,
        "[{'name': 'a', 'id': 1}]",
        "{'name': 'c', 'id': 2}",
    ]
    assert names_beside(storage.path) == ["projects.json", "projects.json.lock"]
