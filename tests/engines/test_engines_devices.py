"""In which 16-bit type mixed precision multiplies."""

import pytest
import torch
from test_engines_contract import CLASSIFICATION, changed

from app.engines.torch_engine.devices import half_precision

MIXED = changed(CLASSIFICATION, precision="mixed")


@pytest.mark.parametrize(("has_bfloat16", "expected"), [(True, torch.bfloat16), (False, torch.float16)])
def test_a_gpu_that_only_imitates_bfloat16_takes_float16(monkeypatch, has_bfloat16, expected):
    def is_supported(including_emulation=True):  # as torch answers on a GPU of either kind
        return has_bfloat16 or including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_supported)

    assert half_precision(MIXED, torch.device("cuda")) == expected
    assert half_precision(MIXED, torch.device("cpu")) == torch.bfloat16
    assert half_precision(CLASSIFICATION, torch.device("cuda")) is None
