"""How large patches are, how many make a batch, and what is left of both when memory runs out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from napari_weak3d.errors import ConfigError
from napari_weak3d.nn.sampling import Shape

_SMALLEST = 16


def fit_patch(sides: Sequence[float], *, multiple: Shape) -> Shape:
    """Round a patch's sides (z, y, x) up to what a network takes.

    Two voxels at its coarsest level: of one are no statistics. Never two along z: the gradient of a 3x3x3 convolution's
    weights is garbage there where oneDNN computes it in bf16 (torch 2.13: in a quarter of the steps not finite, in the
    others 1e30 and more; neither at depth 1 or 3, nor for height and width, nor in float32).
    """
    z, y, x = (max(2 if step > 1 else 1, ceil(side / step)) for side, step in zip(sides, multiple, strict=True))
    return (3 if z == 2 else z) * multiple[0], y * multiple[1], x * multiple[2]


@dataclass(frozen=True)
class PatchSize:
    """Patches of a batch.

    Attributes
    ----------
    shape
        (Z, Y, X) of each, multiples of ``multiple``.
    batch
        How many at a time.
    multiple
        What the network's input must be multiples of.
    """

    shape: Shape
    batch: int
    multiple: Shape

    def smaller(self, *, width: int) -> PatchSize:
        """Halve the batch, else the longest side.

        Raises
        ------
        ConfigError
            There is nothing left to halve; ``width`` is that of the network, for the message.
        """
        if self.batch > 1:
            return PatchSize(self.shape, self.batch // 2, self.multiple)
        longest = int(np.argmax(self.shape))
        sides = list(self.shape)
        sides[longest] = max(_SMALLEST, sides[longest] // 2)
        shape = fit_patch(sides, multiple=self.multiple)
        if shape[longest] >= self.shape[longest]:
            raise ConfigError(
                f"out of memory even with one patch of {_name(self.shape)} voxels: close other programs, choose a "
                "smaller width, or device cpu",
                where="width",
                value=width,
            )
        return PatchSize(shape, 1, self.multiple)

    def describe_after(self, before: PatchSize) -> str:
        """Say what was made smaller."""
        what = f"{self.batch} patches a step" if before.batch > 1 else f"patches of {_name(self.shape)} voxels"
        return f"out of memory: going on with {what}"


def _name(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
