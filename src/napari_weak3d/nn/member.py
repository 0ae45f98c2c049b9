"""One network in training: its optimizer, its averaged weights, one step at a time."""

from __future__ import annotations

import copy
import math
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn

from napari_weak3d.errors import Weak3DError
from napari_weak3d.nn.adamw import AdamW
from napari_weak3d.nn.device import Precision

Loss: TypeAlias = Callable[[Tensor], Tensor]
"""Logits (B, K, Z, Y, X) float32 -> scalar."""
Measure: TypeAlias = Callable[[nn.Module, Tensor], Tensor]
"""The network and a batch on its device -> scalar; runs the network as ``Compute.autocast`` has it."""

_WARM_UP = 20
"""Steps over which the learning rate rises."""
_AVERAGE = 0.99
"""Decay of the averaged weights: about the last hundred steps; fewer while the run is young."""
_LARGEST_GRADIENT = 2.0
_WEIGHT_DECAY = 1e-2
_YOUNG_STEPS = 300
"""Steps until averaged statistics are those of averaged weights (ours)."""
_FREEZE_AT, _SHORT_STEPS = 0.4, 100
"""Part of a training after which norms may be frozen, and the length from which on that costs more than it brings
(ours, measured on clicks: with 50 steps per network F1 .74 frozen and .57 not, with 100 .79 and .81)."""
_IMAGES_KEPT = 4
"""Batches that statistics are measured on before that."""
_BATCHES = "num_batches_tracked"
_POWER = 0.9
"""Of the polynomial fall of the learning rate."""
_LOST_STEPS = 30
"""Steps in a row without a finite gradient after which a training is lost. Half precision looks for its scale in the
first ones: it begins at two to the power of 16 and halves at each (ours)."""


@dataclass(frozen=True)
class Compute:
    """Where and how precisely to compute."""

    device: torch.device
    precision: Precision

    def to_device(self, tensor: Tensor) -> Tensor:
        """Move a batch (B, C, Z, Y, X), laid out as the device likes it."""
        return tensor.to(self.device, memory_format=self.precision.memory_format, non_blocking=True)

    def to_input(self, tensor: Tensor) -> Tensor:
        """Move a batch (B, C, Z, Y, X) that is only predicted from, in the numbers that its first layer computes in.

        What is done to it on the way there, and by each of several networks, then moves half the bytes.
        """
        return self.to_device(tensor.to(self.precision.dtype))

    def autocast(self) -> AbstractContextManager[None]:
        """Give the context to run a network in."""
        return self.precision.autocast(self.device)


