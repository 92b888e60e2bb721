"""Properties of trainings, as a client sees their effects."""

import json

import pytest
from conftest import training


def log_of(service, answer):
    return (service.storage / "weights" / str(answer["weight_id"]) / "log.txt").read_text()


def rows_of(service, answer):
    lines = (service.storage / "weights" / str(answer["weight_id"]) / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture
def three(client, data_root, sides_yaml):
    """The images of Sides with three classes."""
    text = sides_yaml.read_text().replace("[left, right]", "[left, right, none]")
    path = sides_yaml.with_name("three.yml")
    path.write_text(text)
    return client.post("/datasets", {"name": "Three", "task_id": 1, "path": str(path)})


def test_all_properties_together(client, service, sides, project):
    body = training(
        sides, project, Epochs=4, Batch_size=4, Optimizer="SGD", LR_schedule="cosine", Warm_up_epochs=1,
        Precision="mixed", Class_weights="balanced", Gradient_accumulation=2, Devices="CPU", Loader_workers=2,
        Keep_best_by="loss", Halve_batch_size="yes", Metric="AUC",
    )  # fmt: skip
    answer = client.post("/train", body)

    status = client.wait(answer["process_id"])

    assert status["process_status"] == "finished" and "best cross_entropy=" in status["process_data"]
    rates = [row["learning_rate"] for row in rows_of(service, answer) if row["split"] == "training"]
    assert rates[0] == 1e-3 > rates[1] > rates[2] > rates[3] > 0
    assert all(0.5 <= row["auc"] <= 1 for row in rows_of(service, answer)[-2:])
    settings = {
        row["property_id"]: row["value"]
        for row in client.get(f"/trainingSettings?modelweights_id={answer['weight_id']}")
    }
    assert (settings[14], settings[15], settings[18], settings[24]) == ("cosine", "1", "balanced", "yes")


def test_early_stopping_ends_a_training_and_says_so(client, service, sides, project):
    answer = client.post("/train", training(sides, project, Epochs=1000, Early_stopping_patience=2, Learning_rate=1e-9))

    status = client.wait(answer["process_id"])

    assert (status["process_state"], status["progress"]) == ("finished", 1)
    assert "/1000 epochs - early, for 2 epochs brought nothing better - best " in status["process_data"]
    code, refusal = client.send("POST", "/train", {"resume": answer["process_id"]})
    assert code == 409 and "ended early" in refusal["message"]


def test_two_processes_train_what_one_trains(client, service, sides, project):
    one, two = (
        client.post("/train", training(sides, project, Epochs=3, Batch_size=4, Devices=devices))
        for devices in ("CPU", "2CPUs")
    )

    for answer in (one, two):
        assert client.wait(answer["process_id"])["process_status"] == "finished"

    for its, ours in zip(rows_of(service, one), rows_of(service, two), strict=True):
        assert (ours["split"], ours["samples"]) == (its["split"], its["samples"])
        assert (ours["loss"], ours["categorical_accuracy"]) == (
            pytest.approx(its["loss"], rel=1e-3),
            pytest.approx(its["categorical_accuracy"], abs=0.07),  # one of 15 images
        )
    assert "2 processes share each batch" in log_of(service, two)


def test_gpus_that_are_not_there_end_the_training_with_a_sentence(client, sides, project):
    answer = client.post("/train", training(sides, project, Epochs=1, Devices="4GPUs"))

    assert "Devices: 4 GPUs asked for" in client.wait(answer["process_id"])["error"]


def test_fine_tuning_for_other_classes_replaces_the_last_layer_alone(client, service, sides, three, project, trained):
    body = training(three, project, weights_id=trained["weight_id"], Epochs=2, Freeze_epochs=1)
    answer = client.post("/train", body)
    assert client.wait(answer["process_id"])["process_status"] == "finished"

    weights = client.get(f"/weights/{answer['weight_id']}")
    assert (weights["pretrained_on"], weights["replaced_layers"]) == (trained["weight_id"], ["9"])
    log = log_of(service, answer)
    assert f"Started from weights {trained['weight_id']}; drawn anew: 9, for the classes are 3 and were 2" in log
    assert "The encoder stays as it is for the first 1 epochs" in log

    again = client.post("/train", training(sides, project, weights_id=trained["weight_id"], Epochs=1))
    client.wait(again["process_id"])
    assert client.get(f"/weights/{again['weight_id']}")["replaced_layers"] == []
    assert client.get(f"/weights/{trained['weight_id']}")["replaced_layers"] is None


def test_a_batch_larger_than_the_dataset_is_told(client, service, sides, project):
    answer = client.post("/train", training(sides, project, Epochs=1, Batch_size=500))

    assert client.wait(answer["process_id"])["process_status"] == "finished"
    assert "Note: Batch size 500 is more than the 15 images of the training split" in log_of(service, answer)
