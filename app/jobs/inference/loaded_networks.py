"""Networks that stay loaded between the inferences of one process."""

from collections import OrderedDict
from pathlib import Path

from app.engines import get_engine
from app.errors import JobFailure
from app.runs.layout import WeightsFolder
from app.training.config import TrainingConfig
from app.training.engine import Network

Key = tuple[str, tuple[int, int, int], tuple[int, int, int]]


class LoadedNetworks:
    """The networks used last, as many as their weights' files have bytes to spare; what was replaced is read anew."""

    def __init__(self) -> None:
        self._networks: OrderedDict[Key, tuple[Network, int]] = OrderedDict()

    def network(self, folder: WeightsFolder, card: TrainingConfig, limit_bytes: int) -> Network:
        """Return the network of some weights, loaded.

        Args:
            folder: of the weights.
            card: their config.
            limit_bytes: the most that the files of all networks kept may have; one larger than that is not kept.

        Raises:
            JobFailure: when the weights cannot be read, or are of another network than their card says.
        """
        key = (str(folder.path), _identity(folder.best), _identity(folder.card))
        if key not in self._networks:
            size = folder.best.stat().st_size
            self._make_room(limit_bytes - size)
            network = _load(folder, card)
            if size > limit_bytes:
                return network
            self._networks[key] = network, size
        self._networks.move_to_end(key)
        return self._networks[key][0]

    def _make_room(self, limit_bytes: int) -> None:
        while self._networks and sum(size for _, size in self._networks.values()) > limit_bytes:
            self._networks.popitem(last=False)


def _load(folder: WeightsFolder, card: TrainingConfig) -> Network:
    network = get_engine(card.engine).build(card.for_one_device(), folder.own_graph())
    unfitting = network.load_weights(folder.best)
    if unfitting:
        raise JobFailure(f"Weights {folder.path.name} do not fit their model: {', '.join(unfitting)} differ.")
    return network


def _identity(path: Path) -> tuple[int, int, int]:
    """Return what changes whenever a file is replaced."""
    found = path.stat()
    return found.st_ino, found.st_mtime_ns, found.st_size
