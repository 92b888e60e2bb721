import numpy as np
import pytest

from app.engines import get_engine
from app.errors import JobFailure
from app.jobs.inference.loaded_networks import LoadedNetworks
from app.runs.layout import StorageLayout
from app.training.checkpoints import save_epoch
from app.training.config import TrainingConfig
from app.training.position import Position

CONFIG = TrainingConfig(
    task="classification", architecture="lenet", classes=("a", "b"), channels=1, learning_rate=1e-3,
    loss="cross_entropy", metric="categorical_accuracy", epochs=1, batch_size=4, input_height=12, input_width=12,
    optimizer="adam", weight_decay=0.0, seed=7,
)  # fmt: skip
LARGE = 1024**3


@pytest.fixture
def saved(tmp_path):
    """Save weights, drawn by a seed, as a training would."""
    storage = StorageLayout(tmp_path)

    def save(weights_id, seed=7):
        folder = storage.weights(weights_id)
        folder.path.mkdir(parents=True, exist_ok=True)
        config = TrainingConfig.from_dict(CONFIG.to_dict() | {"seed": seed})
        save_epoch(folder, get_engine("torch").build(config), config, Position(), is_best=True, is_complete=False)
        return folder

    return save


def test_weights_are_loaded_once(saved):
    networks, folder = LoadedNetworks(), saved(1)
    assert networks.network(folder, CONFIG, LARGE) is networks.network(folder, CONFIG, LARGE)


def test_weights_that_were_replaced_are_loaded_anew(saved):
    networks, image = LoadedNetworks(), np.ones((1, 1, 12, 12), np.float32)
    before = networks.network(saved(1), CONFIG, LARGE).predict_batch(image)
    after = networks.network(saved(1, seed=8), CONFIG, LARGE).predict_batch(image)
    assert not np.array_equal(before, after)


def test_those_used_least_recently_make_room(saved):
    networks, folders = LoadedNetworks(), [saved(number) for number in (1, 2, 3)]
    limit = 2 * folders[0].best.stat().st_size
    first, second, _ = (networks.network(folders[number], CONFIG, limit) for number in (0, 1, 0))
    networks.network(folders[2], CONFIG, limit)
    assert networks.network(folders[0], CONFIG, limit) is first
    assert networks.network(folders[1], CONFIG, limit) is not second


def test_weights_larger_than_the_limit_are_used_and_not_kept(saved):
    networks, folder = LoadedNetworks(), saved(1)
    assert networks.network(folder, CONFIG, 1000) is not networks.network(folder, CONFIG, 1000)


def test_weights_that_cannot_be_read_are_not_kept(saved):
    networks, folder = LoadedNetworks(), saved(1)
    whole = folder.best.read_bytes()
    folder.best.write_bytes(whole[:1000])
    with pytest.raises(JobFailure, match=r"best\.pt cannot be read"):
        networks.network(folder, CONFIG, LARGE)
    folder.best.write_bytes(whole)
    networks.network(folder, CONFIG, LARGE)
