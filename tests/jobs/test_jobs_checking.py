"""The check of a dataset: started by registering it, run as a job of its own, told, and heeded by a training."""

import os
import resource
from dataclasses import replace

import nibabel
import numpy as np
import pytest
from forked_job import start_job
from PIL import Image
from test_jobs_submission import projects
from waiting import PATIENCE_SECONDS, wait_until

from app.errors import Conflict, InvalidInput, NotFound, QueueUnavailable
from app.files import read_json, write_json
from app.jobs.datasets import checking, job
from app.jobs.datasets.registration import register_dataset
from app.jobs.datasets.samples import samples, thumbnail
from app.jobs.processes import following, outputs
from app.jobs.queue import CHECK, JobQueue
from app.jobs.removal.deletion import delete_dataset
from app.jobs.training.start import start_training
from app.runs.reader import read_state
from app.runs.state import FAILED, FINISHED, STOPPED
from app.runs.writer import RunWriter, request_stop, write_final_state

__all__ = ["projects"]


@pytest.fixture
def dataset(services, data_root):
    """Six images of two classes, of which two are noise and four are grey all over."""
    for index in (0, 5):
        noise = np.random.default_rng(index).integers(0, 256, (8, 8))
        Image.fromarray(noise.astype(np.uint8)).save(data_root / f"{index}.png")
    return register_dataset(services, "Set", 1, str(data_root / "set.yml"))


def run_job(services, module, process_id):
    """Run a job and return its final state."""
    start_job(services.settings, module, process_id).join(PATIENCE_SECONDS)
    return read_state(services.storage.run(process_id))


def run_check(services, process_id):
    state = run_job(services, "datasets", process_id)
    services.queue.withdraw(CHECK, process_id)
    return state