class Member:
    """A network of an ensemble while it trains.

    Attributes
    ----------
    net
        The network that is stepped.
    averaged
        The mean of the last weights, in evaluation mode; :meth:`snapshot` gives the network to predict with.
    steps
        Steps taken so far.

    Parameters
    ----------
    freezes_norms_if_short
        Whether batch norm goes, for the last part of a training of few steps, by the statistics gathered until then, as
        it does in prediction. Those of small patches differ from those of a volume: weights that learned little, and
        never with these, predict worse than they train. In a longer training that costs more than it brings.
    """

    def __init__(
        self, net: nn.Module, *, compute: Compute, learning_rate: float, freezes_norms_if_short: bool = False
    ) -> None:
        self.compute = compute
        self._freezes_norms_if_short = freezes_norms_if_short
        self._frozen = False
        self.net = net.to(compute.device).train()
        self.averaged = copy.deepcopy(self.net).eval().requires_grad_(False)
        self.steps = 0
        self._last_images: deque[Tensor] = deque(maxlen=_IMAGES_KEPT)
        self._stored_statistics: dict[str, Tensor] = {}
        self._learning_rate = learning_rate
        self._lost_steps = 0
        self._optimizer = AdamW(self.net.parameters(), learning_rate=learning_rate, weight_decay=_WEIGHT_DECAY)
        self._scaler = torch.amp.GradScaler(enabled=compute.precision.needs_scaler)

    def step(self, image: Tensor, loss: Loss, *, fraction: float) -> float:
        """Take one step on a batch.

        Parameters
        ----------
        image
            (B, C, Z, Y, X) float32 on any device.
        loss
            What to lower.
        fraction
            How much of this member's training is over, 0..1: sets the learning rate.

        Returns
        -------
        The loss.
        """

        def measure(net: nn.Module, batch: Tensor) -> Tensor:
            with self.compute.autocast():
                logits = net(batch)
            return loss(logits.float())

        return self.learn(image, measure, fraction=fraction)

    def learn(self, image: Tensor, measure: Measure, *, fraction: float) -> float:
        """Take one step on a batch as :meth:`step` does, for networks that say more than one image.

        A batch whose gradient is not finite teaches nothing: weights and averages stay, and the next one is waited for.

        Raises
        ------
        Weak3DError
            That happened many times in a row.
        """
        warm = min(1.0, (self.steps + 1) / _WARM_UP)
        self._optimizer.learning_rate = self._learning_rate * warm * max(1e-3, 1 - fraction) ** _POWER
        if self._freezes_norms_if_short:
            self._freeze_norms(fraction >= _FREEZE_AT and self.steps < fraction * _SHORT_STEPS)
        # Now, not after the step: one that ran out of memory halfway leaves gradients behind.
        self._optimizer.zero_grad()
        value = measure(self.net, self.compute.to_device(image))
        self._scaler.scale(value).backward()  # type: ignore[no-untyped-call]
        self._scaler.unscale_(self._optimizer)  # type: ignore[arg-type]  # it only looks for the gradients
        norm = nn.utils.clip_grad_norm_(self.net.parameters(), _LARGEST_GRADIENT)
        self._count_lost(is_lost=not math.isfinite(norm.item()))
        if not self._lost_steps or self._scaler.is_enabled():  # the scaler leaves out such steps by itself, and counts
            self._scaler.step(self._optimizer)  # type: ignore[arg-type]
            self._scaler.update()
        self.steps += 1
        if not math.isfinite(value.item()):
            self._restore_statistics()
            return value.item()
        self._last_images.append(image)
        self._average()
        return value.item()

    @torch.no_grad()
    def snapshot(self) -> nn.Module:
        """Give the network to predict with, to score and to store: a copy of the averaged one, in evaluation mode.

        Early in a run its norms go by the last few batches: the running statistics lag far behind the weights then,
        and predictions are poor though the network is not. One that goes on keeps the statistics that it was stored
        with until there are as many batches: a single one says less.
        """
        net = copy.deepcopy(self.averaged)
        if self._frozen or self.steps >= _YOUNG_STEPS:
            return net.eval()
        if self._stored_statistics and len(self._last_images) < _IMAGES_KEPT:
            net.load_state_dict(self._stored_statistics, strict=False)
            return net.eval()
        for norm in _norms(net) if self._last_images else ():
            if norm.track_running_stats:
                norm.reset_running_stats()
                norm.momentum = None  # a plain mean over the batches
                norm.train()
        for image in self._last_images:
            with self.compute.autocast():
                net(self.compute.to_device(image))
        return net.eval()

    def forget_batches(self) -> None:
        """Measure no statistics on the batches so far: they take more memory than there is."""
        self._last_images.clear()

    def _freeze_norms(self, frozen: bool) -> None:
        if frozen != self._frozen:
            self._frozen = frozen
            for norm in _norms(self.net):
                norm.train(not frozen)

    def _count_lost(self, *, is_lost: bool) -> None:
        self._lost_steps = self._lost_steps + 1 if is_lost else 0
        if self._lost_steps >= _LOST_STEPS:
            raise Weak3DError(
                f"the training went astray: the loss was no finite number for {_LOST_STEPS} steps in a row; lower "
                f"learning_rate, which is {self._learning_rate:g}, or look for extreme values in the images",
                where="learning_rate",
                value=self._learning_rate,
            )

    @torch.no_grad()
    def _restore_statistics(self) -> None:
        """Take back what a batch that is not finite left in the running statistics of the norms."""
        for mean, now in zip(self.averaged.buffers(), self.net.buffers(), strict=True):
            if now.dtype.is_floating_point and not now.isfinite().all():
                now.copy_(mean)

    @torch.no_grad()
    def _average(self) -> None:
        decay = min(_AVERAGE, self.steps / (self.steps + 10))
        for mean, now in zip(self.averaged.state_dict().values(), self.net.state_dict().values(), strict=True):
            if mean.dtype.is_floating_point:
                mean.lerp_(now, 1 - decay)
            else:
                mean.copy_(now)

    def state(self) -> dict[str, Tensor]:
        """Everything needed to go on from here, flat, by name."""
        moments = {f"adam.{name}": value for name, value in self._optimizer.state().items()}
        weights = {f"net.{name}": value for name, value in self.net.state_dict().items()}
        averages = {f"averaged.{name}": value for name, value in self.averaged.state_dict().items()}
        return {**weights, **averages, **moments, "steps": torch.tensor(self.steps)}

    def load_state(self, state: dict[str, Tensor], *, stored: Mapping[str, Tensor] | None = None) -> None:
        """Go on from what :meth:`state` gave; ``stored``: the weights of the snapshot of that moment."""
        self.net.load_state_dict(_under("net.", state))
        self.averaged.load_state_dict(_under("averaged.", state))
        self._optimizer.load_state(_under("adam.", state))
        self.steps = int(state["steps"])
        self._stored_statistics = {} if stored is None else _list_statistics(stored)

    def start_from(self, weights: dict[str, Tensor]) -> None:
        """Begin with the weights of a trained network (warm start)."""
        self.net.load_state_dict(weights)
        self.averaged.load_state_dict(weights)
        self._stored_statistics = _list_statistics(weights)


def _norms(net: nn.Module) -> list[nn.BatchNorm2d | nn.BatchNorm3d]:
    return [module for module in net.modules() if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d)]


def _list_statistics(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What norms go by in prediction, by name; nothing where they have not seen a batch yet."""
    seen = [name.removesuffix(_BATCHES) for name, value in weights.items() if name.endswith(_BATCHES) and value > 0]
    kinds = ("running_mean", "running_var", _BATCHES)
    return {f"{norm}{kind}": weights[f"{norm}{kind}"] for norm in seen for kind in kinds}


def _under(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
