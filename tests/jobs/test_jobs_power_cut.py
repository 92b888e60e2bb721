"""What is on the disk, and not in the memory of the system alone, at the moment when something is told of it."""

import ctypes
import os
from importlib import import_module
from pathlib import Path

import pytest
from forked import CONTEXT
from test_jobs_registration import archive
from test_jobs_submission import dataset, projects, properties, request_body
from test_jobs_weights_export import CONFIG

from app import files
from app.engines import get_engine
from app.jobs.datasets.registration import UploadedFile, register_dataset
from app.jobs.inference.start import start_inference
from app.jobs.training.start import start_training
from app.jobs.weights.model_families import add_family
from app.jobs.weights.upload import upload_weights

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


@pytest.fixture
def network(tmp_path):
    """An ONNX file of a network that tells two classes of images apart."""
    path = tmp_path / "net.onnx"
    get_engine("torch").build(CONFIG).export_onnx(path, {})
    return path


def upload(services, path):
    model = add_family(services, "Elsewhere", 1)
    with path.open("rb") as stream:
        request = {"name": "Net", "model_id": model["id"], "place": UploadedFile(path.name, stream)}
        return upload_weights(services, request | {"classes": ["left", "right"]})


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


@pytest.fixture
def seen_at_waits(monkeypatch):
    """Look at what is waited for, be it all on a draft's disk or the names in a folder, and return what was seen."""

    def watch(folder, look):
        seen, wait = [], os.fsync

        def wait_and_look(descriptor):
            wait(descriptor)
            if place_of(descriptor) == folder:
                seen.append(look(folder))

        class Library:
            def syncfs(self, descriptor):
                seen.append(look(place_of(descriptor)))
                return ctypes.CDLL(None).syncfs(descriptor)

        monkeypatch.setattr(os, "fsync", wait_and_look)
        monkeypatch.setattr(files, "_libc", Library())
        return seen

    return watch


def place_of(descriptor):
    return Path(f"/proc/self/fd/{descriptor}").readlink()


def names_in(folder):
    return {path.name for path in folder.iterdir()}


def test_an_uploaded_dataset_is_on_the_disk_before_its_record(services, data_root, seen_at_waits):
    folder, datasets = services.storage.datasets, services.database.datasets
    seen = seen_at_waits(folder, lambda place: (names_in(place), len([*place.rglob("*.png")]), datasets.all()))

    first = register_dataset(services, "Set", 1, str(data_root / "set.yml"))
    register_dataset(services, "Moles", 1, archive(data_root))

    assert seen == [
        ({".drafts", "1"}, 0, []),
        (names_in(folder / "2"), 6, [first]),
        ({".drafts", "1", "2"}, 6, [first]),
    ]


def test_uploaded_weights_are_on_the_disk_before_their_record(services, network, seen_at_waits):
    folder, weights = services.storage.all_weights, services.database.weights
    seen = seen_at_waits(folder, lambda place: (names_in(place), weights.all()))

    upload(services, network)

    kept = {"best.pt", "weights.json", "graph.onnx", "model.onnx", "export.json", "log.txt"}
    assert seen == [(kept, []), ({".drafts", "1"}, [])]
