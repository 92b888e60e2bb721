"""A job in a process of its own, as a worker starts it."""

import os
from importlib import import_module
from multiprocessing.process import BaseProcess

from forked import CONTEXT

from app.settings import Settings


def start_job(settings: Settings, module: str, process_id: str) -> BaseProcess:
    """Run the job of a package of `app.jobs` with these settings; its process can be waited for."""
    environment = {
        "STORAGE_DIR": str(settings.storage_dir),
        "REDIS_URL": settings.redis_url,
        "DATA_ROOTS": os.pathsep.join(map(str, settings.data_roots)),
    }
    process = CONTEXT.Process(target=_run, args=(environment, module, process_id))
    process.start()
    return process


def _run(environment, module, process_id):
    os.environ.update(environment)
    import_module(f"app.jobs.{module}.job").run(process_id)
