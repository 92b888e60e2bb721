"""The catalogue: complete, consistent, and in step with the operations that exist."""

import pytest

from app.augment.ops.registry import IMPLEMENTATIONS
from app.augment.parser import parse
from app.augment.pipeline import Pipeline
from app.augment.signatures import CONTAINERS, OPERATIONS, moves_pixels


def test_has_ecvls_names_and_each_operation_is_implemented():
    assert len(OPERATIONS) == 27
    assert set(IMPLEMENTATIONS) == set(OPERATIONS) - CONTAINERS
    assert Pipeline(None).draw(None) == []


@pytest.mark.parametrize("signature", OPERATIONS.values(), ids=OPERATIONS)
def test_each_entry_is_whole(signature):
    assert signature.summary
    for parameter in signature.parameters:
        assert parameter.summary
        assert parameter.kind in ("range", "vector", "number", "string")
        assert bool(parameter.choices) == (parameter.kind == "string")
        assert not parameter.choices or parameter.default in parameter.choices
        assert not (parameter.required and parameter.default is not None)


def test_draws_name_parameters_or_what_only_the_function_knows():
    for name, operation in IMPLEMENTATIONS.items():
        assert set(operation.draws) <= {p.name for p in OPERATIONS[name].parameters} | {"seed", "place"}


def test_settings_fill_in_the_defaults():
    settings = parse('AugRotate angle=[1,2] gt_interp="area"').settings()
    assert settings == {"angle": (1, 2), "center": None, "scale": 1, "interp": "linear", "gt_interp": "area"}


def test_names_the_operations_that_move_pixels_in_their_order():
    text = """SequentialAugmentationContainer
                  AugResizeDim dims=(28,28)
                  AugMirror
                  OneOfAugmentationContainer
                      AugBrightness beta=[0,1]
                      AugRotate angle=[0,1]
                  end
                  AugToFloat32 divisor=255
              end"""
    assert moves_pixels(parse(text)) == ("AugMirror", "AugRotate")
    assert moves_pixels(parse("")) == ()
