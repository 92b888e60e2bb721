"""The weights folder of a training: what is saved when, and the card that says what the weights are."""

from app.files import read_json, write_json
from app.runs.layout import WeightsFolder
from app.training.config import TrainingConfig
from app.training.engine import Network


def save_epoch(
    folder: WeightsFolder,
    network: Network,
    config: TrainingConfig,
    *,
    epoch: int,
    value: float,
    is_best: bool,
    is_complete: bool,
) -> None:
    """Keep the network as `last`, and as `best` when it is; the card comes after the files that it describes.

    Each file is whole or absent whenever the process dies.
    """
    network.save_checkpoint(folder.last, {"epoch": epoch, "is_complete": is_complete})
    if is_best:
        network.save_weights(folder.best)
        card = {"config": config.to_dict(), "epoch": epoch, "is_complete": is_complete}
        write_json(folder.card, card | {"metric": config.metric, "value": None if value != value else value})


def read_card(folder: WeightsFolder) -> TrainingConfig:
    """Return the config that usable weights were trained with: model, class names, input size and preprocessing."""
    return TrainingConfig.from_dict(read_json(folder.card)["config"])
