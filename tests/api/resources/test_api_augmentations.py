"""The augmentation language over the API: its catalogue, and what a text says."""

import pytest
from api_sandbox import assert_error

from app.augment.parser import LONGEST_TEXT, parse
from app.augment.signatures import OPERATIONS


def check(client, text):
    return client.post("/backend/augmentations/check", json={"text": text})


def test_the_catalogue_holds_what_a_form_needs(client):
    rows = client.get("/backend/augmentations/").json

    assert [row["name"] for row in rows] == list(OPERATIONS)
    assert [row["name"] for row in rows if row["is_container"]] == [
        "SequentialAugmentationContainer",
        "OneOfAugmentationContainer",
    ]
    [rotate] = [row for row in rows if row["name"] == "AugRotate"]
    assert rotate["moves_pixels"] and rotate["summary"]
    parameters = {row["name"]: row for row in rotate["parameters"]}
    assert parameters["angle"] == {
        "name": "angle",
        "summary": "degrees, clockwise",
        "kinds": ["range"],
        "required": True,
        "default": None,
        "minimum": None,
        "maximum": None,
        "lengths": [],
        "choices": [],
    }
    assert parameters["center"]["kinds"] == ["vector"] and parameters["center"]["lengths"] == [2]
    assert parameters["scale"]["default"] == 1.0
    assert parameters["interp"]["default"] in parameters["interp"]["choices"]


def test_every_entry_has_the_same_keys_and_an_example_that_is_sound(client):
    rows = client.get("/backend/augmentations").json

    assert len({tuple(row) for row in rows}) == 1
    assert len({tuple(parameter) for row in rows for parameter in row["parameters"]}) == 1
    for row in rows:
        answer = check(client, row["example"])
        assert answer.status_code == 200, answer.json
        assert answer.json["operations"][0]["name"] == row["name"]
        assert answer.json["text"] == row["example"] + "\n"


def test_the_catalogue_comes_in_pages(client):
    page = client.get("/backend/augmentations?page=2&page_size=2")

    assert [row["name"] for row in page.json] == ["AugRotate", "AugResizeDim"]
    assert '"total": 27' in page.headers["X-Pagination"]


def test_a_sound_text_is_told_with_what_it_leaves_open(client):
    text = 'OneOfAugmentationContainer\r\n\tAugFlip\n AugRotate interp="cubic" angle=[-5,5.5] # turn\nend'

    answer = check(client, text)

    assert answer.status_code == 200
    assert answer.json == {
        "text": 'OneOfAugmentationContainer\n    AugFlip\n    AugRotate interp="cubic" angle=[-5,5.5]\nend\n',
        "moves_pixels": ["AugFlip", "AugRotate"],
        "operations": [
            {
                "name": "OneOfAugmentationContainer",
                "parameters": {"p": 1.0},
                "given": [],
                "operations": [
                    {"name": "AugFlip", "parameters": {"p": 0.5}, "given": [], "operations": []},
                    {
                        "name": "AugRotate",
                        "parameters": {
                            "angle": [-5.0, 5.5],
                            "center": None,
                            "scale": 1.0,
                            "interp": "cubic",
                            "gt_interp": "nearest",
                        },
                        "given": ["interp", "angle"],
                        "operations": [],
                    },
                ],
            }
        ],
    }
    assert parse(answer.json["text"]) == parse(text)


@pytest.mark.parametrize("text", ["", " \n", "# nothing"])
def test_an_empty_text_is_an_empty_sequence(client, text):
    assert check(client, text).json == {
        "text": "SequentialAugmentationContainer\nend\n",
        "moves_pixels": [],
        "operations": [{"name": "SequentialAugmentationContainer", "parameters": {}, "given": [], "operations": []}],
    }


FAULTY = "SequentialAugmentationContainer\n\tAugFlip p=2\n\tAugRotat\nend\n"
PROBLEMS = [
    {
        "message": "AugFlip: p must be from 0 to 1, not 2.",
        "line": 2,
        "column": 12,
        "key": None,
        "excerpt": f" AugFlip p=2\n{' ' * 11}^",
    },
    {
        "message": "There is no operation AugRotat; did you mean AugRotate?",
        "line": 3,
        "column": 2,
        "key": None,
        "excerpt": " AugRotat\n ^",
    },
]
SENTENCES = [f"line {problem['line']}, column {problem['column']}: {problem['message']}" for problem in PROBLEMS]


def test_every_problem_of_a_text_has_its_place(client):
    answer = check(client, FAULTY)

    assert_error(answer, 422, "text")
    assert answer.json["message"] == f"text: {SENTENCES[0]} (and 1 more problem)"
    assert answer.json["errors"] == {"text": SENTENCES}
    assert answer.json["problems"] == {"text": PROBLEMS}


def test_a_training_answers_a_faulty_text_in_the_same_way(client, project, dataset):
    properties = [{"name": "Training augmentations", "value": FAULTY}, {"name": "Epochs", "value": 0}]
    body = {"project_id": project["id"], "model_id": 1, "dataset_id": dataset["id"], "properties": properties}

    answer = client.post("/backend/train", json=body)

    assert_error(answer, 422, "Training augmentations", "Epochs")
    assert answer.json["errors"]["Training augmentations"] == SENTENCES
    assert answer.json["problems"] == {"Training augmentations": PROBLEMS}


@pytest.mark.parametrize("text", ["AugFlip " * 125_000, "SequentialAugmentationContainer\n" * 3000, "x\0y\ud7ff"])
def test_a_hostile_text_is_refused(client, text):
    answer = check(client, text)

    assert_error(answer, 422, "text")
    assert len(answer.get_data()) < LONGEST_TEXT


def test_a_text_may_come_as_a_form_and_has_to_be_there(client):
    assert client.post("/backend/augmentations/check", data={"text": "AugFlip"}).json["text"] == "AugFlip\n"
    assert_error(client.post("/backend/augmentations/check", json={}), 400, "text")
    assert_error(client.post("/backend/augmentations/check", json={"text": 3}), 422, "text")
