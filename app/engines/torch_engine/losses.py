"""The losses of the property table in PyTorch, each a mean over the samples of a batch.

Logits are `(N, K)` or `(N, K, H, W)`; targets are one-hot float32 of the same shape. With K = 1 in segmentation the
target is the foreground map and the activation a sigmoid, otherwise a softmax over K. Multi-label targets are 1 for
each class of a sample, and the activation is a sigmoid.
"""

from collections.abc import Callable

import torch
from monai.losses import DiceCELoss, DiceLoss, FocalLoss
from torch import Tensor
from torch.nn import functional

Loss = Callable[[Tensor, Tensor], Tensor]


def activate(logits: Tensor, *, is_multi_label: bool = False) -> Tensor:
    """Turn logits into probabilities of the same shape."""
    return torch.sigmoid(logits) if is_multi_label or logits.shape[1] == 1 else torch.softmax(logits, dim=1)


def one_hot(targets: Tensor, outputs: int) -> Tensor:
    """Turn class indexes `(N, ...)` into `(N, K, ...)` float32; with one output, the map into `(N, 1, ...)`."""
    if outputs == 1:
        return targets.unsqueeze(1).float()
    return functional.one_hot(targets, outputs).movedim(-1, 1).float()


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean negative log-likelihood of the target class."""
    if logits.shape[1] == 1:
        return functional.binary_cross_entropy_with_logits(logits, targets)
    return functional.cross_entropy(logits, targets)


def mean_squared_error(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean squared difference of probabilities and one-hot targets over all elements."""
    return functional.mse_loss(activate(logits), targets)


def multi_label_squared_error(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean squared difference of the independent probabilities and the targets over all elements."""
    return functional.mse_loss(activate(logits, is_multi_label=True), targets)


def _region_arguments(logits: Tensor) -> dict:
    return {"sigmoid": True} if logits.shape[1] == 1 else {"softmax": True}


def dice(logits: Tensor, targets: Tensor) -> Tensor:
    """MONAI's Dice loss, per image and class, background included where it is a class."""
    return DiceLoss(**_region_arguments(logits))(logits, targets)


def dice_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Sum of the Dice loss and the cross-entropy (MONAI)."""
    return DiceCELoss(**_region_arguments(logits))(logits, targets)


def focal(logits: Tensor, targets: Tensor) -> Tensor:
    """MONAI's focal loss with gamma 2."""
    return FocalLoss(use_softmax=logits.shape[1] > 1)(logits, targets)


LOSSES: dict[str, Loss] = {
    "cross_entropy": cross_entropy,
    # For the one-hot targets of a dataset the soft form is the same number; EDDL's softmax is folded into both.
    "soft_cross_entropy": cross_entropy,
    "mean_squared_error": mean_squared_error,
    "binary_cross_entropy": functional.binary_cross_entropy_with_logits,
    "dice": dice,
    "dice_cross_entropy": dice_cross_entropy,
    "focal": focal,
}

MULTI_LABEL_LOSSES: dict[str, Loss] = {
    "binary_cross_entropy": functional.binary_cross_entropy_with_logits,
    "mean_squared_error": multi_label_squared_error,
}
