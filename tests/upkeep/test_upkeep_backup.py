import gzip
import io
import json
import shutil
import tarfile
import threading

import pytest
from click.testing import CliRunner
from upkeep_sample import INFERRED, TRAINED, WAITING, save_weights

from app.cli import main
from app.errors import Conflict, InvalidInput, StorageUnavailable
from app.launcher import storage_lock
from app.repositories.database import Database
from app.runs.layout import StorageLayout
from app.runs.reader import read_state
from app.runs.state import FINISHED, QUEUED, RunState
from app.runs.writer import write_state
from app.upkeep import backup as backup_module
from app.upkeep.backup import back_up
from app.upkeep.restore import restore
from app.upkeep.verify import verify

REGISTERS = ("datasets", "projects", "weights", "inferences")


def records_of(root):
    database = Database(StorageLayout(root).records)
    return {name: repository.all() for name, repository in database.tables().items()}


def assert_sound(root):
    assert [str(finding) for finding in verify(root, is_served=False).findings] == []


@pytest.fixture
def elsewhere(tmp_path):
    return tmp_path / "elsewhere" / "storage"


@pytest.mark.parametrize("name", ["backup.tar", "backup.tar.gz"])
def test_a_backup_comes_back_whole_and_names_the_places_where_it_lies_now(root, tmp_path, elsewhere, name):
    target = tmp_path / name
    StorageLayout(root).run(WAITING).stop_request.touch()

    count = back_up(root, target)
    assert restore(target, elsewhere) == count > 15

    assert (target.read_bytes()[:2] == b"\x1f\x8b") == name.endswith("gz")
    assert_sound(elsewhere)
    after = json.loads(json.dumps(records_of(elsewhere)).replace(str(elsewhere), str(root)))
    assert after == records_of(root)
    mine, its = StorageLayout(root), StorageLayout(elsewhere)
    assert its.weights(1).best.read_bytes() == mine.weights(1).best.read_bytes()
    assert its.run(WAITING).outputs.is_dir() and its.run(WAITING).unfinished_mark.exists()
    assert its.run(WAITING).stop_request.exists()


def test_a_backup_in_the_same_place_is_the_same_to_the_byte(root, tmp_path):
    back_up(root, tmp_path / "backup.tar")
    moved = root.rename(tmp_path / "moved")
    restore(tmp_path / "backup.tar", root)
    for path in moved.rglob("*"):
        if path.is_file() and not path.name.startswith(".") and path.suffix != ".lock":
            assert (root / path.relative_to(moved)).read_bytes() == path.read_bytes(), path


def test_what_is_deleted_while_it_is_copied_is_not_in_the_backup(root, tmp_path, elsewhere, database, monkeypatch):
    storage = StorageLayout(root)
    copy_folder = backup_module._add_folder_of

    def delete_first(archive, layout, name, record_id):
        if (name, record_id) == ("weights", 1):
            database.projects.update(1, modelweights_id=None)
            database.weights.delete(1)
            shutil.rmtree(storage.weights(1).path)
        copy_folder(archive, layout, name, record_id)

    monkeypatch.setattr(backup_module, "_add_folder_of", delete_first)
    back_up(root, tmp_path / "backup.tar")
    restore(tmp_path / "backup.tar", elsewhere)

    assert_sound(elsewhere)
    restored = Database(StorageLayout(elsewhere).records)
    assert [record["id"] for record in restored.weights.all()] == [2]
    assert restored.projects.get(1)["modelweights_id"] is None
    assert restored.weights.add({})["id"] == 3, "no id is given again"


def test_a_run_that_is_removed_while_it_is_copied_is_not_in_the_backup(
    root, tmp_path, elsewhere, database, monkeypatch
):
    run = StorageLayout(root).run(WAITING)
    copy_tree = backup_module._add_tree

    def remove_by_half_first(archive, layout, folder, without=()):
        if folder == run.path:
            database.projects.update(1, modelweights_id=None)
            database.weights.delete(2)
            run.config.unlink()
        copy_tree(archive, layout, folder, without)
        if folder == run.path:
            shutil.rmtree(run.path)

    monkeypatch.setattr(backup_module, "_add_tree", remove_by_half_first)
    back_up(root, tmp_path / "backup.tar")
    restore(tmp_path / "backup.tar", elsewhere)

    assert_sound(elsewhere)
    restored = StorageLayout(elsewhere).run(WAITING)
    assert not restored.path.exists() and not restored.unfinished_mark.exists()


def test_a_process_that_is_deleted_while_it_is_copied_leaves_nothing_in_the_backup(
    root, tmp_path, elsewhere, database, monkeypatch
):
    storage, add_run = StorageLayout(root), backup_module._is_added

    def delete_first(archive, root, run):
        if run.path.exists() and run.path.name == INFERRED:
            database.projects.update(1, inference_id=None)
            database.inferences.delete(1)
            shutil.rmtree(run.path)
        return add_run(archive, root, run)

    monkeypatch.setattr(backup_module, "_is_added", delete_first)
    back_up(root, tmp_path / "backup.tar")
    restore(tmp_path / "backup.tar", elsewhere)

    assert_sound(elsewhere)
    assert not StorageLayout(elsewhere).run(INFERRED).path.exists() and storage.run(TRAINED).path.exists()


