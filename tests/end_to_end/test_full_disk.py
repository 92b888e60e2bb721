"""A disk without room: whoever would store something is told, all that is stored stays, and it goes on by itself."""

import contextlib
import os
import subprocess
from pathlib import Path

import psutil
import pytest
from conftest import Service, training
from waiting import wait_until

DISK_BYTES = 256 * 1024**2
ROOM_FOR_A_STATE = 256 * 1024  # and not for the weights


class SmallDisk:
    """A small file system in memory where the tests may mount one, and elsewhere a limit of the service's files."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.service: Service | None = None
        command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", str(folder)]
        self.is_mounted = (
            os.geteuid() == 0 and subprocess.run(command, check=False, capture_output=True).returncode == 0
        )

    def fill(self, but_for: int = 0):
        """Leave room for so many bytes."""
        if self.is_mounted:
            self._write_until_full()
            os.truncate(self.folder / "filler", max(0, (self.folder / "filler").stat().st_size - but_for))
        else:
            self._limit_files(but_for)

    def free(self):
        if self.is_mounted:
            (self.folder / "filler").unlink()
        else:
            self._limit_files(-1)

    def _write_until_full(self):
        with (self.folder / "filler").open("ab", buffering=0) as filler:
            for size in (1024**2, 4096, 1):
                with contextlib.suppress(OSError):
                    while filler.write(bytes(size)) == size:
                        pass

    def unmount(self):
        if self.is_mounted:
            subprocess.run(["umount", "--lazy", str(self.folder)], check=True)

    def _limit_files(self, size: int):
        for process in psutil.Process(self.service.process.pid).children(recursive=True):
            process.rlimit(psutil.RLIMIT_FSIZE, (size, -1))


@pytest.fixture
def disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    disk = SmallDisk(folder)
    yield disk
    disk.unmount()


@pytest.fixture
def full_service(disk, data_root):
    disk.service = Service(disk.folder, data_root)
    yield disk.service
    assert disk.service.stop() == 0, disk.service.log.read_text(errors="replace")


READS = ("/projects", "/datasets", "/weights?model_id=1", "/models", "/tasks")


def writes(dataset, project, trained, sides_yaml):
    """Return one request of every kind that stores something."""
    weights_id, process_id = trained["weight_id"], trained["process_id"]
    inference = {"modelweights_id": weights_id, "project_id": project["id"]}
    image = f"data:image/png;base64,{PNG}"
    return [
        ("POST", "/projects", {"name": "new", "task_id": 1}),
        ("PUT", f"/projects/{project['id']}", {"name": "renamed"}),
        ("PUT", "/projects", {"id": project["id"], "name": "renamed"}),
        ("POST", "/datasets", {"name": "new", "task_id": 1, "path": str(sides_yaml)}),
        ("PUT", f"/datasets/{dataset['id']}/split", {"seed": 1}),
        ("POST", f"/datasets/{dataset['id']}/report", None),
        ("PUT", f"/weights/{weights_id}", {"name": "renamed"}),
        ("PUT", "/weights", {"id": weights_id, "name": "renamed"}),
        ("POST", "/models", {"name": "mine", "task_id": 1}),
        ("POST", "/train", training(dataset, project, Epochs="1")),
        ("POST", "/train", {"resume": process_id, "properties": [{"name": "Epochs", "value": 3}]}),
        ("POST", "/inference", {**inference, "dataset_id": dataset["id"]}),
        ("POST", "/inferenceSingle", {**inference, "image_data": image}),
    ]


PNG = "iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAAAAAA6mKC9AAAAEklEQVR4nGNggID/UMAwKkCeAACJ+3+BA0Q8OwAAAABJRU5ErkJggg=="


def test_a_full_disk_is_told_loses_nothing_and_is_over_when_there_is_room(disk, full_service, data_root, sides_yaml):
    client = full_service.client
    dataset = client.post("/datasets", {"name": "Sides", "task_id": 1, "path": str(sides_yaml)})
    project = client.post("/projects", {"name": "P", "task_id": 1})
    trained = client.post("/train", training(dataset, project, Epochs="2"))
    assert client.wait(trained["process_id"])["process_status"] == "finished"
    doomed = client.post("/train", training(dataset, project, Epochs="1"))
    assert client.wait(doomed["process_id"])["process_status"] == "finished"
    before = {path: client.get(path) for path in READS}

    disk.fill()

    for method, path, body in writes(dataset, project, trained, sides_yaml):
        status, answer = client.send(method, path, body)
        assert status in (503, 507), (method, path, status, answer)
        assert answer["message"].count(". ") == 0 and "Traceback" not in answer["message"], answer
    status, answer = client.send("POST", "/datasets", fields={"name": "up", "task_id": "1", "file": ("a.yml", b"x")})
    assert status in (422, 503, 507), answer
    assert {path: client.get(path) for path in READS} == before
    assert client.status(trained["process_id"])["process_state"] == "finished"
    if disk.is_mounted:  # a limit of files has no reserve
        assert client.send("DELETE", f"/weights/{doomed['weight_id']}")[0] == 204

    disk.free()

    wait_until(lambda: client.send("POST", "/projects", {"name": "room again", "task_id": 1})[0] == 201)
    running = client.post("/train", training(dataset, project, Epochs="100000"))["process_id"]
    client.wait(running, lambda status: status["progress"] > 0)
    disk.fill(but_for=ROOM_FOR_A_STATE)
    client.wait(running, lambda status: "Waits for the disk" in status["process_data"])
    disk.free()
    reached = client.status(running)["progress"]
    client.wait(running, lambda status: status["progress"] > reached)
    client.post("/stopProcess", {"process_id": running})
    assert client.wait(running)["process_state"] == "stopped"
    stored = [record["id"] for record in client.get("/projects")]
    assert len(stored) == len(before["/projects"]) + 1 and stored == sorted(set(stored))
