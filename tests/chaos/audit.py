"""Look for everything that was acknowledged, and at everything that is stored."""

import fcntl
import json
import time
from contextlib import suppress
from pathlib import Path

from clients import GONE, Ledger
from served import PATIENCE_SECONDS, Served, Unanswered

FINAL = ("stopped", "finished", "failed")
END_SECONDS = 300


def untrue_states(storage: Path) -> list[str]:
    """Name the processes that are told to run and on which no job works."""
    found = []
    for mark in (storage / "unfinished").iterdir():
        run = storage / "runs" / mark.name
        try:
            state = json.loads((run / "state.json").read_text())["state"]
            with (run / "alive.lock").open("ab") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (FileNotFoundError, BlockingIOError):
            continue
        if state in ("started", "stopping"):
            found.append(f"{mark.name} is told as {state}")
    return found


def wait_for_true_states(served: Served) -> float:
    """Return how many seconds it took until every state was true, without anybody asking."""
    began = time.monotonic()
    while untrue := untrue_states(served.storage):
        assert time.monotonic() - began < PATIENCE_SECONDS, untrue
        time.sleep(0.2)
    return time.monotonic() - began


def wait_for_ends(served: Served, ledger: Ledger) -> None:
    """Stop what would take long, and wait until every process has ended."""
    for process_id, entry in ledger.trainings.items():
        if entry["epochs"] > 3:
            status, _ = _asked(served, "POST", "/stopProcess", {"process_id": process_id})
            if status == 200:
                ledger.stopped.add(process_id)
    deadline = time.monotonic() + END_SECONDS
    open_ones = [*ledger.trainings, *ledger.inferences]
    while open_ones:
        open_ones = [
            process_id for process_id in open_ones if _status(served, process_id)["process_state"] not in FINAL
        ]
        states = {process_id: _status(served, process_id)["process_data"] for process_id in open_ones[:5]}
        assert time.monotonic() < deadline, f"{len(open_ones)} processes do not end: {states}"
        time.sleep(0.3)


def faults(served: Served, ledger: Ledger) -> list[str]:
    """Return what is lost, half there or untrue."""
    found = [*ledger.faults, *_unreadable(served.storage)]
    stored = {record["id"]: record["name"] for record in served.settled("GET", "/projects")}
    for key, allowed in ledger.projects.items():
        if stored.get(key, GONE) not in allowed:
            found.append(f"project {key} is {stored.get(key, GONE)!r}, and {allowed} was acknowledged")
    for process_id, entry in ledger.trainings.items():
        found += _faults_of_training(served, process_id, entry, is_stopped=process_id in ledger.stopped)
    for process_id, count in ledger.inferences.items():
        status = _status(served, process_id)
        rows = (served.storage / "runs" / process_id / "outputs" / "predictions.jsonl").read_text().splitlines()
        if status["process_state"] != "finished" or len(rows) != count or any(not json.loads(row) for row in rows):
            found.append(f"inference {process_id}: {status['process_data']!r} with {len(rows)} of {count} rows")
    left = [mark.name for mark in (served.storage / "unfinished").iterdir()]
    return found + [f"{name} has ended and is still marked as unfinished" for name in left]


def _faults_of_training(served: Served, process_id: str, entry: dict, *, is_stopped: bool) -> list[str]:
    status = _status(served, process_id)
    state, name = status["process_state"], f"training {process_id}"
    if state == "failed":
        return [f"{name} has failed: {status['error']}"]
    if state == "stopped":
        return [] if is_stopped else [f"{name} was never stopped by anybody: {status['process_data']}"]
    folder = served.storage / "weights" / str(entry["weights_id"])
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    epochs = [row["epoch"] for row in rows if row["split"] == "training"]
    found = []
    if epochs != list(range(1, entry["epochs"] + 1)):
        found.append(f"{name} has finished {entry['epochs']} epochs, and its metrics have {epochs}")
    if not (folder / "best.pt").exists() or not (folder / "last.pt").exists():
        found.append(f"{name} has finished and has no weights")
    served.settled("GET", f"/weights/{entry['weights_id']}")
    return found


def _unreadable(storage: Path) -> list[str]:
    found = []
    for path in storage.rglob("*.json"):
        try:
            json.loads(path.read_bytes())
        except ValueError as error:
            found.append(f"{path} does not parse: {error}")
    return found


def _status(served: Served, process_id: str) -> dict:
    return served.settled("GET", f"/status?process_id={process_id}")["status"]


def _asked(served: Served, method: str, path: str, body: dict) -> tuple[int, dict]:
    status, answer = 503, {}
    deadline = time.monotonic() + PATIENCE_SECONDS
    while status == 503 and time.monotonic() < deadline:
        with suppress(Unanswered):
            status, answer = served.send(method, path, body)
    return status, answer
