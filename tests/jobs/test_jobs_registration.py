import io
import resource
import tarfile
import threading
import zipfile
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import nibabel
import numpy as np
import pytest

from app.datasets.places import resolve
from app.errors import Conflict, InvalidInput, JobFailure, TooLarge
from app.jobs.datasets.checking import dataset_report
from app.jobs.datasets.images import fetch_images, fetched_folder
from app.jobs.datasets.opened import open_dataset
from app.jobs.datasets.registration import UploadedFile, channels_of, register_dataset
from app.jobs.datasets.versions import split_dataset
from app.jobs.initialisation import initialise
from app.jobs.queue import JobQueue
from app.jobs.removal.deletion import delete_dataset
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
    "path", ["/etc/passwd", "../outside.yml", "ftp://host/set.yml", "file:///x.yml", "http://169.254.1.1/x.yml", "\0"]
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


@pytest.mark.parametrize("key", ["location", "label"])
def test_images_outside_the_data_roots_are_refused_in_no_split_too(services, data_root, stored, key):
    places = {"location": "0.png", "label": "1.png"} | {key: "/etc/hostname"}
    entry = ", ".join(f"{name}: {place}" for name, place in places.items())
    text = f"images: [{{location: 2.png, label: 3.png}}, {{{entry}}}]\nsplit: {{training: [0]}}\n"
    (data_root / "sly.yml").write_text(text)
    before = stored()

    with pytest.raises(InvalidInput, match=rf"images\[1\]\.{key} lies outside"):
        register_dataset(services, "Sly", 2, str(data_root / "sly.yml"))
    assert stored() == before


def test_volumes_that_are_named_as_a_whole_are_registered_as_their_slices(services, data_root):
    for name in ("scan", "mask"):
        nibabel.save(nibabel.Nifti1Image(np.zeros((4, 4, 3), np.uint8), np.eye(4)), data_root / f"{name}.nii")
    written = "images:\n  - {location: scan.nii, label: mask.nii}\nsplit: {training: [0]}\n"
    (data_root / "scans.yml").write_text(written)

    record = register_dataset(services, "Scans", 2, str(data_root / "scans.yml"))

    assert record["sample_count"] == 3 and record["splits"] == {"training": 3} and record["colour_type"] == "GRAY"
    samples = open_dataset(record).description.samples
    assert [(sample.location[0], sample.mask) for sample in samples] == [
        (f"scan.nii#slice={index}", f"mask.nii#slice={index}") for index in range(3)
    ]
    assert (data_root / "scans.yml").read_text() == written


def test_volumes_that_do_not_fit_are_refused(services, data_root, stored):
    for name, depth in {"scan": 3, "mask": 2}.items():
        nibabel.save(nibabel.Nifti1Image(np.zeros((4, 4, depth), np.uint8), np.eye(4)), data_root / f"{name}.nii")
    (data_root / "scans.yml").write_text("images:\n  - {location: scan.nii, label: mask.nii}\n")
    before = stored()

    with pytest.raises(InvalidInput, match=r"scans\.yml: line 2: images\[0\] cannot be used: 'scan\.nii' has 3 slices"):
        register_dataset(services, "Scans", 2, str(data_root / "scans.yml"))
    assert stored() == before


def test_a_description_for_the_other_task_is_refused(services, data_root, stored):
    before = stored()

    with pytest.raises(InvalidInput, match="mask"):
        register_dataset(services, "Set", 2, str(data_root / "set.yml"))
    with pytest.raises(InvalidInput, match="class"):
        register_dataset(services, "Masks", 1, str(data_root / "masks.yml"))
    assert stored() == before


def test_a_description_over_the_limit_is_refused(settings, data_root):
    services = open_services(replace(settings, max_description_bytes=100))
    initialise(services)

    with pytest.raises(TooLarge, match=r"100 bytes.*MAX_DESCRIPTION_BYTES"):
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


def test_registering_starts_the_check_and_needs_no_queue(services, settings, data_root):
    record = register_dataset(services, "Set", 1, str(data_root / "set.yml"))
    assert services.queue.position("check", record["check_process_id"]) == 1

    alone = open_services(replace(settings, redis_url="redis://127.0.0.1:1/0"))
    record = register_dataset(alone, "Set", 1, str(data_root / "set.yml"))
    assert alone.database.datasets.get(record["id"]) == record and record.get("check_process_id") is None