def test_a_process_that_ends_while_it_is_copied_has_not_ended_in_a_backup_without_its_results(
    root, tmp_path, elsewhere, monkeypatch
):
    storage, copy_folder = StorageLayout(root), backup_module._add_folder_of

    def end_later(archive, layout, name, record_id):
        copy_folder(archive, layout, name, record_id)
        if (name, record_id) == ("weights", 2):
            save_weights(storage, 2)
            write_state(storage.run(WAITING), RunState(FINISHED))

    monkeypatch.setattr(backup_module, "_add_folder_of", end_later)
    back_up(root, tmp_path / "backup.tar")
    restore(tmp_path / "backup.tar", elsewhere)

    assert_sound(elsewhere)
    run = StorageLayout(elsewhere).run(WAITING)
    assert read_state(run).state == QUEUED and run.unfinished_mark.exists()


def test_what_is_damaged_is_copied_as_it_is(root, tmp_path, elsewhere):
    storage = StorageLayout(root)
    storage.weights(1).card.write_text("[]")
    storage.run(TRAINED).state.write_text("[]")

    back_up(root, tmp_path / "backup.tar")
    restore(tmp_path / "backup.tar", elsewhere)

    assert StorageLayout(elsewhere).weights(1).card.read_text() == "[]"
    assert StorageLayout(elsewhere).run(TRAINED).state.read_text() == "[]"


def test_what_is_made_while_it_is_copied_is_not_in_the_backup(root, tmp_path, elsewhere, database, monkeypatch):
    copy_folder = backup_module._add_folder_of

    def add_first(archive, layout, name, record_id):
        made = database.weights.reserve_id()
        layout.weights(made).path.mkdir()
        database.weights.add({"id": made, "name": "new", "model_id": 1, "dataset_id": 1, "pretrained_on": record_id})
        copy_folder(archive, layout, name, record_id)

    monkeypatch.setattr(backup_module, "_add_folder_of", add_first)
    before = records_of(root)
    back_up(root, tmp_path / "backup.tar")
    restore(tmp_path / "backup.tar", root.rename(tmp_path / "moved") and root)

    assert_sound(root)
    assert records_of(root) == before


def test_weights_that_are_saved_meanwhile_have_the_card_that_is_theirs(root, tmp_path, elsewhere):
    storage, is_done = StorageLayout(root), threading.Event()

    def train():
        number = 0
        while not is_done.is_set():
            number += 1
            draft = StorageLayout(tmp_path / "draft")
            draft.weights(1).path.mkdir(parents=True, exist_ok=True)
            save_weights(draft, 1, bytes([number % 256]) * 100_000)
            for name in ("best.pt", "weights.json", "last.pt"):
                (draft.weights(1).path / name).replace(storage.weights(1).path / name)

    trainer = threading.Thread(target=train)
    trainer.start()
    try:
        for number in range(10):
            back_up(root, tmp_path / f"{number}.tar")
            restore(tmp_path / f"{number}.tar", elsewhere / str(number))
            assert_sound(elsewhere / str(number))
    finally:
        is_done.set()
        trainer.join()


def test_a_used_or_served_folder_is_refused_and_left_alone(root, tmp_path, monkeypatch):
    back_up(root, tmp_path / "backup.tar")
    before = records_of(root)
    with pytest.raises(Conflict, match="is not empty: it has weights, datasets, runs, unfinished, db"):
        restore(tmp_path / "backup.tar", root)
    assert records_of(root) == before
    monkeypatch.setenv("STORAGE_DIR", str(tmp_path / "served"))
    with storage_lock(tmp_path / "served"):
        answer = CliRunner().invoke(main, ["restore", str(tmp_path / "backup.tar")])
    assert answer.exit_code == 1 and "is served already" in answer.output


def rewritten(source, change):
    """Return the members of a backup after a change to one of them."""
    out = io.BytesIO()
    with tarfile.open(source) as before, tarfile.open(mode="w", fileobj=out) as after:
        for member in before:
            content = before.extractfile(member).read() if member.isfile() else b""
            for changed, text in change(member, content):
                changed.size = len(text)
                after.addfile(changed, io.BytesIO(text))
    return out.getvalue()


def other_byte(member, content):
    is_it = member.name == "weights/1/best.pt"
    return [(member, bytes([content[0] ^ 1]) + content[1:] if is_it else content)]


def without_one(member, content):
    return [] if member.name == "weights/1/best.pt" else [(member, content)]


