"""How a network learns in PyTorch: optimizer, gradients added up over batches, loss scaling, frozen layers."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from app.engines.torch_engine.onnx_import import GraphModule
from app.engines.torch_engine.sharing import share_normalisation, sum_gradients
from app.training.config import TrainingConfig
from app.zoo.architectures import architecture_of

MOMENTUM = 0.9  # of SGD, as in the papers of the zoo's networks
OPTIMIZERS = {
    "adam": (torch.optim.Adam, {}),
    "adamw": (torch.optim.AdamW, {}),
    "sgd": (torch.optim.SGD, {"momentum": MOMENTUM}),
}


class Optimisation:
    """The part of a network that changes its parameters."""

    def __init__(
        self,
        module: nn.Module,
        config: TrainingConfig,
        device: torch.device,
        half_precision: torch.dtype | None,
        *,
        is_shared: bool = False,
    ):
        """Take the module, and the type in which mixed precision computes; None without it.

        A shared module is that of several processes, which make each step together.
        """
        self._module = module
        self._is_shared = is_shared
        if is_shared:
            share_normalisation(module)
            if isinstance(module, GraphModule):
                module.is_shared = True
        self._encoder = architecture_of(config.architecture).encoder
        self._frozen_modules: list[nn.Module] = []
        build, options = OPTIMIZERS[config.optimizer]
        rates = {"lr": config.learning_rate, "weight_decay": config.weight_decay}
        self._parameters = list(module.parameters())
        # Fused: one pass over the memory of parameters, gradients and moments instead of ten. Flat: what is not in the
        # usual order of dimensions would be copied first, for twice the time.
        self._flat = [_flat(parameter.detach()) for parameter in self._parameters]
        self._optimizer = build(self._flat, fused=True, **rates, **options)
        self._begin_momenta()
        # Gradients of float16 vanish below 6e-8 unless they are scaled; bfloat16 reaches as low as float32.
        self._scaler = torch.amp.GradScaler(device.type, enabled=half_precision == torch.float16)

    def set_learning_rate(self, rate: float) -> None:
        """Take the rate of the next step."""
        for group in self._optimizer.param_groups:
            group["lr"] = rate

    def freeze_encoder(self, *, is_frozen: bool) -> None:
        """Keep the encoder as it is, the statistics of its normalisation layers included, or let it learn again."""
        if isinstance(self._module, GraphModule):
            self._freeze_graph(self._module, is_frozen=is_frozen)
            return
        for name, parameter in self._module.named_parameters():
            parameter.requires_grad_(not (is_frozen and name.startswith(self._encoder)))
        self._frozen_modules = [
            module
            for name, module in self._module.named_modules()
            if is_frozen and f"{name}.".startswith(self._encoder)
        ]

    def _freeze_graph(self, graph: GraphModule, *, is_frozen: bool) -> None:
        """Hold still all but the last layer; a graph is one module, and that layer has nothing but its weights."""
        for name, parameter in graph.named_parameters():
            parameter.requires_grad_(not is_frozen or name in graph.head or not graph.head)
        self._frozen_modules = [graph] if is_frozen and graph.head else []

    def prepare(self) -> None:
        """Switch the module to learning, except what is frozen."""
        self._module.train()
        for module in self._frozen_modules:
            module.eval()

    def add_gradient(self, objective: Tensor) -> None:
        """Add the gradient of an objective to those that wait for the next step."""
        self._scaler.scale(objective).backward()

    def step(self) -> None:
        """Change the parameters by the gradients that wait."""
        if self._is_shared:
            sum_gradients(self._parameters)
        for parameter, flat in zip(self._parameters, self._flat, strict=True):
            flat.grad = None if parameter.grad is None else _flat(parameter.grad)
            parameter.grad = None
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._optimizer.zero_grad(set_to_none=True)

    def state(self) -> dict:
        """Return what `restore` needs."""
        optimizer = self._optimizer.state_dict()
        return {
            "optimizer": optimizer | {"state": self._reshaped(optimizer["state"], _shaped)},
            "scaler": self._scaler.state_dict(),
            "gradients": [parameter.grad for parameter in self._parameters],
        }

    def restore(self, state: dict) -> None:
        """Go on as the one whose `state` this is, be it of a version whose steps were not fused."""
        stored = state["optimizer"]
        groups = [group | {"fused": True} for group in stored["param_groups"]]
        moments = self._reshaped(stored["state"], lambda moment, parameter: _flat(_in_order_of(parameter, moment)))
        self._optimizer.load_state_dict({"state": moments, "param_groups": groups})
        self._begin_momenta()
        if self._scaler.is_enabled() and state["scaler"]:
            self._scaler.load_state_dict(state["scaler"])
        for parameter, gradient in zip(self._parameters, state["gradients"], strict=True):
            parameter.grad = gradient if gradient is None else _in_order_of(parameter, gradient)

    def _reshaped(self, state: dict, reshape: Callable[[Tensor, nn.Parameter], Tensor]) -> dict:
        """Return an optimizer's state with every moment in another shape."""
        return {
            number: {
                name: value if name == "step" or value is None else reshape(value, self._parameters[number])
                for name, value in values.items()
            }
            for number, values in state.items()
        }

    def _begin_momenta(self) -> None:
        """Give SGD the momenta that it has not: of nothing, which the first gradient makes its own.

        Fused steps fail where parameters that were frozen join others with momenta, and leave whatever was in memory
        where the first gradients overflow.
        """
        if not isinstance(self._optimizer, torch.optim.SGD):
            return
        for flat in self._flat:
            if self._optimizer.state[flat].get("momentum_buffer") is None:
                self._optimizer.state[flat]["momentum_buffer"] = torch.zeros_like(flat)


def _flat(tensor: Tensor) -> Tensor:
    """Return a tensor's memory as one row."""
    return tensor.as_strided((tensor.numel(),), (1,))


def _shaped(flat: Tensor, parameter: nn.Parameter) -> Tensor:
    """Return a row in the shape of the parameter whose order in memory it has."""
    return flat.as_strided(parameter.size(), parameter.stride())


def _in_order_of(parameter: nn.Parameter, values: Tensor) -> Tensor:
    """Return values in a parameter's order in memory."""
    return torch.empty_like(parameter, requires_grad=False).copy_(values)
