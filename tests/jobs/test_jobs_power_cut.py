"""What is on the disk, and not in the memory of the system alone, at the moment when something is told of it."""

import ctypes
import os
from importlib import import_module
from pathlib import Path

import pytest
from forked import CONTEXT
from test_jobs_registration import archive
from test_jobs_submission import dataset, projects, properties, request_body

from app import files
from app.jobs.datasets.registration import register_dataset
from app.jobs.inference.start import start_inference
from app.jobs.training.start import start_training

__all__ = ["dataset", "projects", "request_body"]

TRAINING = properties(**{"Epochs": "1", "Input height": "12", "Input width": "12"})


def run_recorded(settings, module, process_id, journal):
    """Run a job and note the files in the order in which they are brought to the disk, without what replaces adds."""
    wait = os.fsync

    def wait_and_note(descriptor):
        wait(descriptor)
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        with journal.open("a") as file:
            file.write(f"{name}\n")

    os.fsync = wait_and_note
    os.environ |= {"STORAGE_DIR": str(settings.storage_dir), "REDIS_URL": settings.redis_url}
    os.environ["DATA_ROOTS"] = os.pathsep.join(map(str, settings.data_roots))
    import_module(f"app.jobs.{module}.job").run(process_id)


@pytest.fixture
def on_disk(settings, tmp_path):
    """Run a job, and tell which files came to the disk in turn."""

    def run(module, process_id):
        journal = tmp_path / "journal"
        journal.write_text("")
        process = CONTEXT.Process(target=run_recorded, args=(settings, module, process_id, journal))
        process.start()
        process.join()
        return journal.read_text().splitlines()

    return run


def last(names, beginning):
    return max(index for index, name in enumerate(names) if name.startswith(beginning))


def test_rows_are_on_the_disk_before_what_tells_that_they_are_there(services, request_body, on_disk):
    training = start_training(services, request_body | TRAINING)
    names = on_disk("training", training["process_id"])
    assert last(names, "metrics.jsonl") < last(names, ".last.pt.") < last(names, ".state.json.")

    weights = {"modelweights_id": training["weight_id"]}
    inference = start_inference(services, request_body | weights)
    names = on_disk("inference", inference["process_id"])
    assert last(names, "predictions.jsonl") < last(names, ".state.json.")


def test_an_uploaded_dataset_is_on_the_disk_before_its_record(services, data_root, monkeypatch):
    found = []

    class Library:
        def syncfs(self, descriptor):
            draft = Path(f"/proc/self/fd/{descriptor}").readlink()
            found.append((len([*draft.rglob("*.png")]), services.database.datasets.find(name="Moles")))
            return ctypes.CDLL(None).syncfs(descriptor)

    monkeypatch.setattr(files, "_libc", Library())
    register_dataset(services, "Set", 1, str(data_root / "set.yml"))
    register_dataset(services, "Moles", 1, archive(data_root))

    assert found == [(6, [])]
