"""Anchors: boxes of a few sizes at every location of a feature layer, from which true boxes are told as offsets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_weak3d.types import Boxes

Triple: TypeAlias = tuple[int, int, int]

_ONE_LAYER_SPAN = 2.0
"""Sizes that differ by no more than this share one feature layer (ours)."""
_STEPS_PER_SIZE = 4
"""Locations of a layer along an anchor (ours): then the nearest anchor of a box's own size, off by half a step along
every axis, still has an IoU of 0.5 with it, above the 0.4 that makes it a positive."""
_FEWEST_SIZES, _MOST_SIZES = 4, 9
_FITS, _FITTING_SHARE = 0.5, 0.8
_ROUNDS = 100
"""Of k-means; it settles in far fewer."""


@dataclass(frozen=True)
class AnchorLayer:
    """The anchors of one feature layer.

    Attributes
    ----------
    level
        Which of the network's feature layers, 0 the finest.
    stride
        (z, y, x): voxels between its locations.
    sizes
        r sizes (z, y, x), voxels: one anchor of each at every location.
    """

    level: int
    stride: Triple
    sizes: tuple[tuple[float, float, float], ...]


def choose_sizes(annotations: Sequence[Boxes], *, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Choose the sizes of anchors by the boxes that were drawn: k-means on the logarithms of their sizes.

    Logarithms, because offsets tell sizes as ratios (equation 2).

    Parameters
    ----------
    annotations
        The boxes of each volume; at least one box in all, none flat.
    count
        How many sizes; boxes of fewer different sizes give as many as there are. 0: as many, from 4 to 9, as it takes
        until four fifths of the boxes have an IoU of 0.5 with a size that is centred on them (ours): what no size fits
        well is told by a few anchors at its middle only.
    rng
        Source of the first centres (k-means++).

    Returns
    -------
    (K, 3) float64 sizes (z, y, x), voxels, the smallest volume first.
    """
    drawn = [np.asarray(boxes.corners[:, 1] - boxes.corners[:, 0], dtype=np.float64) for boxes in annotations]
    points = np.log(np.concatenate(drawn))
    most = len(np.unique(points, axis=0))
    for tried in [count] if count else range(_FEWEST_SIZES, _MOST_SIZES + 1):
        centres = np.exp(_cluster(points, count=min(tried, most), rng=rng))
        if (_best_overlap(np.exp(points), centres) >= _FITS).mean() >= _FITTING_SHARE:
            break
    return np.asarray(centres[np.argsort(centres.prod(axis=1), kind="stable")])


def _best_overlap(drawn: NDArray[np.float64], sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,): the highest IoU of each of (N, 3) boxes with one of (K, 3) sizes, all centred on one point."""
    shared = np.minimum(drawn[:, None], sizes[None]).prod(axis=2)
    together = drawn.prod(axis=1)[:, None] + sizes.prod(axis=1)[None] - shared
    return np.asarray((shared / together).max(axis=1))


def _cluster(points: NDArray[np.float64], *, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """(count, 3) means of Lloyd's k-means; there are at least ``count`` different points."""
    centres = points[[rng.integers(len(points))]]
    while len(centres) < count:
        far = _square_distances(points, centres).min(axis=1)
        centres = np.vstack([centres, points[rng.choice(len(points), p=far / far.sum())]])
    for _ in range(_ROUNDS):
        nearest = _square_distances(points, centres).argmin(axis=1)
        # A mean that lost all its points stays where it was.
        moved = np.stack(
            [points[nearest == row].mean(axis=0) if (nearest == row).any() else centres[row] for row in range(count)]
        )
        if np.array_equal(moved, centres):
            break
        centres = moved
    return centres


def _square_distances(points: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, K)."""
    return np.asarray(((points[:, None] - centres[None]) ** 2).sum(axis=2))


def plan_anchors(sizes: NDArray[np.float64], *, strides: Sequence[Triple]) -> tuple[AnchorLayer, ...]:
    """Decide which feature layer tells boxes of which size.

    A size fits a layer with at least four locations along it on every axis. Sizes that span less than a factor of two
    (cube root of the volume) go together to the coarsest layer that all of them fit, others each to the coarsest that
    it fits; what fits none goes to the finest.

    Parameters
    ----------
    sizes
        (K, 3), zyx, voxels, positive.
    strides
        Of the feature layers, the finest first.

    Returns
    -------
    The layers that are used, the finest first.
    """
    extents = np.cbrt(sizes.prod(axis=1))
    together = extents.max() <= _ONE_LAYER_SPAN * extents.min()
    fitted = np.broadcast_to(sizes.min(axis=0), sizes.shape) if together else sizes
    levels = [_find_level(size, strides=strides) for size in fitted]
    return tuple(
        AnchorLayer(
            level,
            strides[level],
            tuple((float(z), float(y), float(x)) for (z, y, x), at in zip(sizes, levels, strict=True) if at == level),
        )
        for level in sorted(set(levels))
    )


def _find_level(size: NDArray[np.float64], *, strides: Sequence[Triple]) -> int:
    """The coarsest layer that a size (3,) fits, or the finest."""
    fitting = [level for level, stride in enumerate(strides) if (np.multiply(stride, _STEPS_PER_SIZE) <= size).all()]
    return max(fitting, default=0)


def place_anchors(layer: AnchorLayer, shape: Triple) -> Tensor:
    """Place the anchors of a layer.

    Parameters
    ----------
    layer
        Its stride and sizes.
    shape
        Locations (Z, Y, X) of the layer; location i is centred at (i + 0.5) * stride.

    Returns
    -------
    (Z * Y * X * r, 2, 3) float32 boxes, x faster than y than z, the sizes fastest. They may reach over the volume.
    """
    along = [(torch.arange(count) + 0.5) * step for count, step in zip(shape, layer.stride, strict=True)]
    centres = torch.stack(torch.meshgrid(*along, indexing="ij"), dim=-1).reshape(-1, 1, 3)
    halves = torch.tensor(layer.sizes, dtype=torch.float32)[None] / 2  # (1, r, 3)
    return torch.stack([centres - halves, centres + halves], dim=2).reshape(-1, 2, 3)
