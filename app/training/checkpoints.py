"""The weights folder of a training: what is saved when, and the card that says what the weights are."""

import math
from collections.abc import Mapping
from hashlib import file_digest

import orjson

from app.files import read_object, remove_temporaries, write_atomically, write_json
from app.runs.configs import Card, EpochRow
from app.runs.layout import WeightsFolder
from app.runs.reader import read_rows
from app.training.config import TrainingConfig, stored_config
from app.training.engine import Network
from app.training.position import Position


def save_epoch(
    folder: WeightsFolder,
    network: Network,
    config: TrainingConfig,
    position: Position,
    *,
    is_best: bool,
    is_complete: bool,
) -> None:
    """Keep the network as `last`, and before that as `best` when it is, with the card that describes it.

    Each file is whole or absent whenever the process dies. Because `last` comes last, whoever goes on from it repeats
    what was saved as `best` too late for it.

    Args:
        folder: of the weights.
        network: as it is now.
        config: of the training.
        position: where the training goes on.
        is_best: whether these are the best weights so far.
        is_complete: whether an epoch has just ended, so that its value is known.
    """
    if is_best:
        value = position.best_value if is_complete and math.isfinite(position.best_value) else None
        epoch = position.best_epoch if is_complete else position.epoch
        judged_by = config.loss if config.keep_best_by == "loss" else config.metric
        facts = {"epoch": epoch, "is_complete": is_complete, "metric": judged_by, "value": value}
        save_best(folder, network, config, facts)
    network.save_checkpoint(folder.last, position.to_dict())


def save_best(folder: WeightsFolder, network: Network, config: TrainingConfig, facts: Mapping) -> None:
    """Keep the network as `best`, then the card that tells its config and these facts."""
    network.save_weights(folder.best)
    with folder.best.open("rb") as weights:
        digest = file_digest(weights, "sha256").hexdigest()
    write_json(folder.card, {"config": config.to_dict(), **facts, "digest": digest})


def resume(folder: WeightsFolder, network: Network) -> Position | None:
    """Load the last checkpoint and take back what was written after it; None where there is none: begin anew.

    Raises:
        JobFailure: when the checkpoint is damaged.
    """
    for path in (folder.best, folder.card, folder.last, folder.metrics):
        remove_temporaries(path)
    if not folder.last.exists():
        folder.metrics.unlink(missing_ok=True)
        return None
    position = Position.from_dict(network.load_checkpoint(folder.last))
    _cut_rows(folder, position)
    return position


def _cut_rows(folder: WeightsFolder, position: Position) -> None:
    """Keep the rows of what was done before the position; what follows is done again, and written again."""
    rows = [row for row in read_rows(folder.metrics, EpochRow) if position.has_passed(row["epoch"], row["split"])]
    content = b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)
    write_atomically(folder.metrics, content)


def read_card(folder: WeightsFolder) -> TrainingConfig:
    """Return the config that usable weights were trained with: model, class names, input size and preprocessing.

    Raises:
        StorageDamaged: naming the card, where it holds something else.
    """
    return stored_config(folder.card, read_object(folder.card, Card)["config"])
