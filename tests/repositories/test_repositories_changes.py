import pytest

from app.errors import StorageUnavailable
from app.repositories import changes as changes_module
from app.repositories.changes import Changes


@pytest.fixture
def writer(tmp_path):
    return Changes(tmp_path / ".changes")


@pytest.fixture
def reader(tmp_path):
    return Changes(tmp_path / ".changes")


def test_a_reader_learns_of_every_part_since_its_last_time_and_of_the_last_one_again(writer, reader):
    writer.note(1)
    assert reader.since_last_time() is None
    writer.note(7)
    writer.note(10**9)
    assert reader.since_last_time() == {1, 7, 10**9}
    assert reader.since_last_time() == {10**9}
    writer.note(2)
    assert reader.since_last_time() == {10**9, 2}


def test_where_nothing_was_noted_all_is_to_be_looked_at(reader):
    assert reader.since_last_time() is None


def test_a_file_that_grew_too_large_begins_anew(writer, reader, monkeypatch):
    monkeypatch.setattr(changes_module, "LARGEST_BYTES", 24)
    for number in range(1, 4):
        writer.note(number)
    reader.since_last_time()
    writer.note(4)
    assert reader.since_last_time() is None
    writer.note(5)
    assert reader.since_last_time() == {4, 5}


def test_half_an_entry_is_nothing_and_is_cut_off(writer, reader, tmp_path):
    writer.note(1)
    with (tmp_path / ".changes").open("ab") as file:
        file.write(b"\0\0\0")
    assert reader.since_last_time() is None
    assert reader.since_last_time() == {1}
    writer.note(2)
    assert reader.since_last_time() == {1, 2}


def test_a_note_that_cannot_be_written_is_an_error(writer, tmp_path):
    (tmp_path / ".changes").mkdir()
    with pytest.raises(StorageUnavailable, match=r"\.changes cannot be written \(Is a directory\)"):
        writer.note(1)
