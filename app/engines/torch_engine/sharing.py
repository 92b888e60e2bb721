"""What processes that share a batch add up between them, so that each learns as if it had seen all of it."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional


def sum_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Give every process the sum of all processes' gradients."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not gradients:
        return
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    distributed.all_reduce(flat)
    sizes = [gradient.numel() for gradient in gradients]
    for gradient, summed in zip(gradients, flat.split(sizes), strict=True):
        gradient.copy_(summed.view(gradient.shape))


def share_normalisation(module: nn.Module) -> None:
    """Have batch normalisation count the batch of all processes; torch's own does so on GPUs only."""
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.__class__ = SharedBatchNorm  # its parameters and their names stay


class SharedBatchNorm(nn.BatchNorm2d):
    """Batch normalisation by mean and variance over the samples of all processes.

    A lone value, which has no deviation, is normalised by the running ones, as `LoneValueBatchNorm` does.
    """

    def forward(self, images: Tensor) -> Tensor:
        """Normalise `(N, C, H, W)`."""
        if not self.training or self.running_mean is None or self.running_var is None or self.momentum is None:
            return super().forward(images)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        return shared_batch_norm(
            images, self.running_mean, self.running_var, self.weight, self.bias, self.momentum, self.eps
        )


def shared_batch_norm(
    images: Tensor,
    running_mean: Tensor,
    running_variance: Tensor,
    weight: Tensor,
    bias: Tensor,
    momentum: float,
    epsilon: float,
) -> Tensor:
    """Normalise `(N, C, ...)` by the samples of all processes, and let the running statistics `(C,)` follow them."""
    features = images.float()  # sums of 16-bit numbers would be too coarse
    values = features.numel() // features.shape[1]
    axes, shape = (0, *range(2, features.ndim)), (-1, *[1] * (features.ndim - 2))
    count = _Sum.apply(features.new_tensor([values]))
    mean = _Sum.apply(features.sum(axes)) / count
    centred = features - mean.reshape(shape)
    variance = _Sum.apply(centred.square().sum(axes)) / count
    if values == 1 and not variance.any():  # every process has the same one
        return functional.batch_norm(images, running_mean, running_variance, weight, bias, eps=epsilon)
    with torch.no_grad():
        running_mean.lerp_(mean, momentum)
        running_variance.lerp_(variance * count / (count - 1), momentum)
    scale = (variance + epsilon).rsqrt() * weight
    return (centred * scale.reshape(shape) + bias.reshape(shape)).to(images.dtype)


class _Sum(torch.autograd.Function):
    """The sum of all processes' tensors; its gradient is the sum of all processes' gradients."""

    @staticmethod
    def forward(context: Any, tensor: Tensor) -> Tensor:
        summed = tensor.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(summed)
        return summed

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        return _Sum.forward(context, gradients[0])
