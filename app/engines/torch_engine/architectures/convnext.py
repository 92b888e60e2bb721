"""ConvNeXt."""

import torch
from torch import Tensor, nn

DEPTHS = (3, 3, 9, 3)
MAPS = (96, 192, 384, 768)
HIGHEST_DROP_RATE = 0.1  # the paper's rate for the last block of the tiny form; it grows from 0 with the depth
INITIAL_LAYER_SCALE = 1e-6


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the feature maps of each pixel."""

    def __init__(self, maps: int):
        super().__init__(maps, eps=1e-6)

    def forward(self, features: Tensor) -> Tensor:
        """Normalise `(N, C, H, W)`."""
        return super().forward(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Block(nn.Module):
    """A 7 x 7 depthwise convolution and two fully connected layers at each pixel, added to the input.

    While training, the sum is left out for a random part of the samples (stochastic depth).
    """

    def __init__(self, maps: int, drop_rate: float):
        super().__init__()
        self.depthwise = nn.Conv2d(maps, maps, 7, padding=3, groups=maps)
        self.norm = nn.LayerNorm(maps, eps=1e-6)
        self.expand = nn.Linear(maps, 4 * maps)
        self.act = nn.GELU()
        self.reduce = nn.Linear(4 * maps, maps)
        self.scale = nn.Parameter(torch.full((maps,), INITIAL_LAYER_SCALE))
        self.drop_rate = drop_rate

    def forward(self, features: Tensor) -> Tensor:
        """Return features of the same shape."""
        change = self.norm(self.depthwise(features).permute(0, 2, 3, 1))
        change = self.scale * self.reduce(self.act(self.expand(change)))
        change = change.permute(0, 3, 1, 2)
        if self.training and self.drop_rate > 0:
            kept = torch.rand(len(change), 1, 1, 1, device=change.device) >= self.drop_rate
            change = change * kept / (1 - self.drop_rate)
        return features + change


class ConvNeXt(nn.Module):
    """ConvNeXt-T: four stages of blocks at 1/4 to 1/32 of the input size, then the mean over all pixels.

    Source: Liu et al., A ConvNet for the 2020s, 2022 (28,589,128 parameters at 3 channels and 1,000 classes).
    """

    def __init__(self, channels: int, outputs: int):
        super().__init__()
        drop_rates = (HIGHEST_DROP_RATE * index / (sum(DEPTHS) - 1) for index in range(sum(DEPTHS)))
        stages: list[nn.Module] = []
        for index, (depth, maps) in enumerate(zip(DEPTHS, MAPS, strict=True)):
            if index == 0:
                shrink = [nn.Conv2d(channels, maps, 4, stride=4), ChannelNorm(maps)]
            else:
                shrink = [ChannelNorm(MAPS[index - 1]), nn.Conv2d(MAPS[index - 1], maps, 2, stride=2)]
            stages.append(nn.Sequential(*shrink, *(Block(maps, next(drop_rates)) for _ in range(depth))))
        self.stages = nn.Sequential(*stages)
        self.norm = nn.LayerNorm(MAPS[-1], eps=1e-6)
        self.head = nn.Linear(MAPS[-1], outputs)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits `(N, outputs)` of images `(N, channels, H, W)`."""
        return self.head(self.norm(self.stages(images).mean((2, 3))))
