"""Where tiles lie in a volume, and how much each counts where: pure planning, nothing is read or computed.

Two ways, by what a network does at its borders. A *padded* network gives as much as it gets, but guesses near the
faces of a tile: neighbouring tiles overlap, the outer quarters of each overlap are dropped and the middle is blended.
An *unpadded* network gives only what it knows, less than it gets: tiles abut in the output, and lie multiples of the
network's stride apart, so that the same voxels are pooled together as in one pass over the whole volume.

The weight of a tile is a product of one factor per axis, and the factors of an axis add up to 1 at every voxel, so
nothing has to be divided at the end. Where a tile reaches beyond the volume, the reader continues it by reflection.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, product
from math import prod
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Shape: TypeAlias = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class AxisTile:
    """A tile along one axis.

    Attributes
    ----------
    start
        The first voxel that the network gets; negative where the tile begins before the volume.
    lo, hi
        The voxels that it writes, half-open, inside the volume.
    weights
        (hi - lo,) float32 in 0..1: how much it counts at each of them.
    """

    start: int
    lo: int
    hi: int
    weights: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class TilePlan:
    """The tiles of a volume: every combination of one tile per axis.

    Attributes
    ----------
    shape
        (Z, Y, X) of the volume.
    tile
        (Z, Y, X) that the network gets, the same for all tiles.
    margin
        Voxels per axis that its output lacks on each side; 0 for padded networks.
    axes
        The tiles along each axis, in order.
    """

    shape: Shape
    tile: Shape
    margin: Shape
    axes: tuple[tuple[AxisTile, ...], tuple[AxisTile, ...], tuple[AxisTile, ...]]

    def __len__(self) -> int:
        """Count the tiles."""
        return prod(len(axis) for axis in self.axes)

    def __iter__(self) -> Iterator[tuple[AxisTile, AxisTile, AxisTile]]:
        """Go through the tiles, x fastest."""
        return product(*self.axes)

    @property
    def n_voxels(self) -> int:
        """Voxels that the network gets in total: what the work is proportional to."""
        return len(self) * prod(self.tile)


def plan_tiles(shape: Shape, *, tile: Shape, overlap: Shape, multiple: Shape) -> TilePlan:
    """Plan overlapping tiles for a padded network, of few voxels in total.

    An axis that fits is one tile, continued by reflection at its end as far as ``multiple`` demands. A longer axis
    gets as few tiles as possible or one more, whichever needs fewer voxels, spread evenly. Tiles begin at multiples of
    ``multiple``: the network pools the same voxels together as in one pass.

    Parameters
    ----------
    shape
        (Z, Y, X) of the volume, each at least 1.
    tile
        The largest tile; rounded down to ``multiple`` (but never below it).
    overlap
        Voxels that neighbouring tiles share at least, rounded up to ``multiple``; half a tile where it is more.
    multiple
        What sizes and first voxels must be multiples of: the product of the network's strides along each axis.
    """
    z, y, x = (
        _plan_padded_axis(*along, at_most=size) for *along, size in zip(shape, overlap, multiple, tile, strict=True)
    )
    return TilePlan(shape, (z[0], y[0], x[0]), (0, 0, 0), (z[1], y[1], x[1]))


def plan_valid_tiles(
    shape: Shape, *, tile: Shape, stride: int = 8, margin: int = 44, smallest_output: int = 4
) -> TilePlan:
    """Plan abutting tiles for an unpadded network; the defaults are those of the paper's 3D U-Net.

    Outputs begin at multiples of ``stride`` and are as small as they can be for their number, so that little is
    computed beyond the volume.

    Parameters
    ----------
    shape
        (Z, Y, X) of the volume, each at least 1.
    tile
        The largest tile that the network gets, its margins included; rounded down to what the network takes.
    stride, margin, smallest_output
        The network's: outputs are ``smallest_output`` plus a multiple of ``stride``, and lack ``margin`` on each side.
    """
    z, y, x = (
        _plan_valid_axis(length, stride=stride, margin=margin, smallest=smallest_output, at_most=size)
        for length, size in zip(shape, tile, strict=True)
    )
    return TilePlan(shape, (z[0], y[0], x[0]), (margin,) * 3, (z[1], y[1], x[1]))


def _plan_padded_axis(length: int, overlap: int, multiple: int, *, at_most: int) -> tuple[int, tuple[AxisTile, ...]]:
    # All in units of `multiple`: tiles must not only be that long but also begin there, or other voxels would be
    # pooled together than in one pass.
    whole = _divide_up(length, multiple)
    largest = max(1, at_most // multiple)
    if whole <= largest:
        return whole * multiple, (AxisTile(0, 0, length, np.ones(length, np.float32)),)
    shared = min(_divide_up(overlap, multiple), largest // 2)
    fewest = _divide_up(whole - shared, largest - shared)
    # One tile more can round to fewer voxels in total; many more could too without overlap, but tiles too small
    # cost what voxels do not count.
    sizes = {count: _divide_up(whole + (count - 1) * shared, count) for count in (fewest, fewest + 1)}
    count = min(sizes, key=lambda count: count * sizes[count])
    size = sizes[count]
    starts = [i * (whole - size) // (count - 1) * multiple for i in range(count)]
    return size * multiple, _blend(starts, size=size * multiple, length=length)


def _blend(starts: list[int], *, size: int, length: int) -> tuple[AxisTile, ...]:
    """Let each tile fade into the next one over the middle half of their overlap."""
    closest = min(after - before for before, after in pairwise(starts))
    fades = []  # (first voxel, number of voxels) of each fade
    for before, after in pairwise(starts):
        overlap = before + size - after
        # Fades shorter than the distance of tiles never meet: at most two tiles count at any voxel.
        width = max(0, min(overlap - 2 * (overlap // 4), closest - 1))
        fades.append((after + (overlap - width) // 2, width))
    tiles = []
    for i, start in enumerate(starts):
        lo = fades[i - 1][0] if i > 0 else 0
        hi = sum(fades[i]) if i < len(fades) else length
        weights = np.ones(hi - lo, np.float32)
        if i > 0:
            width = fades[i - 1][1]
            weights[:width] = _ramp(width)
        if i < len(fades):
            width = fades[i][1]
            weights[len(weights) - width :] = 1 - _ramp(width)
        tiles.append(AxisTile(start, lo, hi, weights))
    return tuple(tiles)


def _ramp(width: int) -> NDArray[np.float32]:
    """Rise from above 0 to below 1 in even steps."""
    return (np.arange(1, width + 1, dtype=np.float32) / np.float32(width + 1)).astype(np.float32)


def _plan_valid_axis(
    length: int, *, stride: int, margin: int, smallest: int, at_most: int
) -> tuple[int, tuple[AxisTile, ...]]:
    if length <= smallest:
        return smallest + 2 * margin, (AxisTile(-margin, 0, length, np.ones(length, np.float32)),)
    # Outputs are `smallest` longer than they lie apart: what neighbours share is equal, and written once.
    beyond = length - smallest
    largest_step = max(stride, (at_most - 2 * margin - smallest) // stride * stride)
    step = _round_up(_divide_up(beyond, _divide_up(beyond, largest_step)), stride)
    starts = range(0, beyond, step)
    ends = [*starts[1:], length]
    tiles = tuple(
        AxisTile(lo - margin, lo, hi, np.ones(hi - lo, np.float32)) for lo, hi in zip(starts, ends, strict=True)
    )
    return smallest + step + 2 * margin, tiles


def _round_up(value: int, multiple: int) -> int:
    return _divide_up(value, multiple) * multiple


def _divide_up(value: int, by: int) -> int:
    return -(-value // by)
