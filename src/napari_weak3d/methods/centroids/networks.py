"""The two networks of a model, predicting together."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_weak3d.methods.centroids.config import CentroidsConfig
from napari_weak3d.methods.centroids.pseudo import BACKGROUND, INSIDE, N_CLASSES
from napari_weak3d.methods.centroids.scale import CellLook
from napari_weak3d.methods.centroids.scheme import Scheme
from napari_weak3d.nn.folding import fold_norms
from napari_weak3d.nn.member import Compute
from napari_weak3d.nn.tiles import plan_tiles, predict_volume
from napari_weak3d.nn.unet3d import Triple, UNet3D
from napari_weak3d.types import Region, Spacing

N_OUTPUTS = 1 + N_CLASSES
"""The centre map, and the probabilities of the mask's classes."""
_CENTRE_SHARE, _CLASS_SHARES = 0.03, (0.8, 0.17, 0.03)
"""What untrained networks say of every voxel: about what is true in the mean. Steps are small, and learning this alone
would take the first hundreds of them (ours)."""
_WIDE_VOX = 5.0
"""Radii of a cell from which on half the resolution is enough, in voxels (ours, measured)."""
_OVERLAP_VOX = 24
"""Voxels of the finest axis that tiles overlap by: a quarter of it to each side is what padding spoils."""


def build_nets(scheme: Scheme, config: CentroidsConfig) -> tuple[UNet3D, UNet3D]:
    """Make untrained networks for centres and masks (torch's global generator gives their weights)."""
    centre, mask = (
        UNet3D(
            2 * scheme.channels,
            outputs,
            spacing=scheme.spacing,
            width=config.width,
            levels=config.levels,
            stem=choose_stem(scheme),
        )
        for outputs in (1, N_CLASSES)
    )
    for net, shares in ((centre, (_CENTRE_SHARE / (1 - _CENTRE_SHARE),)), (mask, _CLASS_SHARES)):
        assert net.head.bias is not None
        nn.init.zeros_(net.head.bias)
        net.head.bias.data += torch.log(torch.tensor(shares))
    return centre, mask


def choose_stem(scheme: Scheme) -> Triple:
    """Halve the resolution along axes along which a cell's radius has voxels to spare."""
    z, y, x = (2 if scheme.look.radius >= _WIDE_VOX * along else 1 for along in scheme.spacing)
    return z, y, x


@dataclass(frozen=True, eq=False)
class Pair:
    """Networks for centres and masks, in evaluation mode on ``compute.device``; ``mask`` None: not trained yet."""

    centre: UNet3D
    mask: UNet3D | None
    compute: Compute
    config: CentroidsConfig

    def predict(
        self,
        image: Any,
        *,
        spacing: Spacing,
        out: NDArray[np.float32],
        on_shrink: Callable[[str], None] | None = None,
    ) -> Iterator[tuple[int, int]]:
        """Predict every voxel.

        Parameters
        ----------
        image
            (C, Z, Y, X), normalised.
        spacing
            (z, y, x) of it.
        out
            (1 + K, Z, Y, X) float32: the centre map, then probabilities of background, inside and border; overwritten.
        on_shrink
            Is told when memory ran out and tiles became smaller.

        Yields
        ------
        (done, total)
            Tiles.
        """
        multiple = self.centre.multiple
        z, y, x = (max(1, round(self.config.tile * min(spacing) / along)) for along in spacing)
        shared = [max(2, round(_OVERLAP_VOX * min(spacing) / along)) for along in spacing]
        planner = partial(plan_tiles, overlap=(shared[0], shared[1], shared[2]), multiple=multiple)
        ready = replace(self, centre=fold_norms(self.centre), mask=None if self.mask is None else fold_norms(self.mask))
        return predict_volume(ready._forward, image, out=out, planner=planner, tile=(z, y, x), on_shrink=on_shrink)

    def part_around(
        self, region: Region | None, *, shape: tuple[int, int, int], look: CellLook, spacing: Spacing
    ) -> tuple[slice, slice, slice]:
        """Choose the part of a volume that says what is in a region, and of the cells that reach into it.

        Parameters
        ----------
        region
            None: the whole volume.
        shape
            (Z, Y, X) of the volume.
        look
            What its cells look like.
        spacing
            (z, y, x) of it.

        Returns
        -------
        A slice along each axis: the region with a cell's diameter and as much as tiles overlap by on each side. It
        begins and ends where the network pools the same voxels together as in the whole volume, or where that ends.
        """
        if region is None:
            return slice(0, shape[0]), slice(0, shape[1]), slice(0, shape[2])
        margins = [math.ceil((_OVERLAP_VOX * min(spacing) + 2 * look.radius) / along) for along in spacing]
        z, y, x = (
            slice(max(0, (lo - margin) // unit * unit), min(size, -((-hi - margin) // unit) * unit))
            for (lo, hi), margin, unit, size in zip(region, margins, self.centre.multiple, shape, strict=True)
        )
        return z, y, x

    def _forward(self, tile: Tensor) -> Tensor:
        """(B, C, Z, Y, X) -> (B, 1 + K, Z, Y, X)."""
        image = self.compute.to_device(tile)
        centre = _run(self.centre, image, self.compute).sigmoid()
        if self.mask is None:
            unknown = torch.zeros_like(centre).expand(-1, N_CLASSES, -1, -1, -1).clone()
            unknown[:, BACKGROUND] = 1
            return torch.cat([centre, unknown], dim=1)
        return torch.cat([centre, _run(self.mask, image, self.compute).softmax(1)], dim=1)


def _run(net: nn.Module, image: Tensor, compute: Compute) -> Tensor:
    with compute.precision.autocast(compute.device):
        logits: Tensor = net(image)
    return logits.float()


def split_outputs(outputs: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """(1 + K, Z, Y, X) -> the centre map, the probability of a cell, that of a cell's inside."""
    return outputs[0], 1 - outputs[1 + BACKGROUND], outputs[1 + INSIDE]
