"""Datasets: registered from a path, listed, deleted."""

import io
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest
from api_sandbox import assert_error

from app import create_app
from app.settings import Settings


def test_a_dataset_is_registered_from_a_path(client, data_root):
    body = {"name": "Tiny", "task_id": 1, "path": str(data_root / "tiny.yml")}
    answer = client.post("/backend/datasets/", json=body)
    assert answer.status == "201 Created"
    record = answer.json
    assert (record["name"], record["task_id"], record["source"]) == ("Tiny", 1, body["path"])
    assert record["classes"] == ["dark", "light"] and record["sample_count"] == 8
    assert record["splits"] == {"training": 4, "validation": 2, "test": 2}
    assert client.get(answer.headers["Location"]).json == record
    assert client.get("/backend/datasets").json == client.get("/backend/datasets?task_id=1").json == [record]
    assert client.get("/backend/datasets?task_id=2").json == []


def test_forms_are_read_like_json(client, data_root):
    answer = client.post("/backend/datasets", data={"name": "a", "task_id": "1", "path": str(data_root / "tiny.yml")})
    assert answer.status_code == 201


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../../etc/passwd", "absent.yml", "file:///etc/passwd", "http://", "\n", ".."]
)
def test_places_that_may_not_be_read(client, path):
    assert_error(client.post("/backend/datasets", json={"name": "a", "task_id": 1, "path": path}), 422, "path")
    assert client.get("/backend/datasets").json == []


def test_a_bad_description_is_refused_with_its_lines_and_leaves_nothing(client, data_root, settings):
    (data_root / "bad.yml").write_text("classes: [dark]\nimages:\n  - location: 0.png\n    label: 9\n")
    answer = client.post("/backend/datasets", json={"name": "a", "task_id": 1, "path": str(data_root / "bad.yml")})
    assert_error(answer, 422)
    assert "line 4" in answer.get_data(as_text=True)
    assert client.get("/backend/datasets").json == []
    assert list((settings.storage_dir / "datasets").glob("*/*")) == []


def test_unknown_task_and_unknown_field(client, data_root):
    body = {"name": "a", "task_id": 9, "path": str(data_root / "tiny.yml")}
    assert_error(client.post("/backend/datasets", json=body), 422, "task_id")
    assert_error(client.post("/backend/datasets", json={**body, "task_id": 1, "users": []}), 422, "users")


def test_deleting_keeps_the_files_of_the_owner(client, dataset, data_root):
    before = sorted(path.name for path in data_root.iterdir())
    assert client.delete(f"/backend/datasets/{dataset['id']}").status_code == 204
    assert_error(client.get(f"/backend/datasets/{dataset['id']}"), 404)
    assert sorted(path.name for path in data_root.iterdir()) == before


def test_a_dataset_that_weights_learned_from_is_kept(client, dataset, training):
    answer = client.delete(f"/backend/datasets/{dataset['id']}")
    assert_error(answer, 409)
    assert f"weights {training['weight_id']}" in answer.json["message"]


