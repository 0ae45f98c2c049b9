"""The networks of a model, predicting together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_weak3d.methods.slices.config import Network, SlicesConfig
from napari_weak3d.methods.slices.scheme import Scheme
from napari_weak3d.nn.folding import fold_norms, mirror_kernels
from napari_weak3d.nn.intensity import normalise
from napari_weak3d.nn.member import Compute
from napari_weak3d.nn.paper_unet import PaperUNet, gather_statistics, valid_input_shape
from napari_weak3d.nn.slabs import SlabView, choose_offsets
from napari_weak3d.nn.tile_plan import TilePlan
from napari_weak3d.nn.tiles import plan_tiles, plan_valid_tiles, predict_volume, read_box, with_smaller_tiles
from napari_weak3d.nn.unet import PlanarUNet
from napari_weak3d.types import Volume

OVERLAP = 64
"""Pixels by which tiles overlap: about what a pixel's class depends on (measured: no seams)."""
_TILE_PIXELS = 2**21
"""Pixels that a tile of the planar network holds at most: more planes at a time are no faster."""
_PAPER_TILE = valid_input_shape((28, 44, 44))


def build_net(scheme: Scheme, config: SlicesConfig) -> nn.Module:
    """Make an untrained network (torch's global generator gives its weights)."""
    outputs = scheme.n_classes + scheme.n_maps
    if config.network is Network.PAPER:
        return PaperUNet(2 * scheme.channels, outputs, width=config.width)
    spacing = scheme.stacked(scheme.spacing)
    slab = 2 * scheme.channels * len(choose_offsets(spacing))
    return PlanarUNet(slab, outputs, spacing_yx=spacing[1:], width=config.width, levels=config.levels)


def view_volume(volume: Volume, *, scheme: Scheme, config: SlicesConfig) -> SlabView:
    """Normalise a volume, turn the stack axis to the front, and give it as the network sees it."""
    stacked = np.moveaxis(np.asarray(volume.data), 1 + scheme.stack_axis, 1)
    image = normalise(stacked, spacing=scheme.stacked(volume.spacing))
    # The slab is what the model was trained with; another volume's spacing does not change the number of channels.
    offsets = (0,) if config.network is Network.PAPER else choose_offsets(scheme.stacked(scheme.spacing))
    return SlabView(image, offsets)


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Networks whose mean predicts.

    Attributes
    ----------
    nets
        In evaluation mode, on ``compute.device``; not changed.
    freezes
        Whether the paper's network is to normalise all tiles of a volume by the same statistics.
    """

    nets: Sequence[nn.Module]
    compute: Compute
    scheme: Scheme
    config: SlicesConfig
    freezes: bool = False

    def predict(
        self, view: Any, *, out: NDArray[np.float32], on_shrink: Callable[[str], None] | None = None
    ) -> Iterator[tuple[int, int]]:
        """Predict every voxel.

        Parameters
        ----------
        view
            (C, Z, Y, X), normalised slabs.
        out
            (K + E, Z, Y, X) float32: probabilities of the classes, then the maps; overwritten.
        on_shrink
            Is told when memory ran out and tiles became smaller.

        Yields
        ------
        (done, total)
            Tiles; first those that statistics are gathered from, if they are.
        """
        planner, tile = self._planner(), self._tile(view.shape[1:])
        nets = [mirror_kernels(net, _mirrored_axes(number)) for number, net in enumerate(self.nets)]
        if self.config.network is not Network.PAPER:
            nets = [fold_norms(net) for net in nets]
        elif self.freezes:
            yield from with_smaller_tiles(
                lambda plan, _: self._gather(nets, view, plan),
                view.shape[1:],
                planner=planner,
                tile=tile,
                on_shrink=on_shrink,
            )
        forward = partial(self._forward, nets)
        yield from predict_volume(forward, view, out=out, planner=planner, tile=tile, on_shrink=on_shrink)

    def plan(self, shape: tuple[int, int, int]) -> TilePlan:
        """Plan the tiles of a volume of ``shape``, the stack axis first, as :meth:`predict` has them."""
        plan: TilePlan = self._planner()(shape, tile=self._tile(shape))
        return plan

    def _gather(self, nets: Sequence[nn.Module], view: Any, plan: TilePlan) -> Iterator[tuple[int, int]]:
        """Freeze each network's statistics to those of all tiles."""
        total = len(nets) * len(plan)
        for number, net in enumerate(nets):
            for done in gather_statistics(net, self._read_tiles(view, plan)):
                yield number * len(plan) + done, total

    def _read_tiles(self, view: Any, plan: TilePlan) -> Iterator[Tensor]:
        box = np.empty((view.shape[0], *plan.tile), np.float32)
        for tile in plan:
            read_box(view, [axis.start for axis in tile], out=box)
            yield self.compute.to_device(torch.from_numpy(box)[None])

    def n_outputs(self) -> int:
        """K + E."""
        return self.scheme.n_classes + self.scheme.n_maps

    def _planner(self) -> Any:
        if self.config.network is Network.PAPER:
            return plan_valid_tiles
        net = self.nets[0]
        assert isinstance(net, PlanarUNet)
        return partial(plan_tiles, overlap=(0, OVERLAP, OVERLAP), multiple=net.multiple)

    def _tile(self, shape: Sequence[int]) -> tuple[int, int, int]:
        if self.config.network is Network.PAPER:
            return _PAPER_TILE
        side_y, side_x = min(self.config.tile, shape[1]), min(self.config.tile, shape[2])
        return max(1, min(shape[0], _TILE_PIXELS // (side_y * side_x))), self.config.tile, self.config.tile

    def _forward(self, nets: Sequence[nn.Module], tile: Tensor) -> Tensor:
        """(B, C, Z, Y, X) -> (B, K + E, Z, Y, X): means of the networks' probabilities and maps."""
        image = self.compute.to_input(tile)
        total: Tensor | None = None
        for net in nets:
            with self.compute.autocast():
                logits = net(image).float()
            classes, maps = logits.split([self.scheme.n_classes, self.scheme.n_maps], dim=1)
            scores = torch.cat([classes.softmax(1), maps.sigmoid()], dim=1)
            total = scores if total is None else total + scores
        assert total is not None
        return total / len(nets)


def _mirrored_axes(number: int) -> list[int]:
    """Along which axes, counted from the last, a network is to see the volume mirrored.

    What depends on the side it is seen from averages out over networks, at no further cost.
    """
    return [axis for bit, axis in ((1, -2), (2, -1)) if number & bit]
