"""Patches of sparsely labelled volumes: every labelled voxel can be drawn from the first step on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_weak3d.nn.augment import Augmentation, sample_grid, warp
from napari_weak3d.nn.greys import change_greys
from napari_weak3d.nn.slabs import SlabView
from napari_weak3d.nn.warp import UNLABELLED
from napari_weak3d.types import Spacing

Shape: TypeAlias = tuple[int, int, int]

_ANY_CLASS_CHANCE = 0.5
"""Of a patch around a voxel of a class drawn evenly, not around any labelled voxel: rare objects are seen often."""


@dataclass(frozen=True, eq=False)
class Source:
    """A volume to draw patches from.

    Attributes
    ----------
    view
        The image, (C, Z, Y, X) float32 or slabs of it.
    labels
        (Z, Y, X) int16 classes, or ``UNLABELLED``.
    maps
        (E, Z, Y, X) float32 in 0..1, further targets of the labelled voxels; E may be 0.
    spacing
        (z, y, x).
    """

    view: SlabView
    labels: NDArray[np.int16]
    maps: NDArray[np.float32]
    spacing: Spacing


@dataclass(frozen=True)
class Batch:
    """What a network is stepped on: image (B, C, Z, Y, X), labels (B, Z, Y, X) int64, maps (B, E, Z, Y, X)."""

    image: Tensor
    labels: Tensor
    maps: Tensor


@dataclass(frozen=True)
class Spots:
    """Where patches may be centred: for each class its labelled voxels, (N, 4) int32: source, z, y, x."""

    by_class: tuple[NDArray[np.int32], ...]

    @property
    def counts(self) -> list[int]:
        """Labelled voxels of each class."""
        return [len(spots) for spots in self.by_class]


def find_spots(sources: list[Source], *, n_classes: int) -> Spots:
    """List the labelled voxels of each class.

    Parameters
    ----------
    sources
        The volumes.
    n_classes
        Classes are 0 to ``n_classes - 1``.
    """
    found: list[list[NDArray[np.int32]]] = [[] for _ in range(n_classes)]
    for number, source in enumerate(sources):
        for z in np.flatnonzero((source.labels != UNLABELLED).any(axis=(1, 2))):
            for value in range(n_classes):
                y, x = np.nonzero(source.labels[z] == value)
                spots = np.stack([np.full_like(y, number), np.full_like(y, z), y, x], axis=1)
                found[value].append(spots.astype(np.int32))
    empty = np.empty((0, 4), np.int32)
    return Spots(tuple(np.concatenate([empty, *spots]) for spots in found))


def draw_batch(
    sources: list[Source],
    spots: Spots,
    *,
    size: int,
    shape: Shape,
    augmentation: Augmentation,
    rng: np.random.Generator,
) -> Batch:
    """Draw patches around labelled voxels, each moved and changed at random.

    Parameters
    ----------
    sources, spots
        The volumes, and where patches may be centred.
    size
        Patches in the batch.
    shape
        (Z, Y, X) of each.
    """
    patches = [_draw_patch(sources, spots, shape=shape, augmentation=augmentation, rng=rng) for _ in range(size)]
    image, labels, maps = (torch.stack(parts) for parts in zip(*patches, strict=True))
    return Batch(image, labels, maps)


def _draw_patch(
    sources: list[Source], spots: Spots, *, shape: Shape, augmentation: Augmentation, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    number, *centre = _draw_spot(spots, rng=rng)
    source = sources[number]
    view = source.view.reversed() if rng.random() < augmentation.flip_chance else source.view
    # The spot lies anywhere in the patch, not in its middle: context differs, and so does the distance to the border.
    centre_vox = [
        _keep_inside(at + rng.uniform(-0.5, 0.5) * side * (side > 1), side=side, length=length)
        for at, side, length in zip(centre, shape, source.labels.shape, strict=True)
    ]
    grid = sample_grid(
        shape,
        spacing=source.spacing,
        augmentation=augmentation,
        rng=rng,
        centre_vox=(centre_vox[0], centre_vox[1], centre_vox[2]),
    )
    patch = warp(view, source.labels, grid=grid, extra=source.maps)
    # The planes of a slab are one image: they change alike. (C * O, 1, Y, X) -> (C, O, Y, X) and back.
    slabs = patch.image.reshape(-1, len(view.offsets) * shape[0], *shape[1:])
    greys = change_greys(slabs, ranges=augmentation.greys, spacing=source.spacing, rng=rng)
    return greys.reshape(patch.image.shape), patch.labels, patch.extra


def _draw_spot(spots: Spots, *, rng: np.random.Generator) -> list[int]:
    counts = np.array(spots.counts, dtype=float)
    present = (counts > 0).astype(float)
    chances = present if rng.random() < _ANY_CLASS_CHANCE else counts
    of_class = spots.by_class[rng.choice(len(counts), p=chances / chances.sum())]
    return [int(part) for part in of_class[rng.integers(len(of_class))]]


def _keep_inside(at: float, *, side: int, length: int) -> float:
    """Move a centre so that a patch of this side reaches over the volume's face as little as it can."""
    half = side / 2
    return length / 2 - 0.5 if side >= length else float(np.clip(at, half - 0.5, length - half - 0.5))
