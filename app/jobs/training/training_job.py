"""What the steps of a training's job work with."""

from dataclasses import dataclass

from app.jobs.datasets.opened import OpenedDataset
from app.runs.layout import StorageLayout, WeightsFolder
from app.runs.writer import RunWriter
from app.settings import Settings
from app.training.config import TrainingConfig
from app.training.engine import Engine


@dataclass(frozen=True)
class TrainingJob:
    """All that the attempts at one training share."""

    config: dict
    writer: RunWriter
    storage: StorageLayout
    settings: Settings
    engine: Engine
    dataset: OpenedDataset
    report: dict

    @property
    def training_config(self) -> TrainingConfig:
        return TrainingConfig.from_dict(self.config["training"])

    @property
    def folder(self) -> WeightsFolder:
        return self.storage.weights(self.config["weights_id"])
