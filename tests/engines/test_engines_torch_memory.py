import resource
from contextlib import contextmanager

import pytest
import torch

from app.engines.torch_engine.network import _save, memory_errors
from app.errors import StorageUnavailable


@contextmanager
def largest_file(size):
    """Let files grow to so many bytes only, as a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_file_that_finds_no_room_is_told_as_such_and_leaves_the_old_one(tmp_path):
    path = tmp_path / "last.pt"
    path.write_bytes(b"old")

    with largest_file(10_000), pytest.raises(StorageUnavailable, match="cannot be written"):
        _save({"weights": torch.zeros(100_000)}, path)

    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_used_up_memory_is_told_as_such():
    with pytest.raises(MemoryError), memory_errors():
        torch.empty(2**50)


def test_other_faults_of_torch_stay_what_they_are():
    with pytest.raises(RuntimeError, match="shape"), memory_errors():
        torch.zeros(2, 3) @ torch.zeros(2, 3)
