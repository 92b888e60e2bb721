"""Several processes and threads on one table of parts, some of them killed: nothing that was acknowledged is lost."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from writer_process import PART_SIZE

from app.repositories.old_layout import prepare
from app.repositories.placement import Placement
from app.repositories.repository import Repository
from app.repositories.table import Table

CLONE_FOLDER = Path(__file__).parent.parent.parent
WRITER = Path(__file__).with_name("writer_process.py")


@pytest.fixture
def placement(tmp_path) -> Placement:
    placement = Placement(tmp_path, "projects", PART_SIZE)
    prepare(placement)
    return placement


@pytest.fixture
def repository(placement) -> Repository:
    return Repository(Table(placement, [("name",)]), "project")


@pytest.fixture
def start_writer(placement) -> Iterator:
    writers: list[subprocess.Popen] = []

    def start(mode: str, threads: int, count: int = 0) -> subprocess.Popen:
        command = [sys.executable, str(WRITER), str(placement.folder), mode, str(threads), str(count)]
        environment = os.environ | {"PYTHONPATH": str(CLONE_FOLDER)}
        writer = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        writers.append(writer)
        return writer

    yield start
    for writer in writers:
        writer.kill()
        writer.communicate()


def acknowledged(text: str) -> dict[int, str]:
    """Return the name by the id of every record whose `add` returned."""
    lines = [line.split(" ", 1) for line in text.splitlines()]
    names = {int(record_id): name for record_id, name in lines}
    assert len(names) == len(lines), "an id was given twice"
    return names


def test_processes_and_threads_that_add_at_once_lose_nothing(start_writer, repository):
    writers = [start_writer("add", threads=3, count=25) for _ in range(3)]
    seen = 0
    while any(writer.poll() is None for writer in writers):
        present = len(repository.all())  # a reader waits for nobody and never fails
        assert present >= seen
        seen = present
    outputs = [writer.communicate() for writer in writers]
    assert [errors for _, errors in outputs] == [""] * 3
    names = acknowledged("".join(output for output, _ in outputs))
    assert len(names) == 3 * 3 * 25
    assert {record["id"]: record["name"] for record in repository.all()} == names
    assert sorted(names) == list(range(1, len(names) + 1))


def test_no_step_of_a_count_is_lost(start_writer, repository):
    repository.add({"count": 0})
    writers = [start_writer("count", threads=2, count=40) for _ in range(3)]
    assert [writer.communicate()[1] for writer in writers] == [""] * 3
    assert repository.get(1)["count"] == 3 * 2 * 40


def test_killed_writers_leave_a_whole_file_with_all_that_they_acknowledged(
    start_writer, repository, placement, names_beside
):
    survivor = start_writer("add", threads=2)
    victims = [start_writer("add", threads=2) for _ in range(6)]
    outputs = []
    for victim in victims:
        lines = [victim.stdout.readline() for _ in range(5)]  # it is at work
        victim.kill()
        outputs += [*lines, victim.stdout.read()]  # communicate() would drop what readline() read ahead
        for number in placement.present():
            json.loads(placement.path(number).read_bytes())
        repository.all()
    goal = repository.all()[-1]["id"] + 20
    latest = 0
    while latest < goal:
        outputs.append(survivor.stdout.readline())
        latest = int(outputs[-1].split()[0])
    survivor.kill()
    outputs.append(survivor.stdout.read())
    assert survivor.stderr.read() == "", "a killed writer must not make another one fail"
    names = acknowledged("".join(outputs))
    present = {record["id"]: record["name"] for record in repository.all()}
    assert names.items() <= present.items()
    assert len(present) - len(names) <= 2 * (len(victims) + 1), "stored, but killed before they could say so"
    assert repository.add({})["id"] == max(present) + 1
    parts = sorted(placement.path(number).name for number in placement.present())
    assert names_beside(placement.path(1)) == [".changes", *parts]
    assert len(parts) == -(-(max(present) + 1) // PART_SIZE)
