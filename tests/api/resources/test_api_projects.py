"""Projects, as D3.5 prints them and as the toolkit's GUI uses them."""

import pytest
from api_sandbox import INFERENCE, WEIGHTS, assert_error

ABSENT = {"modelweights_id": None, "inference_id": None}


def test_a_new_project_is_answered_with_its_address(client):
    answer = client.post("/backend/projects/", json={"name": "newProject", "modelweights_id": None, "task_id": 1})
    assert answer.status == "201 Created"
    assert answer.json == {"id": 1, "name": "newProject", "task_id": 1, **ABSENT}
    assert client.get(answer.headers["Location"]).json == answer.json
    assert client.get("/backend/projects").json == [answer.json]


def test_forms_are_read_like_json(client):
    answer = client.post("/backend/projects", data={"name": "form", "task_id": "2", "modelweights_id": ""})
    assert answer.json == {"id": 1, "name": "form", "task_id": 2, **ABSENT}
    answer = client.put("/backend/projects", data={"id": "1", "name": "form 2", "inference_id": "null"})
    assert answer.json == [{"id": 1, "name": "form 2", "task_id": 2, **ABSENT}]


@pytest.mark.parametrize("field", ["task_id", "modelweights_id", "inference_id"])
def test_an_unknown_reference_is_a_fault_of_its_field(client, project, field):
    assert_error(client.post("/backend/projects", json={"name": "a", "task_id": 1, field: 99}), 422, field)
    assert_error(client.put("/backend/projects", json={**project, field: 99}), 422, field)
    assert_error(client.put("/backend/projects/1", json={field: 99}), 422, field)
    assert client.get("/backend/projects").json == [project]


def test_put_with_the_id_in_the_body_answers_the_whole_list(client, project):
    other = client.post("/backend/projects", json={"name": "other", "task_id": 2}).json
    answer = client.put("/backend/projects", json={**project, "name": "renamed"})
    assert answer.status_code == 200
    assert answer.json == [{**project, "name": "renamed"}, other]


def test_put_on_the_path_answers_the_one(client, project):
    assert client.put("/backend/projects/1", json={**project, "name": "renamed"}).json == {**project, "name": "renamed"}


def test_null_and_absence_keep_what_the_service_knows(client, toolkit, project):
    toolkit.database.weights.add(WEIGHTS)
    toolkit.database.inferences.add(INFERENCE)
    known = client.put("/backend/projects/1", json={"modelweights_id": 1, "inference_id": 1}).json
    assert (known["modelweights_id"], known["inference_id"]) == (1, 1)
    kept = client.put("/backend/projects", json={"id": 1, "name": "renamed", "task_id": 1, **ABSENT}).json
    assert kept == [{**known, "name": "renamed"}]


def test_put_needs_an_id_that_exists(client):
    assert_error(client.put("/backend/projects", json={"name": "a"}), 400, "id")
    assert_error(client.put("/backend/projects", json={"id": 5, "name": "a"}), 404)
    assert_error(client.put("/backend/projects/5", json={"name": "a"}), 404)
    assert_error(client.put("/backend/projects/5"), 400)


def test_a_deleted_project_is_gone_and_its_id_is_not_used_again(client, project):
    answer = client.delete(f"/backend/projects/{project['id']}/")
    assert answer.status == "204 No Content" and not answer.data
    assert_error(client.get(f"/backend/projects/{project['id']}"), 404)
    assert_error(client.delete(f"/backend/projects/{project['id']}"), 404)
    assert client.post("/backend/projects", json={"name": "next", "task_id": 1}).json["id"] == project["id"] + 1


def test_a_project_with_a_waiting_training_is_kept(client, project, training):
    assert_error(client.delete(f"/backend/projects/{project['id']}"), 409)
    assert client.get(f"/backend/projects/{project['id']}").status_code == 200
