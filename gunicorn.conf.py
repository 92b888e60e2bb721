"""How gunicorn serves the web application; every value a lab may want to change is a setting of the service."""

import os
import resource
import sys
from contextlib import suppress
from importlib.util import find_spec

from gunicorn import util

from app.access.exposure import refuse_exposure
from app.api.middleware.metrics_folder import make_metrics_folder
from app.api.server.refusals import write_refusal
from app.errors import ConfigurationError, ToolkitError
from app.jobs.initialisation import clear_up_after_killed
from app.settings import Settings

_settings = Settings.from_environment()

bind = f"[{_settings.host}]:{_settings.port}" if ":" in _settings.host else f"{_settings.host}:{_settings.port}"
workers = _settings.web_workers
threads = _settings.web_threads
worker_class = "app.api.server.patient_worker.PatientWorker"  # gthread, with which slow clients keep no threads
sendfile = False  # a thread would wait in it for as long as the client likes

# Loaded once before the fork: workers share its memory, start at once, and one that is killed is back in no time.
preload_app = True

# Each connection is an open file, and as many are left for what requests open: a worker without one ends.
worker_connections = min(1000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)

# A worker is busy for as long as the slowest download of a dataset description or an image may take.
timeout = _settings.url_timeout_seconds + 30
graceful_timeout = 10
keepalive = 5


# It is looked for when prometheus-client is imported.
if find_spec("prometheus_client") and "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = make_metrics_folder()


def on_starting(server):
    """Look at the addresses that are really listened on: the command line may name others than the settings."""
    hosts = [address[0] for address in server.cfg.address if isinstance(address, tuple)]
    try:
        refuse_exposure(hosts, server.app.wsgi().extensions["toolkit"].tokens)
    except ConfigurationError as error:
        sys.exit(error.message)


def post_worker_init(worker):
    """Let streams of events end when their worker is told to leave, so that a stop need not wait for them.

    A worker that takes the place of a killed one removes what that had stored by half.
    """
    worker.wsgi.extensions["worker_is_leaving"] = lambda: not worker.alive
    worker.wsgi.extensions["numbers_folder"] = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    with suppress(ToolkitError):  # a full disk: the next one does it
        clear_up_after_killed(worker.wsgi.extensions["toolkit"])


loglevel = "warning"  # the launcher says what starts and stops
limit_request_line = 8190
util.write_error = write_refusal  # gunicorn has no setting for it, and its own answer is HTML

control_socket_disable = True  # its default place is in the home folder, which two clones would share
proc_name = "deephealth-web"
