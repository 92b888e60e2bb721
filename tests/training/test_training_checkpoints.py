import json
import math

import pytest
from test_training_loading import config_for

from app.engines import get_engine
from app.errors import StorageUnavailable
from app.runs.layout import StorageLayout
from app.training.checkpoints import read_card, save_epoch
from app.training.position import Position


def save(folder, config, network, *, epoch=1, value=0.5, is_best=True, is_complete=True):
    position = Position(epoch=epoch + is_complete, best_epoch=epoch, best_value=value)
    save_epoch(folder, network, config, position, is_best=is_best, is_complete=is_complete)


def test_weights_can_be_used_once_the_card_is_there(tmp_path):
    folder = StorageLayout(tmp_path).weights(3)
    folder.path.mkdir(parents=True)
    config = config_for()

    assert not folder.has_weights()
    save(folder, config, get_engine("torch").build(config))

    assert folder.has_weights()
    assert read_card(folder) == config


@pytest.mark.parametrize(
    "content", [[], {}, {"config": None}, {"config": {}}, {"config": config_for().to_dict() | {"channels": "3"}}]
)
def test_a_card_that_holds_something_else_is_named(tmp_path, content):
    folder = StorageLayout(tmp_path).weights(3)
    folder.path.mkdir(parents=True)
    folder.card.write_text(json.dumps(content))

    with pytest.raises(StorageUnavailable, match="weights"):
        read_card(folder)


def test_a_worse_epoch_leaves_the_best_weights_alone(tmp_path):
    folder = StorageLayout(tmp_path).weights(3)
    folder.path.mkdir(parents=True)
    first, second = (get_engine("torch").build(config_for(seed=seed)) for seed in (1, 2))

    save(folder, config_for(), first)
    best, last = folder.best.read_bytes(), folder.last.read_bytes()
    save(folder, config_for(), second, epoch=2, is_best=False)

    assert folder.best.read_bytes() == best
    assert folder.last.read_bytes() != last
    assert json.loads(folder.card.read_text())["epoch"] == 1


def test_a_value_that_is_not_known_is_null_in_the_card(tmp_path):
    folder = StorageLayout(tmp_path).weights(3)
    folder.path.mkdir(parents=True)

    save(folder, config_for(), get_engine("torch").build(config_for()), value=math.nan, is_complete=False)

    card = json.loads(folder.card.read_text())
    assert card["value"] is None and card["is_complete"] is False
