import pytest
import torch

from app.engines.torch_engine.network import memory_errors


def test_used_up_memory_is_told_as_such():
    with pytest.raises(MemoryError), memory_errors():
        torch.empty(2**50)


def test_other_faults_of_torch_stay_what_they_are():
    with pytest.raises(RuntimeError, match="shape"), memory_errors():
        torch.zeros(2, 3) @ torch.zeros(2, 3)