def test_a_check_waits_for_room_on_the_disk(services, dataset, monkeypatch):
    process_id = dataset["check_process_id"]
    run = services.storage.run(process_id)
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))  # for a state, not for a report
        monkeypatch.setenv("STORAGE_DIR", str(services.settings.storage_dir))
        job.run(process_id)
        os._exit(0)

    wait_until(lambda: "Waits for the disk" in read_state(run).line)
    resource.prlimit(child, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    os.waitpid(child, 0)

    assert read_state(run).state == FINISHED
    assert checking.dataset_report(services, dataset["id"])["state"] == FINISHED


def start(services, dataset, projects, **properties):
    request = {"model_id": 1, "dataset_id": dataset["id"], "project_id": projects[0]["id"], "weights_id": None}
    chosen = {"Epochs": 1, "Input height": 8, "Input width": 8} | properties
    request["properties"] = [{"name": name, "value": value} for name, value in chosen.items()]
    return start_training(services, request)


def test_registering_queues_a_check_beside_the_inferences(services, dataset):
    process_id = dataset["check_process_id"]

    assert services.queue.position("inference", process_id) == 1
    status = following.status(services, process_id, False)
    assert (status["process_type"], status["process_status"], status["process_state"]) == ("check", "running", "queued")
    assert checking.dataset_report(services, dataset["id"]) | {"line": ""} == {
        "state": "queued",
        "progress": 0.0,
        "process_id": process_id,
        "line": "",
    }


def test_a_check_writes_the_report_beside_the_description(services, dataset, data_root):
    state = run_check(services, dataset["check_process_id"])

    report = checking.dataset_report(services, dataset["id"])

    assert state.state == "finished" and state.line.startswith("Checked 6 images")
    assert (report["state"], report["progress"]) == ("finished", 1.0)
    assert report["splits"]["training"]["classes"] == {"a": 2, "b": 2}
    assert {problem["file"] for problem in report["problems"] if problem["kind"] == "blank"} == {
        "1.png",
        "2.png",
        "3.png",
        "4.png",
    }
    assert read_json(services.storage.run(dataset["check_process_id"]).report)["problems"] == report["problems"]
    log = services.storage.run(dataset["check_process_id"]).log.read_text()
    assert "warning: '1.png' is blank" in log


def test_a_training_is_refused_for_errors_and_told_of_warnings(services, dataset, projects, data_root):
    (data_root / "0.png").write_text("no image")
    run_check(services, dataset["check_process_id"])

    with pytest.raises(InvalidInput) as refused:
        start(services, dataset, projects)
    assert f"/backend/datasets/{dataset['id']}/report" in refused.value.message
    assert "0.png" in refused.value.message and list(refused.value.errors) == ["dataset_id"]
    assert services.database.weights.all() == []

    Image.fromarray(np.eye(8, dtype=np.uint8)).save(data_root / "0.png")
    run_check(services, checking.check_again(services, dataset["id"]))
    answer = start(services, dataset, projects)
    assert run_job(services, "training", answer["process_id"]).state == FINISHED
    assert "Warning of the dataset's report: '1.png' is blank" in log_of(services, answer)


def log_of(services, answer):
    return services.storage.weights(answer["weight_id"]).log.read_text()


def test_a_training_does_the_check_that_no_worker_has_done_yet(services, dataset, projects, data_root):
    answer = start(services, dataset, projects)
    (data_root / "0.png").write_text("no image")

    state = run_job(services, "training", answer["process_id"])

    assert state.state == FAILED and "0.png" in state.error
    assert f"GET /backend/datasets/{dataset['id']}/report lists all" in state.error
    check = services.storage.run(dataset["check_process_id"])
    assert read_state(check).state == FINISHED
    assert checking.dataset_report(services, dataset["id"])["problem_counts"]["error"] == 1
    written = check.report.stat().st_mtime_ns
    run_check(services, dataset["check_process_id"])  # the worker that takes it from the queue later
    assert check.report.stat().st_mtime_ns == written


def test_a_training_goes_by_the_newest_check_not_by_an_older_report(services, dataset, projects, data_root):
    (data_root / "0.png").write_text("no image")
    run_check(services, dataset["check_process_id"])
    Image.fromarray(np.eye(8, dtype=np.uint8)).save(data_root / "0.png")
    checking.check_again(services, dataset["id"])

    answer = start(services, services.database.datasets.get(dataset["id"]), projects)

    assert run_job(services, "training", answer["process_id"]).state == FINISHED


def test_a_training_checks_a_dataset_whose_check_is_lost(services, dataset, projects):
    run = services.storage.run(dataset["check_process_id"])
    write_final_state(run, FAILED, "Failed: lost", "lost")

    answer = start(services, dataset, projects)

    assert run_job(services, "training", answer["process_id"]).state == FINISHED
    assert "The dataset was not checked before: checking it now" in log_of(services, answer)
    assert services.storage.report(dataset["id"]).exists()


def test_a_training_waits_for_a_check_that_is_worked_on_and_can_be_stopped(services, dataset, projects):
    check = services.storage.run(dataset["check_process_id"])
    with RunWriter(check, check.log) as held:
        answer = start(services, dataset, projects)
        job = start_job(services.settings, "training", answer["process_id"])
        run = services.storage.run(answer["process_id"])
        wait_until(lambda: "waiting for the check" in read_state(run).line)
        request_stop(run)
        job.join(PATIENCE_SECONDS)
        assert read_state(run).state == STOPPED and "while the dataset was checked" in read_state(run).line
        assert held.state.state == "started" and services.storage.weights(answer["weight_id"]).has_weights() is False


def test_a_second_check_waits_until_the_first_has_ended(services, dataset):
    with pytest.raises(Conflict, match="being checked already"):
        checking.check_again(services, dataset["id"])
    following.stop(services, dataset["check_process_id"])

    assert checking.dataset_report(services, dataset["id"])["state"] == STOPPED
    assert checking.check_again(services, dataset["id"]) != dataset["check_process_id"]


def test_a_check_that_fails_says_why(services, dataset):
    services.storage.dataset(dataset["id"]).joinpath("dataset.yml").write_text("images: 3")
    run_check(services, dataset["check_process_id"])

    report = checking.dataset_report(services, dataset["id"])

    assert report["state"] == "failed" and "images" in report["error"]


def test_the_first_look_at_a_report_starts_the_check(services, dataset):
    services.database.datasets.update(dataset["id"], check_process_id=None)

    report = checking.dataset_report(services, dataset["id"])

    assert report["state"] == "queued"
    assert services.database.datasets.get(dataset["id"])["check_process_id"] == report["process_id"]


def test_without_redis_registering_works_and_the_report_says_what_lacks(services, data_root):
    cut_off = replace(services, queue=JobQueue("redis://127.0.0.1:1/0"))

    record = register_dataset(cut_off, "Set", 1, str(data_root / "set.yml"))

    assert record.get("check_process_id") is None
    with pytest.raises(QueueUnavailable):
        checking.dataset_report(cut_off, record["id"])
    assert list(services.storage.runs.iterdir()) == []
    delete_dataset(cut_off, record["id"])


def test_a_group_that_is_no_feature_fails_before_anything_is_queued(services, dataset):
    following.stop(services, dataset["check_process_id"])

    with pytest.raises(InvalidInput, match="no feature 'scanner'"):
        checking.check_again(services, dataset["id"], "scanner")
    assert services.queue.position("inference", dataset["check_process_id"]) is None


def test_a_deleted_dataset_is_not_checked_any_more(services, dataset):
    delete_dataset(services, dataset["id"])

    assert following.status(services, dataset["check_process_id"], False)["process_state"] == STOPPED
    assert services.queue.position("inference", dataset["check_process_id"]) is None
    with pytest.raises(NotFound):
        checking.dataset_report(services, dataset["id"])


def test_a_check_has_no_outputs(services, dataset):
    assert "report" in outputs.outputs(services, dataset["check_process_id"])["result"]


def test_images_that_the_web_process_cannot_decode_have_pictures_after_the_check(services, data_root):
    volume = np.random.default_rng(0).integers(0, 255, (40, 30, 3)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), data_root / "scan.nii.gz")
    lines = "".join(f"  - {{location: 'scan.nii.gz#slice={index}', label: {'ab'[index % 2]}}}\n" for index in range(3))
    (data_root / "scan.yml").write_text(f"classes: [a, b]\nimages:\n{lines}split: {{training: [0, 1], test: [2]}}\n")
    record = register_dataset(services, "Scan", 1, str(data_root / "scan.yml"))
    with pytest.raises(InvalidInput, match=r"scan\.nii\.gz"):
        thumbnail(services, record["id"], 1)

    assert run_check(services, record["check_process_id"]).state == "finished"

    assert checking.dataset_report(services, record["id"])["problem_counts"]["error"] == 0
    with Image.open(thumbnail(services, record["id"], 1)) as picture:
        assert max(picture.size) == 40
    assert [row["split"] for row in samples(services, record["id"])] == ["training", "training", "test"]


