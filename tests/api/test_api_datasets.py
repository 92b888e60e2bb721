"""Datasets: registered from a path, listed, deleted."""

import pytest
from api_sandbox import assert_error


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
    "path", ["/etc/passwd", "../../etc/passwd", "absent.yml", "file:///etc/passwd", "http://", "\n", "."]
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
    assert list((settings.storage_dir / "datasets").iterdir()) == []


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
