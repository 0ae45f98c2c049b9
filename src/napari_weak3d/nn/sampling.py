"""Patches of sparsely labelled volumes: every labelled voxel can be drawn from the first step on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeAlias

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
    hidden
        Planes whose labels are not to be seen.
    """

    view: SlabView
    labels: NDArray[np.int16]
    maps: NDArray[np.float32]
    spacing: Spacing
    hidden: tuple[int, ...] = ()


@dataclass(frozen=True)
class Batch:
    """What a network is stepped on: image (B, C, Z, Y, X), labels (B, Z, Y, X) int64, maps (B, E, Z, Y, X).

    ``spacings``: (z, y, x) of each patch.
    """

    image: Tensor
    labels: Tensor
    maps: Tensor
    spacings: tuple[Spacing, ...]


class Run(NamedTuple):
    """Voxels of one class in one plane: source, plane, (N,) int32 pixels y * width + x, and that width."""

    source: int
    plane: int
    pixels: NDArray[np.int32]
    width: int


@dataclass(frozen=True)
class Spots:
    """Where patches may be centred.

    Attributes
    ----------
    by_class
        For each class its labelled voxels, plane by plane.
    shares
        How often a patch is centred on each class, 0..1; None: half of them on a class drawn evenly, the others on any
        labelled voxel. What a class without voxels would have goes to the others.
    """

    by_class: tuple[tuple[Run, ...], ...]
    shares: tuple[float, ...] | None = None

    @property
    def counts(self) -> list[int]:
        """Labelled voxels of each class."""
        return [sum(len(run.pixels) for run in runs) for runs in self.by_class]

    def without(self, hidden: Sequence[Sequence[int]]) -> Spots:
        """The same without some planes of each source; what is left is shared, not copied."""
        kept = tuple(tuple(run for run in runs if run.plane not in hidden[run.source]) for runs in self.by_class)
        return replace(self, by_class=kept)

    def voxel(self, of_class: int, number: int) -> tuple[int, int, int, int]:
        """Give a class's voxel by its number: (source, z, y, x), in this order."""
        for run in self.by_class[of_class]:
            if number < len(run.pixels):
                y, x = divmod(int(run.pixels[number]), run.width)
                return run.source, run.plane, y, x
            number -= len(run.pixels)
        raise IndexError(f"class {of_class} has no voxel {number} beyond its last")


def find_spots(sources: list[Source], *, n_classes: int) -> Spots:
    """List the labelled voxels of each class.

    Parameters
    ----------
    sources
        The volumes.
    n_classes
        Classes are 0 to ``n_classes - 1``.
    """
    found: list[list[Run]] = [[] for _ in range(n_classes)]
    for number, source in enumerate(sources):
        for z, plane in enumerate(source.labels):
            if (plane == UNLABELLED).all() or z in source.hidden:
                continue
            for value in range(n_classes):
                pixels = np.flatnonzero(plane == value).astype(np.int32)
                if len(pixels):
                    found[value].append(Run(number, z, pixels, plane.shape[1]))
    return Spots(tuple(map(tuple, found)))


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
    image, labels, maps, spacings = zip(*patches, strict=True)
    return Batch(torch.stack(image), torch.stack(labels), torch.stack(maps), spacings)


def _draw_patch(
    sources: list[Source], spots: Spots, *, shape: Shape, augmentation: Augmentation, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor, Spacing]:
    number, *centre = _draw_spot(spots, rng=rng)
    source = sources[number]
    view = source.view.reversed() if rng.random() < augmentation.flip_chance else source.view
    # The spot lies anywhere in the patch, not in its middle: context differs, and so does the distance to the border.
    centre_vox = [
        keep_inside(at + rng.uniform(-0.5, 0.5) * side * (side > 1), side=side, length=length)
        for at, side, length in zip(centre, shape, source.labels.shape, strict=True)
    ]
    grid = sample_grid(
        shape,
        spacing=source.spacing,
        augmentation=augmentation,
        rng=rng,
        centre_vox=(centre_vox[0], centre_vox[1], centre_vox[2]),
    )
    labels = _Unhidden(source.labels, source.hidden) if source.hidden else source.labels
    patch = warp(view, labels, grid=grid, extra=source.maps)
    # The planes of a slab are one image: they change alike. (C * O, 1, Y, X) -> (C, O, Y, X) and back.
    slabs = patch.image.reshape(-1, len(view.offsets) * shape[0], *shape[1:])
    greys = change_greys(slabs, ranges=augmentation.greys, spacing=source.spacing, rng=rng)
    return greys.reshape(patch.image.shape), patch.labels, patch.extra, source.spacing


def _draw_spot(spots: Spots, *, rng: np.random.Generator) -> list[int]:
    counts = np.array(spots.counts, dtype=float)
    present = (counts > 0).astype(float)
    if spots.shares is None:
        chances = present if rng.random() < _ANY_CLASS_CHANCE else counts
    else:
        chances = present * spots.shares
    of_class = int(rng.choice(len(counts), p=chances / chances.sum()))
    return list(spots.voxel(of_class, int(rng.integers(int(counts[of_class])))))


class _Unhidden:
    """Labels read box by box, hidden planes unlabelled: a copy of a whole volume per network would fill the memory."""

    def __init__(self, labels: NDArray[np.int16], hidden: Sequence[int]) -> None:
        self._labels, self._hidden = labels, hidden
        self.shape = labels.shape

    def __getitem__(self, where: tuple[slice, ...]) -> NDArray[Any]:
        planes = np.arange(*where[0].indices(self.shape[0]))
        return np.where(np.isin(planes, self._hidden)[:, None, None], UNLABELLED, self._labels[where])


def keep_inside(at: float, *, side: int, length: int) -> float:
    """Move a centre so that a patch of this side reaches over the volume's face as little as it can."""
    half = side / 2
    return length / 2 - 0.5 if side >= length else float(np.clip(at, half - 0.5, length - half - 0.5))
