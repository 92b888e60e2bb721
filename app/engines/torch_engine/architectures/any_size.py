"""What lets every network take every image: any height and width, and a batch of a single sample."""

from torch import Tensor, nn
from torch.nn import functional


class Padded(nn.Module):
    """A segmentation network that halves its input several times, behind a border that makes the sizes multiples.

    Zeros are added below and at the right; what the network says of them is cut off.
    """

    def __init__(self, network: nn.Module, multiple_px: int):
        super().__init__()
        self.network = network
        self.multiple_px = multiple_px

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits `(N, K, H, W)` of images `(N, C, H, W)`."""
        height, width = images.shape[2:]
        below, right = -height % self.multiple_px, -width % self.multiple_px
        if below or right:
            images = functional.pad(images, (0, right, 0, below))
        return self.network(images)[:, :, :height, :width]


class LoneValueBatchNorm(nn.BatchNorm2d):
    """Batch normalisation that a single value has no mean and deviation for: it is normalised by the running ones.

    torch raises there. It happens where a batch is one sample, as the last of an epoch may be, and a feature map one
    pixel.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Normalise `(N, C, H, W)`."""
        if self.training and features.numel() == features.shape[1]:
            return functional.batch_norm(
                features, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(features)


def allow_lone_values(network: nn.Module) -> None:
    """Give every batch normalisation of a network the behaviour of `LoneValueBatchNorm`; its parameters stay."""
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = LoneValueBatchNorm