def test_masks_of_a_volume_are_laid_over_its_slices(services, data_root):
    folder = data_root / "volumes"
    for name, peak in (("images", 200), ("masks", 7)):
        (folder / name).mkdir(parents=True)
        volume = np.zeros((40, 30, 2), np.int16)
        volume[20:, :, 1] = peak
        nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), folder / name / "a.nii.gz")
    record = register_dataset(services, "Organs", 2, str(folder))
    assert run_check(services, record["check_process_id"]).state == "finished"
    report = checking.dataset_report(services, record["id"])
    assert report["masks"]["rule"]["classes"] == {"0": 0, "7": 1}

    with Image.open(thumbnail(services, record["id"], 1, has_mask=True)) as picture:
        red, green, _ = picture.getpixel((30, 15))
        assert red > green + 40 and len(set(picture.getpixel((10, 15)))) == 1


def test_a_report_of_errors_alone_names_how_many_there_are(services, dataset, projects):
    problems = [{"severity": "error", "message": f"Fault {index}."} for index in range(1000)]
    report = {"problems": problems, "problem_counts": {"error": 25_000, "warning": 0}}
    write_json(services.storage.report(dataset["id"]), report)

    with pytest.raises(InvalidInput, match="25000 errors"):
        checking.refuse_faulty(services, dataset | {"check_process_id": None})
