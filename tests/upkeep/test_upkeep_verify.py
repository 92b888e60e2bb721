import json
import re
import shutil

import pytest
from click.testing import CliRunner
from upkeep_sample import TRAINED, TRAINING, WAITING, add_run

from app.cli import main
from app.launcher import storage_lock
from app.runs.state import QUEUED


@pytest.fixture
def verify(root, monkeypatch):
    monkeypatch.setenv("STORAGE_DIR", str(root))

    def run(*options):
        answer = CliRunner().invoke(main, ["verify-storage", *options])
        assert answer.exception is None or isinstance(answer.exception, SystemExit), answer.exception
        return answer.exit_code, answer.output

    return run


def test_a_sound_storage_is_well(verify):
    assert verify()[0] == 0
    assert re.fullmatch(r"\d+ records and 3 runs: all is well\.\n", verify()[1])


def damage_byte(path):
    content = bytearray(path.read_bytes())
    content[36] ^= 1
    path.write_bytes(content)


# What is done to the storage, what is told of it, and whether --repair mends it.
DAMAGES = {
    "record file": (lambda s, d: (s.records / "projects" / "1-100.json").write_text("{"), "holds no valid JSON", False),
    "a record": (lambda s, d: d.projects.update(1, name=None), "Record 1: at name a text is expected", False),
    "ids": (
        lambda s, d: (s.records / "projects" / "1-100.json").write_text('{"assigned_ids": {"1": {"last_id": "1"}}}'),
        "assigned_ids: at 1.last_id a whole number is expected",
        False,
    ),
    "metrics": (lambda s, d: s.run(TRAINED).metrics.write_text("[]"), "metrics.json has a fault", False),
    "predictions": (lambda s, d: s.run(TRAINED).predictions.write_text("{}\n"), "has a fault in line 1", False),
    "report": (lambda s, d: s.report(1).write_text("{}"), "report.json has a fault: at problems", False),
    "rows": (lambda s, d: s.weights(1).metrics.write_text("{}\n"), "metrics.jsonl has a fault in line 1", False),
    "export": (lambda s, d: s.weights(1).export.write_text("{}"), "export.json has a fault: at digest", False),
    "file of a far record": (
        lambda s, d: (s.records / "projects" / "99999999999999901-100000000000000000.json").write_text("{}"),
        "101-200.json is gone",
        False,
    ),
    "record file gone": (lambda s, d: (s.records / "weights" / "1-100.json").unlink(), "is gone", False),
    "strange file": (
        lambda s, d: (s.records / "projects" / "1-50.json").write_text("{}"),
        "does not read a file of this name",
        False,
    ),
    "draft of records": (lambda s, d: (s.records / "projects" / ".next.tmp").touch(), "killed while it wrote", True),
    "latest weights": (lambda s, d: d.projects.update(1, modelweights_id=7), "modelweights_id is 7", True),
    "latest inference": (lambda s, d: d.inferences.delete(1), "inference_id is 1", True),
    "initial weights": (lambda s, d: d.weights.update(1, pretrained_on=9), "pretrained_on is 9", False),
    "dataset of weights": (lambda s, d: d.weights.update(1, dataset_id=9), "dataset_id is 9", False),
    "weights": (lambda s, d: damage_byte(s.weights(1).best), "best.pt: It is damaged", False),
    "checkpoint": (lambda s, d: damage_byte(s.weights(1).last), "last.pt: It", False),
    "card": (lambda s, d: s.weights(1).card.write_text("["), "weights.json: It cannot be read", False),
    "card gone": (lambda s, d: s.weights(1).card.unlink(), "weights.json is gone", True),
    "weights folder gone": (lambda s, d: shutil.rmtree(s.weights(2).path), "folder of these weights is gone", False),
    "weights without record": (lambda s, d: s.weights(77).path.mkdir(), "no record of these weights", True),
    "temporary of weights": (
        lambda s, d: (s.weights(1).path / ".best.pt.12.tmp").touch(),
        "killed while it wrote",
        True,
    ),
    "description gone": (lambda s, d: s.description(1).unlink(), "the description of dataset 1, is gone", False),
    "description": (lambda s, d: s.description(1).write_text("classes: 7"), "datasets/1/dataset.yml", False),
    "images gone": (lambda s, d: shutil.rmtree(s.root.parent / "images"), "The folder of its images", False),
    "moved storage": (lambda s, d: d.datasets.update(1, path="/old/dataset.yml"), "says that the description is", True),
    "dataset without record": (lambda s, d: s.dataset(77).mkdir(), "no record of this dataset", True),
    "state": (lambda s, d: s.run(TRAINED).state.write_text("{"), "holds no valid JSON", False),
    "another state": (lambda s, d: s.run(TRAINED).state.write_text("[]"), "has a fault: an object", False),
    "config gone": (lambda s, d: s.run(TRAINED).config.unlink(), "no config.json", None),
    "run gone": (lambda s, d: shutil.rmtree(s.run(TRAINED).path), f"runs/{TRAINED}, is gone", False),
    "mark gone": (lambda s, d: s.run(WAITING).unfinished_mark.unlink(), "not marked as unfinished", True),
    "mark left": (lambda s, d: s.run(TRAINED).unfinished_mark.touch(), "The process has ended", True),
    "mark of nothing": (lambda s, d: (s.unfinished / TRAINED.replace("1", "4")).touch(), "no run folder", True),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_each_damage_is_told_with_its_place_and_mended_where_that_is_safe(name, verify, storage, database):
    do_damage, told, is_mended = DAMAGES[name]
    do_damage(storage, database)
    (storage.root / ".served").touch()  # the lock of a service
    before = set(storage.root.rglob("*"))

    code, output = verify()

    assert (code, told in output) == (1, True), output
    assert set(storage.root.rglob("*")) == before, "looking changes nothing"
    if is_mended is not None:
        assert ("of which --repair mends" in output) == is_mended, output
        code, output = verify("--repair")
        assert code == (0 if is_mended else 1), output


def test_what_is_moved_aside_can_be_put_back(verify, storage):
    path = storage.weights(77).path
    path.mkdir()
    (path / "best.pt").write_bytes(b"precious")

    assert verify("--repair")[0] == 0

    assert not path.exists()
    [kept] = storage.root.glob("lost+found/*/weights/77/best.pt")
    assert kept.read_bytes() == b"precious"


def test_folders_are_left_alone_while_their_records_cannot_be_read(verify, storage):
    (storage.records / "weights" / "1-100.json").write_text("{")

    assert verify("--repair")[0] == 1

    assert storage.weights(1).best.exists() and not list(storage.root.glob("lost+found"))


def test_a_process_that_has_not_ended_may_be_in_the_middle_of_writing(verify, storage):
    run = storage.run(WAITING)
    (run.path / ".state.json.12.tmp").touch()
    run.config.unlink()
    run.state.unlink()
    assert verify() == (0, verify()[1])


def test_a_served_storage_is_looked_at_twice_and_not_repaired(verify, root, storage):
    shutil.rmtree(storage.weights(2).path)
    with storage_lock(root):
        assert verify()[0] == 1
        code, output = verify("--repair")
    assert code == 1 and "is served already" in output


def test_what_is_no_storage_is_one_sentence(verify, monkeypatch, tmp_path):
    monkeypatch.setenv("STORAGE_DIR", str(tmp_path / "absent"))
    code, output = verify()
    assert code == 1 and output.startswith(f"Error: {tmp_path / 'absent'} is no storage folder")
    assert not (tmp_path / "absent").exists()


def test_runs_of_deleted_weights_are_history_and_no_fault(verify, storage, database):
    add_run(storage, TRAINED.replace("1", "5"), QUEUED, TRAINING)
    assert verify()[0] == 0
    assert json.loads(storage.run(TRAINED).state.read_text())["state"] == "finished"
