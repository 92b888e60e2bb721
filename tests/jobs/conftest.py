"""The services without a web server: real records, a real queue, a small real dataset; no worker runs the jobs."""

import numpy as np
import pytest
from PIL import Image

from app.jobs.initialisation import initialise
from app.jobs.services import open_services
from app.settings import Settings


@pytest.fixture
def data_root(tmp_path):
    """A folder with `set.yml`: six grey images of two classes, and `masks.yml`: the same with masks."""
    folder = tmp_path / "data"
    folder.mkdir()
    for index in range(6):
        Image.fromarray(np.full((8, 8), 40 * index, np.uint8)).save(folder / f"{index}.png")
    labels = "".join(f"  - {{location: {index}.png, label: {'ab'[index % 2]}}}\n" for index in range(6))
    masks = "".join(f"  - {{location: {index}.png, label: 5.png}}\n" for index in range(5))
    (folder / "set.yml").write_text(
        f"classes: [a, b]\nimages:\n{labels}split: {{training: [0, 1, 2, 3], test: [5, 4]}}\n"
    )
    (folder / "masks.yml").write_text(
        f"classes: [cell]\nimages:\n{masks}split: {{training: [0, 1, 2, 3], test: [4]}}\n"
    )
    return folder


@pytest.fixture
def settings(tmp_path, data_root, redis_url):
    return Settings(
        storage_dir=tmp_path / "storage", redis_url=redis_url, data_roots=(data_root,), url_hosts=("127.0.0.1",)
    )


@pytest.fixture
def services(settings):
    services = open_services(settings)
    initialise(services)
    return services


@pytest.fixture
def stored(services):
    """Everything that a refused request could leave behind."""

    def contents():
        files = sorted(str(path) for path in services.settings.storage_dir.rglob("*") if "/db" not in str(path))
        database = services.database
        records = [repository.all() for repository in (database.weights, database.inferences, database.datasets)]
        return files, records, database.projects.all()

    return contents