class FillingQueue(JobQueue):
    """A real queue that takes all room from this process as soon as somebody uses it."""

    def check(self):
        super().check()
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def test_a_disk_that_is_full_when_the_check_starts_costs_no_dataset(services, settings, data_root):
    full = replace(services, queue=FillingQueue(settings.queue_url))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        record = register_dataset(full, "Set", 1, "set.yml")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert services.database.datasets.get(record["id"]) == record
    assert record.get("check_process_id") is None and dataset_report(services, record["id"])["state"] == "queued"


def test_a_chosen_colour_type_wins_over_that_of_the_first_image(services, data_root):
    record = register_dataset(services, "Set", 1, str(data_root / "set.yml"), "RGB")
    assert record["colour_type"] == "RGB" and channels_of(record) == 3


def test_a_first_image_that_cannot_be_read_leaves_the_colour_type_to_the_next(services, data_root):
    (data_root / "0.png").write_bytes(b"text")
    assert register_dataset(services, "Set", 1, str(data_root / "set.yml"))["colour_type"] == "GRAY"


def test_a_folder_with_a_description(services, data_root):
    (data_root / "masks.yml").unlink()
    record = register_dataset(services, "Set", 1, str(data_root))
    assert (record["source"], record["folder"]) == (str(data_root), str(data_root))
    assert record["splits"] == {"training": 4, "test": 2}


def test_a_folder_with_two_descriptions(services, data_root, stored):
    before = stored()
    with pytest.raises(InvalidInput, match=r"2 YAML files, masks\.yml, set\.yml") as refused:
        register_dataset(services, "Set", 1, str(data_root))
    assert list(refused.value.errors) == ["path"] and stored() == before


def test_a_folder_without_a_description_is_described_and_left_as_it_is(services, data_root):
    for index in range(6):
        target = data_root / "set" / ("dark" if index < 3 else "light") / f"{index}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((data_root / f"{index}.png").read_bytes())
    before = sorted((data_root / "set").rglob("*"))

    record = register_dataset(services, "Set", 1, "set")

    assert sorted((data_root / "set").rglob("*")) == before
    assert record["classes"] == ["dark", "light"] and record["sample_count"] == 6
    assert open_dataset(record).description.split("training")
    assert resolve("dark/0.png", open_dataset(record).folder).is_file()


def archive(data_root, kind="zip", extra=(), prefix="moles/"):
    """Pack the data folder's set and images."""
    file = io.BytesIO()
    members = [(path.name, path.read_bytes()) for path in sorted(data_root.glob("*.png"))]
    members += [("set.yml", (data_root / "set.yml").read_bytes()), *extra]
    if kind == "zip":
        with zipfile.ZipFile(file, "w") as packed:
            for name, content in members:
                packed.writestr(prefix + name, content)
    else:
        with tarfile.open(fileobj=file, mode="w:gz") as packed:
            for name, content in members:
                header = tarfile.TarInfo(prefix + name)
                header.size = len(content)
                packed.addfile(header, io.BytesIO(content))
    return UploadedFile(f"moles.{kind}", file)


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
@pytest.mark.parametrize("prefix", ["", "moles/"])
def test_an_archive_with_images_lies_in_the_dataset_s_own_folder(services, data_root, kind, prefix):
    record = register_dataset(services, "Moles", 1, archive(data_root, kind, prefix=prefix))

    own = services.storage.dataset(record["id"])
    opened = open_dataset(record)
    assert record["source"] == f"moles.{kind}" and record["folder"] == str(own / "files" / prefix.rstrip("/"))
    assert resolve("0.png", opened.folder).read_bytes() == (data_root / "0.png").read_bytes()
    assert [path.name for path in own.parent.glob("[!.]*")] == [own.name]
    assert own.stat().st_mode & 0o777 == 0o755

    delete_dataset(services, record["id"])
    assert not own.exists()


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [
        ([("other.yaml", b"images: []")], "2 YAML files"),
        ([("../evil.png", b"")], r"leads out"),
        ([("set.yml/evil", b"")], "which is a file"),
    ],
)
def test_an_archive_that_cannot_be_used_leaves_nothing(services, data_root, stored, extra, sentence):
    before = stored()
    with pytest.raises(InvalidInput, match=sentence) as refused:
        register_dataset(services, "Moles", 1, archive(data_root, extra=extra, prefix=""))
    assert list(refused.value.errors) == ["file"] and stored() == before


