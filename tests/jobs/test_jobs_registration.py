import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from app.datasets.places import resolve
from app.errors import InvalidInput, TooLarge
from app.jobs.datasets import open_dataset
from app.jobs.initialisation import initialise
from app.jobs.registration import channels_of, register_dataset
from app.jobs.services import open_services
from app.settings import Settings
from app.training.remote import LocalCopies


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Keep the output of the tests clean."""


@pytest.fixture
def web(data_root):
    """A web server over the data folder; its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=data_root)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_the_service_keeps_its_own_copy(services, data_root):
    record = register_dataset(services, "Set", 1, str(data_root / "set.yml"))
    (data_root / "set.yml").unlink()

    opened = open_dataset(record)

    assert opened.description.classes == ("a", "b")
    assert resolve("0.png", opened.folder) == data_root / "0.png"
    assert (record["classes"], record["sample_count"]) == (["a", "b"], 6)
    assert record["splits"] == {"training": 4, "test": 2}
    assert record["colour_type"] == "GRAY" and channels_of(record) == 1
    assert services.database.datasets.get(record["id"]) == record


def test_a_description_behind_a_url_brings_images_relative_to_it(services, web, tmp_path):
    record = register_dataset(services, "Web", 1, f"{web}/set.yml?dl=1")

    opened = open_dataset(record)
    place = resolve("0.png", opened.folder)
    local = LocalCopies(tmp_path / "copies", services.settings).path(place)

    assert place == f"{web}/0.png"
    assert local.read_bytes() == (tmp_path / "data" / "0.png").read_bytes()


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../outside.yml", "ftp://host/set.yml", "http://169.254.1.1/x.yml", "\0"]
)
def test_a_place_that_may_not_be_read_is_refused(services, stored, path):
    before = stored()

    with pytest.raises(InvalidInput) as refused:
        register_dataset(services, "X", 1, path)

    assert list(refused.value.errors) == ["path"]
    assert stored() == before


def test_images_outside_the_data_roots_are_refused(services, data_root, stored):
    (data_root / "sly.yml").write_text("classes: [a, b]\nimages: [{location: /etc/hostname, label: a}]\n")
    before = stored()

    with pytest.raises(InvalidInput, match="outside"):
        register_dataset(services, "Sly", 1, str(data_root / "sly.yml"))
    assert stored() == before


def test_a_description_for_the_other_task_is_refused(services, data_root, stored):
    before = stored()

    with pytest.raises(InvalidInput, match="mask"):
        register_dataset(services, "Set", 2, str(data_root / "set.yml"))
    with pytest.raises(InvalidInput, match="class"):
        register_dataset(services, "Masks", 1, str(data_root / "masks.yml"))
    assert stored() == before


def test_a_first_image_over_the_limit_is_refused(settings, data_root):
    services = open_services(replace(settings, max_image_pixels=63))
    initialise(services)

    with pytest.raises(InvalidInput, match="8 x 8 pixels; 63 are the limit") as refused:
        register_dataset(services, "Set", 1, str(data_root / "set.yml"))
    assert list(refused.value.errors) == ["path"]


def test_a_description_over_the_limit_is_refused(settings, data_root):
    services = open_services(replace(settings, max_description_bytes=100))
    initialise(services)

    with pytest.raises(TooLarge, match="100 bytes"):
        register_dataset(services, "Set", 1, str(data_root / "set.yml"))


def test_a_damaged_shipped_dataset_is_left_out_and_the_service_starts(tmp_path, data_root, redis_url):
    (data_root / "digits").mkdir()
    (data_root / "digits" / "digits.yml").write_bytes((data_root / "set.yml").read_bytes())
    services = open_services(Settings(storage_dir=tmp_path / "storage", redis_url=redis_url, data_roots=(data_root,)))

    initialise(services)
    assert services.database.datasets.all() == []

    for path in data_root.glob("*.png"):
        (data_root / "digits" / path.name).write_bytes(path.read_bytes())
    initialise(services)
    assert [record["name"] for record in services.database.datasets.all()] == ["Digits"]


def test_shipped_datasets_are_registered_once_and_stay_deleted(tmp_path, data_root, redis_url):
    (data_root / "digits").mkdir()
    for path in data_root.glob("*.png"):
        (data_root / "digits" / path.name).write_bytes(path.read_bytes())
    (data_root / "digits" / "digits.yml").write_bytes((data_root / "set.yml").read_bytes())
    services = open_services(Settings(storage_dir=tmp_path / "storage", redis_url=redis_url, data_roots=(data_root,)))

    initialise(services)
    (shipped,) = services.database.datasets.all()
    services.database.datasets.update(shipped["id"], name="Mine")
    initialise(services)
    assert [record["name"] for record in services.database.datasets.all()] == ["Mine"]

    services.database.datasets.delete(shipped["id"])
    initialise(services)
    assert services.database.datasets.all() == []
