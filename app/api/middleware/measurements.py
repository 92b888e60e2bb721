"""`/metrics` for Prometheus: requests of all web workers, and what /backend/health tells. Needs the extra `metrics`."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING

from flask import Blueprint, Flask, Response, current_app, g, request

from app.api.errors import error_response
from app.api.middleware.gate import READING
from app.api.middleware.metrics_folder import take_room
from app.api.services import services
from app.jobs.health import disk_room

if TYPE_CHECKING:
    from prometheus_client.core import GaugeMetricFamily

HAS_PROMETHEUS = find_spec("prometheus_client") is not None
METHODS = READING | {"POST", "PUT", "PATCH", "DELETE"}
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
MISSING = "The numbers for Prometheus need prometheus-client: run pip install '.[metrics]' and start the service again."

blueprint = Blueprint("measurements", __name__)


@blueprint.get("/metrics")
def show_metrics() -> Response:
    """Answer in the text format of Prometheus."""
    if not HAS_PROMETHEUS:
        return error_response(501, MISSING)
    from prometheus_client import CollectorRegistry, generate_latest, multiprocess
    from prometheus_client.exposition import CONTENT_TYPE_LATEST

    registry = CollectorRegistry()
    try:
        multiprocess.MultiProcessCollector(registry)  # where gunicorn.conf.py has made a folder for its workers
        text = generate_latest(registry)
    except ValueError:
        text = generate_latest(g.requests)
    service = CollectorRegistry()
    service.register(ServiceNumbers())
    return Response(text + generate_latest(service), content_type=CONTENT_TYPE_LATEST)


def measure(app: Flask) -> None:
    """Count every request by the rule of its path, never by the path itself: there is no end of paths."""
    app.register_blueprint(blueprint)
    if not HAS_PROMETHEUS:
        return
    # Imported here, not above: gunicorn.conf.py has to name the folder of the workers' numbers before.
    from prometheus_client import CollectorRegistry, Counter, Histogram

    registry = CollectorRegistry()
    labels = ("method", "rule")
    requests = Counter("dht_requests", "Requests answered.", (*labels, "status"), registry=registry)
    seconds = Histogram("dht_request_seconds", "Time to answer.", labels, buckets=SECONDS, registry=registry)

    @app.before_request
    def begin() -> None:
        g.requests = registry
        g.began = time.perf_counter()

    @app.after_request
    def count(response: Response) -> Response:
        method = request.method if request.method in METHODS else "other"
        rule = request.url_rule.rule if request.url_rule else "none"
        with suppress(OSError):  # the folder of the numbers may be gone or full; the answer is not to suffer from it
            if folder := current_app.extensions.get("numbers_folder"):
                take_room(folder, os.getpid())
            requests.labels(method, rule, str(response.status_code)).inc()
            if "began" in g:
                seconds.labels(method, rule).observe(time.perf_counter() - g.began)
        return response


class ServiceNumbers:
    """Queues, workers and disk at the moment of being asked; what cannot be seen then is left out."""

    def collect(self) -> Iterator["GaugeMetricFamily"]:
        """Yield each family of numbers."""
        seen, _ = services().redis_probe.ask()
        yield gauge("dht_redis_up", "Whether Redis answers.", (), [((), seen is not None)])
        queues, workers = (seen["queues"], seen["workers"]) if seen else ([], [])
        states = ("waiting", "started", "finished", "failed")
        jobs = [((queue["name"], state), queue[state]) for queue in queues for state in states]
        yield gauge("dht_jobs", "Jobs; finished ones of a day, failed ones of a week.", ("queue", "state"), jobs)
        serving = [((queue["name"],), queue["workers"]) for queue in queues]
        yield gauge("dht_workers", "Workers that serve a queue.", ("queue",), serving)
        busy = sum(worker["state"] == "busy" for worker in workers)
        yield gauge("dht_workers_busy", "Workers with a job.", (), [((), busy)] if seen else [])
        disk = disk_room(services().storage) or {}
        for name, count in disk.items():
            yield gauge(f"dht_disk_{name}", "Room on the disk of the storage folder.", (), [((), count)])


def gauge(name: str, text: str, labels: tuple[str, ...], rows: list) -> "GaugeMetricFamily":
    """Return a family of numbers, one for each row of label values."""
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily(name, text, labels=labels)
    for values, number in rows:
        family.add_metric(values, float(number))
    return family
