"""Seconds of what `writes.py` does for longer, with a backup in the middle of it."""

import os
import subprocess
import sys
import threading
from pathlib import Path

from served import CLONE, WITHOUT_WORKERS, Served
from writes import faults, verified, write_and_kill

SEED = 11
WRITES = 480


def dht(storage: Path, *arguments: str) -> str:
    environment = os.environ | {"STORAGE_DIR": str(storage)}
    command = [sys.executable, "-m", "app.cli", *arguments]
    return subprocess.run(command, cwd=CLONE, env=environment, capture_output=True, text=True, check=True).stdout


def test_writes_survive_kills_and_a_backup_meanwhile_is_whole(tmp_path):
    served = Served(tmp_path, tmp_path / "storage", tmp_path, WITHOUT_WORKERS)
    with served.running():
        first = served.settled("POST", "/projects", {"name": "first", "task_id": 1})
        backing_up = threading.Thread(target=dht, args=(served.storage, "backup", str(tmp_path / "backup.tar")))
        backing_up.start()
        writers = write_and_kill(served, WRITES, clients=8, seed=SEED, pause=(0.3, 0.6))
        backing_up.join()
        writers[0].projects[first["id"]] = {"first"}
        assert faults(served, writers) == []
    assert verified(served.storage, "--repair").returncode == 0

    restored = Served(tmp_path, tmp_path / "restored", tmp_path, WITHOUT_WORKERS)
    assert dht(restored.storage, "restore", str(tmp_path / "backup.tar")).startswith("Restored ")
    assert verified(restored.storage).stdout.endswith("all is well.\n")
    with restored.running():
        projects = restored.settled("GET", "/projects")
        names = {project["name"] for project in projects}
        assert "first" in names and all(name == "first" or name.startswith("client ") for name in names)
        again = restored.settled("POST", "/projects", {"name": "again", "task_id": 1})
        assert again["id"] > max(project["id"] for project in projects)