def without_manifest(member, content):
    return [] if member.name == "manifest.json" else [(member, content)]


def outside(member, content):
    member.name = member.name.replace("weights/1/log.txt", "weights/../../evil")
    return [(member, content)]


def linked(member, content):
    if member.name == "weights/1/log.txt":
        member.type, member.linkname = tarfile.SYMTYPE, "/etc"
    return [(member, content if member.isfile() else b"")]


def elsewhere_on_disk(member, content):
    member.name = member.name.replace("weights/1/log.txt", "redis/appendonly.aof")
    return [(member, content)]


def manifest_with(**changed):
    def change(member, content):
        if member.name == "manifest.json":
            content = json.dumps(json.loads(content) | changed).encode()
        return [(member, content)]

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (other_byte, "weights/1/best.pt in it is not what was backed up"),
        (without_one, "weights/1/best.pt in it is not what was backed up"),
        (without_manifest, "it has no manifest.json at its end"),
        (outside, "has the member 'weights/../../evil'"),
        (linked, "has the member 'weights/1/log.txt'"),
        (elsewhere_on_disk, "has the member 'redis/appendonly.aof'"),
        (manifest_with(format=2), "was made by another version of this service"),
        (manifest_with(files=[]), "its manifest.json has a fault: at files an object is expected"),
        (manifest_with(storage_dir=None), "its manifest.json has a fault: at storage_dir a text is expected"),
        (manifest_with(left_out=["weights/../../.."]), "its manifest.json has a fault: at left_out places such as"),
        (manifest_with(left_out=["/tmp"]), "its manifest.json has a fault: at left_out places such as"),
    ],
)
def test_a_damaged_or_foreign_archive_is_refused_and_leaves_nothing(root, tmp_path, elsewhere, change, told):
    back_up(root, tmp_path / "backup.tar")
    (tmp_path / "bad.tar").write_bytes(rewritten(tmp_path / "backup.tar", change))
    with pytest.raises(InvalidInput, match=told.replace(".", r"\.")):
        restore(tmp_path / "bad.tar", elsewhere)
    assert list(elsewhere.iterdir()) == [] and not (tmp_path / "evil").exists()


@pytest.mark.parametrize("cut", [0, 1, 700, 5000, -1500])
@pytest.mark.parametrize("is_compressed", [False, True])
def test_an_archive_that_was_cut_off_is_refused(root, tmp_path, elsewhere, cut, is_compressed):
    back_up(root, tmp_path / "backup.tar")
    content = (tmp_path / "backup.tar").read_bytes().rstrip(b"\0")[:cut]
    (tmp_path / "bad.tar").write_bytes(gzip.compress(content) if is_compressed else content)
    with pytest.raises(InvalidInput, match="cut off"):
        restore(tmp_path / "bad.tar", elsewhere)
    assert not elsewhere.exists() or list(elsewhere.iterdir()) == []


def test_a_restore_that_was_killed_is_begun_anew(root, tmp_path, elsewhere):
    back_up(root, tmp_path / "backup.tar")
    restore(tmp_path / "backup.tar", elsewhere)
    (elsewhere / ".restoring").mkdir()
    (elsewhere / "db").rename(elsewhere / ".restoring" / "db")  # as it is before the last step
    restore(tmp_path / "backup.tar", elsewhere)
    assert_sound(elsewhere)


def test_what_cannot_be_written_or_read_leaves_no_archive(root, tmp_path):
    (tmp_path / "link").symlink_to(root)
    for storage, target in ((root, root), (root, tmp_path / "link"), (tmp_path / "link", root)):
        with pytest.raises(InvalidInput, match="lies in the storage folder itself"):
            back_up(storage, target / "backup.tar")
    (tmp_path / "link").unlink()
    with pytest.raises(StorageUnavailable, match=r"absent/backup\.tar cannot be written"):
        back_up(root, tmp_path / "absent" / "backup.tar")
    (root / "db" / "projects" / "1-100.json").write_text("{")
    with pytest.raises(StorageUnavailable, match="holds no valid JSON"):
        back_up(root, tmp_path / "backup.tar")
    assert not list(tmp_path.glob("*backup*"))


def test_the_command_says_what_it_wrote(root, tmp_path, monkeypatch):
    monkeypatch.setenv("STORAGE_DIR", str(root))
    answer = CliRunner().invoke(main, ["backup", str(tmp_path / "b.tar.gz")])
    assert answer.exit_code == 0 and answer.output.startswith(f"Wrote {tmp_path / 'b.tar.gz'}: ")
    monkeypatch.setenv("STORAGE_DIR", str(tmp_path / "new"))
    answer = CliRunner().invoke(main, ["restore", str(tmp_path / "b.tar.gz")])
    assert answer.exit_code == 0 and answer.output.endswith(f"into {tmp_path / 'new'}.\n")
    assert StorageLayout(tmp_path / "new").run(TRAINED).state.exists()