@pytest.mark.parametrize("place", ["/etc/hostname", "../../db/datasets.json", "../../1/files/0.png"])
def test_an_archive_cannot_name_files_that_it_did_not_bring(services, data_root, stored, place):
    register_dataset(services, "First", 1, archive(data_root, prefix=""))
    before = stored()
    text = f"classes: [a, b]\nimages: [{{location: {place}, label: a}}]\n".encode()
    (data_root / "set.yml").write_bytes(text)
    with pytest.raises(InvalidInput, match="outside"):
        register_dataset(services, "Sly", 1, archive(data_root, prefix=""))
    assert stored() == before


def test_limits_of_archives(settings, data_root):
    services = open_services(replace(settings, max_archive_files=3))
    initialise(services)
    with pytest.raises(TooLarge, match=r"3 members.*MAX_ARCHIVE_FILES"):
        register_dataset(services, "Moles", 1, archive(data_root))
    services = open_services(replace(settings, max_archive_bytes=300))
    with pytest.raises(TooLarge, match=r"300 bytes.*MAX_ARCHIVE_BYTES"):
        register_dataset(services, "Moles", 1, archive(data_root))


def test_an_uploaded_description_alone(services, data_root, stored):
    before = stored()
    with pytest.raises(InvalidInput, match=r"'0\.png', but came alone"):
        register_dataset(services, "Set", 1, UploadedFile("set.yml", (data_root / "set.yml").open("rb")))
    assert stored() == before

    text = (data_root / "set.yml").read_text().replace("location: ", f"location: {data_root}/")
    record = register_dataset(services, "Set", 1, UploadedFile("set.yml", io.BytesIO(text.encode())))
    assert (record["source"], record["sample_count"]) == ("set.yml", 6)


def test_images_behind_urls_are_fetched_once_and_missing_ones_are_named(services, web, data_root):
    record = register_dataset(services, "Web", 1, f"{web}/set.yml")
    (data_root / "3.png").unlink()
    (data_root / "4.png").write_bytes(b"")
    lines = []

    def show(line, fraction):
        lines.append((line, fraction))

    description = open_dataset(record).description
    faults = fetch_images(record, description, services.settings, show, lambda: False)

    assert list(faults) == [f"{web}/3.png"] and "404" in faults[f"{web}/3.png"]
    assert len(lines) == 6 and lines[-1] == ("Fetched 6/6 images", 1.0)
    assert len(list(fetched_folder(record).iterdir())) == 5
    for path in data_root.glob("*.png"):
        path.unlink()
    again = fetch_images(record, description, services.settings, show, lambda: False)
    assert list(again) == [f"{web}/3.png"]
    copies = LocalCopies(data_root / "run", services.settings, fetched_folder(record))
    assert copies.path(f"{web}/0.png").parent == fetched_folder(record)

    version = split_dataset(services, record["id"], {"seed": 1})
    delete_dataset(services, record["id"])
    assert len(list(fetched_folder(version).iterdir())) == 5
    assert list(fetch_images(version, description, services.settings, show, lambda: False)) == [f"{web}/3.png"]


def test_fetching_stops_when_asked_and_at_the_limit(services, web):
    record = register_dataset(services, "Web", 1, f"{web}/set.yml")
    description = open_dataset(record).description
    lines = []
    fetch_images(record, description, services.settings, lambda *line: lines.append(line), lambda: True)
    assert len(lines) == 1
    with pytest.raises(JobFailure, match="more than 100 bytes"):
        settings = replace(services.settings, max_archive_bytes=100)
        fetch_images(record, description, settings, lambda *_: None, lambda: False)


def test_a_new_split_keeps_the_files_it_shares(services, data_root):
    first = register_dataset(services, "Moles", 1, archive(data_root, prefix=""))
    version = split_dataset(services, first["id"], {"seed": 1})
    assert resolve("0.png", open_dataset(version).folder).is_file()
    with pytest.raises(Conflict, match=f"holds the images of datasets {version['id']}"):
        delete_dataset(services, first["id"])
    delete_dataset(services, version["id"])
    delete_dataset(services, first["id"])
