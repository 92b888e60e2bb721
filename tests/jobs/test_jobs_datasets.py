"""How descriptions are opened for requests, which ask for the same one again and again."""

import os

import pytest

from app.errors import StorageDamaged
from app.jobs.datasets.opened import opened_lately


@pytest.fixture
def record(data_root):
    return {"id": 1, "path": str(data_root / "set.yml"), "folder": str(data_root)}


def test_a_description_is_parsed_once_while_its_text_is_the_same(record, data_root):
    first = opened_lately(record)
    (data_root / "set.yml").touch()

    assert opened_lately(record) is first


def test_an_edit_counts_at_once_even_where_size_and_time_are_the_same(record, data_root):
    path = data_root / "set.yml"
    before, status = opened_lately(record).description, path.stat()
    path.write_text(path.read_text().replace("test: [5, 4]", "test: [4, 5]"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    assert before.split("test") == (5, 4)
    assert opened_lately(record).description.split("test") == (4, 5)


def test_the_same_text_over_another_folder_is_another_dataset(record, tmp_path):
    elsewhere = opened_lately(record | {"folder": str(tmp_path)})

    assert elsewhere.folder == tmp_path != opened_lately(record).folder


def test_what_is_gone_or_cannot_be_read_any_more_is_told(record, data_root):
    opened_lately(record)
    (data_root / "set.yml").write_text("images: 1\n")
    with pytest.raises(StorageDamaged):
        opened_lately(record)
    (data_root / "set.yml").unlink()
    with pytest.raises(StorageDamaged, match="is gone"):
        opened_lately(record)
