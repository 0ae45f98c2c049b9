"""AdamW without what ``torch.optim.AdamW`` drags in.

Making any ``torch.optim`` optimizer imports torch's compiler: two to seven seconds between pressing Train and the
first step, and triton's LLVM, which crashes programs that hold another one. The update is torch's own function.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

_BETAS = (0.9, 0.999)
_EPSILON = 1e-8


class AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019), torch's defaults.

    Parameters
    ----------
    parameters
        Of the network, on their device; in the same order for a state to be loaded.
    learning_rate
        At first; :attr:`learning_rate` may be set before each step.
    weight_decay
        Share of a weight that is lost per step and unit of learning rate.

    Attributes
    ----------
    param_groups
        One group, as ``torch.amp.GradScaler`` looks for gradients in it.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], *, learning_rate: float, weight_decay: float) -> None:
        self.learning_rate = learning_rate
        self._weight_decay = weight_decay
        self._parameters = list(parameters)
        self.param_groups: list[dict[str, Any]] = [{"params": self._parameters}]
        self._slots: dict[int, dict[str, Tensor]] = {}

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self._parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move the parameters that have a gradient."""
        moved = [(index, each) for index, each in enumerate(self._parameters) if each.grad is not None]
        slots = [self._slots.setdefault(index, _empty_slots(each)) for index, each in moved]
        adamw(
            [each for _, each in moved],
            [each.grad for _, each in moved if each.grad is not None],
            [slot["exp_avg"] for slot in slots],
            [slot["exp_avg_sq"] for slot in slots],
            [],
            [slot["step"] for slot in slots],
            amsgrad=False,
            beta1=_BETAS[0],
            beta2=_BETAS[1],
            lr=self.learning_rate,
            weight_decay=self._weight_decay,
            eps=_EPSILON,
            maximize=False,
        )

    def state(self) -> dict[str, Tensor]:
        """The moments, by number of the parameter and name: "3.exp_avg"."""
        return {f"{index}.{name}": value for index, slot in self._slots.items() for name, value in slot.items()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on with the moments that :meth:`state` gave; they are moved to the parameters' device.

        Raises
        ------
        ValueError
            They are of another network.
        """
        slots: dict[int, dict[str, Tensor]] = {}
        for name, value in state.items():
            number, slot = name.split(".", 1)
            slots.setdefault(int(number), {})[slot] = value.clone()
        for index, loaded in slots.items():
            expected = _empty_slots(self._parameters[index]) if index < len(self._parameters) else {}
            if {name: each.shape for name, each in loaded.items()} != {n: e.shape for n, e in expected.items()}:
                raise ValueError(f"the optimizer's state does not fit the network at its parameter {index}")
            slots[index] = {name: each.copy_(loaded[name]) for name, each in expected.items()}
        self._slots = slots


def _empty_slots(parameter: nn.Parameter) -> dict[str, Tensor]:
    zeros = torch.zeros_like(parameter, memory_format=torch.preserve_format)
    return {"step": torch.tensor(0.0), "exp_avg": zeros, "exp_avg_sq": zeros.clone()}
