"""How the service is: what it can do at this moment, and what a person should look after."""

import os
import shutil
from functools import cache
from importlib.metadata import version

from app.engines import ENGINES, package_versions, why_not_installed
from app.jobs.redis_faults import redis_fault
from app.jobs.services import Services
from app.runs.layout import StorageLayout

OK = "ok"  # all that may be asked for is done
DEGRADED = "degraded"  # every request is answered and kept, but something waits for a person
FAILING = "failing"  # what is sent cannot be kept or queued

LOW_BYTES = 1024**3
FULL_BYTES = 64 * 1024**2
NECESSARY_QUEUES = ("training", "inference")


def health(services: Services) -> dict:
    """Return the state of every part; no part that hangs is waited for."""
    seen, fault = services.redis_probe.ask()
    disk = disk_room(services.storage)
    failures = [*_redis_failures(fault), *_disk_failures(services.storage, disk)]
    worries = [*_queue_worries(seen), *_version_worries(seen), *_disk_worries(disk)]
    return {
        "status": FAILING if failures else DEGRADED if worries else OK,
        "problems": [*failures, *worries],
        "web": {"version": version("deephealth-backend"), "workers": services.settings.web_workers},
        "redis": {"is_reachable": seen is not None},
        "queues": seen["queues"] if seen else [],
        "workers": seen["workers"] if seen else [],
        "disk": disk,
        "engines": list(_engines()),
    }


def disk_room(storage: StorageLayout) -> dict | None:
    """Return free and total bytes of the disk that the storage folder is on; None if it cannot be asked."""
    try:
        usage = shutil.disk_usage(storage.root)
    except OSError:
        return None
    return {"free_bytes": usage.free, "total_bytes": usage.total}


@cache
def _engines() -> tuple[dict, ...]:
    """Return what there is on this machine; what is installed later counts from the next start."""
    return tuple(
        {
            "name": name,
            "is_installed": (reason := why_not_installed(name)) is None,
            "versions": package_versions(name),
            "remedy": reason,
        }
        for name in ENGINES
    )


def _redis_failures(fault: Exception | None) -> list[str]:
    return [f"{redis_fault(fault)} Until then nothing can be queued."] if fault else []


def _disk_failures(storage: StorageLayout, disk: dict | None) -> list[str]:
    if disk is None:
        return ["The storage folder cannot be reached; is it mounted?"]
    if not os.access(storage.root, os.W_OK):  # false of a disk that is mounted read-only, whoever asks
        return ["The storage folder cannot be written; is its disk read-only, or does it belong to somebody else?"]
    return ["The disk of the storage folder is full; make room."] if disk["free_bytes"] < FULL_BYTES else []


def _disk_worries(disk: dict | None) -> list[str]:
    if disk is None or not FULL_BYTES <= disk["free_bytes"] < LOW_BYTES:
        return []
    return [f"Only {disk['free_bytes'] // 1024**2} MiB are free on the disk of the storage folder; make room."]


def _queue_worries(seen: dict | None) -> list[str]:
    return [
        f"No worker serves the queue {queue['name']}; start one with python worker.py {queue['name']}."
        for queue in (seen["queues"] if seen else [])
        if not queue["workers"] and (queue["waiting"] or queue["name"] in NECESSARY_QUEUES)
    ]


def _version_worries(seen: dict | None) -> list[str]:
    others = {worker["host"] for worker in (seen["workers"] if seen else []) if not worker["is_same_version"]}
    return [
        f"A worker on {host} runs another version than the web server; update its clone and start it anew."
        for host in sorted(others)
    ]