def packed(data_root, *extra):
    """Return the tiny dataset as a zip."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for path in sorted(data_root.iterdir()):
            archive.write(path, path.name)
        for name in extra:
            archive.writestr(name, bytes(200_000))
    return file.getvalue()


def upload(client, content, name="tiny.zip", **fields):
    form = {"name": "Tiny", "task_id": "1", "file": (io.BytesIO(content), name), **fields}
    return client.post("/backend/datasets", data=form, content_type="multipart/form-data")


def test_an_archive_is_uploaded(client, data_root, settings):
    answer = upload(client, packed(data_root), colour_type="RGB")
    assert answer.status == "201 Created"
    record = answer.json
    assert (record["source"], record["colour_type"], record["sample_count"]) == ("tiny.zip", "RGB", 8)
    assert record["path"].startswith(str(settings.storage_dir)) and record["version_of"] is None
    assert client.get(answer.headers["Location"]).json == record


def test_an_uploaded_yaml_file(client, data_root):
    text = (data_root / "tiny.yml").read_text().replace("location: ", f"location: {data_root}/").encode()
    assert upload(client, text, "..\\x/tiny\x07.yml").json["source"] == "tiny.yml"
    assert_error(upload(client, b"images: 3", "tiny.yml"), 422, "tiny.yml")
    assert_error(upload(client, (data_root / "tiny.yml").read_bytes(), "tiny.yml"), 422, "file")


def test_archives_that_cannot_be_used(client, data_root, settings):
    answer = upload(client, packed(data_root, "../evil.png"))
    assert_error(answer, 422, "file")
    assert "../evil.png" in answer.json["message"]
    assert_error(upload(client, packed(data_root)[:-300]), 422, "file")
    assert client.get("/backend/datasets").json == []
    assert list((settings.storage_dir / "datasets").glob("*/*")) == []


def test_a_form_says_one_place(client, data_root):
    assert_error(upload(client, packed(data_root), path="tiny.yml"), 422, "file")
    form = {"name": "Tiny", "task_id": "1", "path": "tiny.yml", "file": (io.BytesIO(b""), "")}
    assert client.post("/backend/datasets", data=form, content_type="multipart/form-data").status_code == 201
    assert_error(client.post("/backend/datasets", data={"name": "Tiny", "task_id": "1"}), 400, "path")
    body = {"name": "Tiny", "task_id": 1, "path": "tiny.yml"}
    assert_error(client.post("/backend/datasets", json={**body, "file": "tiny.yml"}), 422, "file")
    assert_error(client.post("/backend/datasets", json={**body, "colour_type": "BGR"}), 422, "colour_type")
    assert client.post("/backend/datasets", json={**body, "colour_type": None}).json["colour_type"] == "GRAY"


def test_forms_that_cannot_be_meant(client, data_root):
    content = packed(data_root)
    form = {"name": "Tiny", "task_id": "1", "file": [(io.BytesIO(content), "a.zip"), (io.BytesIO(content), "b.zip")]}
    assert_error(client.post("/backend/datasets", data=form, content_type="multipart/form-data"), 422, "file")
    answer = client.post("/backend/datasets", data=b"--x", content_type="multipart/form-data")
    assert_error(answer, 400)
    assert "boundary" in answer.json["message"]


def test_uploads_have_a_limit_of_their_own(settings, data_root):
    content = packed(data_root, "notes.txt")
    sizes = {"max_body_bytes": 100_000, "max_upload_bytes": len(content) + 2000}
    client = create_app(Settings(**{**vars(settings), **sizes})).test_client()
    assert upload(client, content).status_code == 201
    assert_error(client.post("/backend/projects", json={"name": "x" * 200_000, "task_id": 1}), 413)
    answer = upload(client, content + bytes(4000))
    assert_error(answer, 413)
    assert f"{sizes['max_upload_bytes']} bytes" in answer.json["message"]


def test_an_empty_word_is_no_wish_to_delete_more(client, dataset):
    assert_error(client.delete(f"/backend/datasets/{dataset['id']}?cascade="), 422, "cascade")
    assert client.get(f"/backend/datasets/{dataset['id']}").status_code == 200


def test_a_new_split(client, dataset):
    address = f"/backend/datasets/{dataset['id']}/split"
    answer = client.put(address, json={"training": 0.5, "test": 0.5, "seed": 3})
    assert answer.status_code == 201
    assert answer.json["splits"] == {"training": 4, "test": 4} and answer.json["version_of"] == dataset["id"]
    assert client.get(answer.headers["Location"]).json == answer.json
    assert client.get(f"/backend/datasets/{dataset['id']}").json["splits"] == dataset["splits"]
    assert client.put(address, data={"folds": "4", "seed": "0", "stratify": "true"}).json["splits"]["fold_4"] == 2
    usual = {"training": 6, "validation": 1, "test": 1}
    assert client.put(address, json={}).json["splits"] == client.put(address).json["splits"] == usual


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"training": 2}, "training"),
        ({"training": "half"}, "training"),
        ({"folds": 1}, "folds"),
        ({"folds": 2.5}, "folds"),
        ({"folds": 200}, "folds"),
        ({"seed": -1}, "seed"),
        ({"stratify": "maybe"}, "stratify"),
        ({"group_by": "patient"}, "group_by"),
        ({"colour": 1}, "colour"),
    ],
)
def test_splits_that_cannot_be_drawn(client, dataset, body, field):
    assert_error(client.put(f"/backend/datasets/{dataset['id']}/split", json=body), 422, field)
    assert_error(client.put("/backend/datasets/99/split", json={}), 404)
    assert client.get("/backend/datasets").json == [dataset]


def test_a_new_split_of_an_upload_shows_its_images_and_keeps_their_dataset(client, data_root):
    uploaded = upload(client, packed(data_root)).json
    version = client.put(f"/backend/datasets/{uploaded['id']}/split", json={"seed": 1}).json

    picture = client.get(f"/backend/datasets/{version['id']}/images/0/thumbnail")

    assert (picture.status_code, picture.mimetype) == (200, "image/png")
    assert_error(client.delete(f"/backend/datasets/{uploaded['id']}"), 409)


def test_a_split_and_a_deletion_at_once_do_not_both_succeed(app, data_root):
    def split(address):
        return app.test_client().put(f"{address}/split", json={}).status_code

    def delete(address):
        return app.test_client().delete(address).status_code

    with ThreadPoolExecutor(2) as executor:
        for _ in range(8):
            uploaded = upload(app.test_client(), packed(data_root)).json
            address = f"/backend/datasets/{uploaded['id']}"
            answers = (executor.submit(split, address).result, executor.submit(delete, address).result)
            codes = sorted(answer() for answer in answers)
            assert codes in ([201, 409], [204, 404]), codes
