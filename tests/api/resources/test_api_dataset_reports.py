"""The report on a dataset, over the API."""

from api_sandbox import assert_error

from app.files import write_json

REPORT = {
    "sample_count": 8,
    "problem_counts": {"error": 1, "warning": 1, "kinds": {"missing": 1, "blank": 1}},
    "problems": [
        {
            "severity": "error",
            "kind": "missing",
            "file": "3.png",
            "split": "test",
            "message": "'3.png' does not exist.",
        },
        {"severity": "warning", "kind": "blank", "file": "0.png", "split": "test", "message": "'0.png' is blank."},
    ],
}


def give_report(toolkit, dataset, report=REPORT):
    """Leave behind what a check that has finished leaves."""
    process_id = toolkit.database.datasets.get(dataset["id"])["check_process_id"]
    write_json(toolkit.storage.report(dataset["id"]), report)
    write_json(toolkit.storage.run(process_id).state, {"state": "finished"})


def test_a_new_dataset_is_being_checked(client, dataset):
    answer = client.get(f"/backend/datasets/{dataset['id']}/report")

    assert answer.status_code == 200
    assert (answer.json["state"], answer.json["progress"]) == ("queued", 0)
    status = client.get(f"/backend/status?process_id={answer.json['process_id']}").json["status"]
    assert (status["process_type"], status["process_status"]) == ("check", "running")


def test_a_finished_report_is_told_whole(client, toolkit, dataset):
    give_report(toolkit, dataset)

    answer = client.get(f"/backend/datasets/{dataset['id']}/report/").json

    assert (answer["state"], answer["progress"], answer["sample_count"]) == ("finished", 1, 8)
    assert answer["problems"] == REPORT["problems"] and answer["problem_counts"] == REPORT["problem_counts"]


def test_a_training_on_a_faulty_dataset_names_the_report(client, toolkit, dataset, project):
    give_report(toolkit, dataset)
    body = {"project_id": project["id"], "model_id": 1, "dataset_id": dataset["id"], "properties": []}

    answer = client.post("/backend/train", json=body)

    assert_error(answer, 422, "dataset_id")
    assert f"/backend/datasets/{dataset['id']}/report" in answer.json["message"]
    assert "'3.png' does not exist." in answer.json["message"] and "blank" not in answer.json["message"]


def test_a_check_is_started_again_but_not_twice_at_a_time(client, toolkit, dataset):
    address = f"/backend/datasets/{dataset['id']}/report"
    assert_error(client.post(address, json={}), 409)
    give_report(toolkit, dataset)

    answer = client.post(address)

    assert answer.status_code == 201 and answer.json["result"] == "ok"
    assert client.get(address).json["process_id"] == answer.json["process_id"]
    assert client.get(address).json["state"] == "queued"


def test_a_check_by_a_feature_that_is_not_there(client, toolkit, dataset):
    give_report(toolkit, dataset)

    answer = client.post(f"/backend/datasets/{dataset['id']}/report", json={"group_by": "scanner"})

    assert_error(answer, 422, "group_by")


def test_unknown_datasets(client):
    assert_error(client.get("/backend/datasets/9/report"), 404)
    assert_error(client.post("/backend/datasets/9/report", json={}), 404)


def test_a_check_is_stopped_like_any_process(client, dataset):
    address = f"/backend/datasets/{dataset['id']}/report"
    process_id = client.get(address).json["process_id"]

    assert client.post("/backend/stopProcess", json={"process_id": process_id}).json == {"result": "Check stopped"}
    assert client.get(address).json["state"] == "stopped"
