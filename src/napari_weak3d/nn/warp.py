"""Image and labels moved together, in one resampling, straight from the volume.

A :class:`Grid` says for each voxel of the result where in the source it comes from: a matrix, an offset, and possibly
a smooth displacement. The image is interpolated linearly and mirrored at the volume's faces. Labels are never
interpolated: each voxel takes the label of the source voxel nearest to where it comes from, and is unlabelled where
that lies outside. So a painted plane stays one voxel thick when it is turned, and no hole appears in it as long as
the source is not sampled more coarsely than voxel by voxel; zooming out drops some of its voxels, zooming in thickens
it.

Where a grid only moves whole voxels (flips, swapped axes), nothing is computed; where it stays on the slices of the
source, slices are resampled in 2D: nothing blurs along z, and it is several times as fast.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import grid_sample

from napari_weak3d.nn.separable import apply_along_axes, spline_matrix
from napari_weak3d.nn.tiles import read_box

Shape: TypeAlias = tuple[int, int, int]
Displacement: TypeAlias = tuple[Tensor | None, Tensor | None, Tensor | None]
"""What is added to z, y and x: (Z, Y, X) float32 in voxels each, or None for nothing."""

UNLABELLED = -1
"""The label of voxels about which nothing is known; also of everything outside the volume."""


class Patch(NamedTuple):
    """What a network trains on.

    Attributes
    ----------
    image
        (C, Z, Y, X) float32.
    labels
        (Z, Y, X) int64; ``UNLABELLED`` where nothing is known.
    extra
        (E, Z, Y, X) float32: images that were moved along but whose values mean something; E may be 0.
    """

    image: Tensor
    labels: Tensor
    extra: Tensor


@dataclass(frozen=True, eq=False)
class Grid:
    """Where each voxel of a result comes from.

    Attributes
    ----------
    shape
        (Z, Y, X) of the result.
    matrix, offset
        (3, 3) and (3,) float64: source = matrix @ voxel + offset; both in voxels, zyx.
    displacement
        What is added to the source's z, y and x.
    """

    shape: Shape
    matrix: NDArray[np.float64]
    offset: NDArray[np.float64]
    displacement: Displacement = (None, None, None)

    @property
    def moves_whole_voxels(self) -> bool:
        """Whether each voxel comes from exactly one: only flips, swapped axes and whole steps."""
        is_permutation = bool((np.sort(np.abs(self.matrix), axis=1) == [0, 0, 1]).all())
        is_whole = bool((self.offset == np.round(self.offset)).all())
        return is_permutation and is_whole and all(part is None for part in self.displacement)

    @property
    def keeps_slices(self) -> bool:
        """Whether each z slice comes from exactly one z slice, whatever happens within it."""
        z, y, x = self.matrix[0]
        return (abs(z), y, x) == (1, 0, 0) and self.offset[0] == round(self.offset[0]) and self.displacement[0] is None

    def source_along(self, axis: int, *, first: int = 0) -> Tensor:
        """Give one coordinate of the source, (Z, Y, X) float32 in voxels, counted from voxel ``first``.

        Size 1 along z where it does not depend on z.
        """
        z, y, x = (
            torch.from_numpy((factor * np.arange(size)).astype(np.float32))
            for factor, size in zip(self.matrix[axis], self.shape, strict=True)
        )
        plane = y[:, None] + x + float(self.offset[axis] - first)
        affine = z[:, None, None] + plane if self.matrix[axis, 0] != 0 else plane[None]
        moved = self.displacement[axis]
        return affine if moved is None else affine + moved


def sample_displacement(
    shape: Shape,
    *,
    sigma_vox: tuple[float, float, float],
    step_vox: tuple[float, float, float],
    rng: np.random.Generator,
) -> Displacement:
    """Draw a smooth random displacement: normal vectors on a coarse grid, cubic B-splines between.

    Parameters
    ----------
    shape
        (Z, Y, X) of the result.
    sigma_vox
        Standard deviation of the vectors' z, y and x, in voxels; 0: no displacement along this axis.
    step_vox
        Distance of the grid's nodes along z, y and x, in voxels.

    Returns
    -------
    tuple
        For z, y and x: (Z, Y, X) float32 in voxels, or None. Three small matrix products each.
    """
    matrices = [spline_matrix(size, step=step) for size, step in zip(shape, step_vox, strict=True)]
    vectors = rng.standard_normal((3, *(matrix.shape[1] for matrix in matrices)), dtype=np.float32)
    z, y, x = (
        apply_along_axes(torch.from_numpy(sigma * part)[None], matrices)[0] if sigma > 0 else None
        for sigma, part in zip(sigma_vox, vectors, strict=True)
    )
    return z, y, x


def warp(image: Any, labels: Any, *, grid: Grid, extra: Any = None) -> Patch:
    """Take a patch out of a volume, moved as a grid says, in one resampling.

    Parameters
    ----------
    image
        (C, Z, Y, X): array or tensor, or anything sliced like one; only the part that is needed is read. Mirrored
        where the grid reaches beyond it.
    labels
        (Z, Y, X) integers, up to 2**24 in size; ``UNLABELLED`` is one of them.
    grid
        Where the result's voxels come from.
    extra
        (E, Z, Y, X) or None: moved like the image.
    """
    if grid.moves_whole_voxels:
        image_out, labels_out = _move_voxels(image, labels, grid=grid, extra=extra)
    elif grid.keeps_slices:
        image_out, labels_out = _resample_slices(image, labels, grid=grid, extra=extra)
    else:
        image_out, labels_out = _resample(image, labels, grid=grid, extra=extra)
    n_channels = image.shape[0]
    return Patch(image_out[:n_channels], labels_out, image_out[n_channels:])


def _move_voxels(image: Any, labels: Any, *, grid: Grid, extra: Any) -> tuple[Tensor, Tensor]:
    """For grids of flips and swaps: the box turned round."""
    ends = np.stack([grid.offset, grid.matrix @ (np.array(grid.shape) - 1) + grid.offset])
    axes = np.abs(grid.matrix).argmax(axis=0)  # of the source, for each axis of the result
    backwards = [axis for axis in range(3) if grid.matrix[axes[axis], axis] < 0]
    # Rows of the matrix have one entry, so the far corner of the result is the far corner of the box.
    lo, hi = ends.min(axis=0).astype(int), ends.max(axis=0).astype(int) + 1
    image_box, labels_box = _read(image, labels, extra=extra, lo=lo, hi=hi)
    moved = labels_box.permute(*axes).flip(backwards)
    return image_box.permute(0, *(axes + 1)).flip([axis + 1 for axis in backwards]), moved.round().long()


def _resample_slices(image: Any, labels: Any, *, grid: Grid, extra: Any) -> tuple[Tensor, Tensor]:
    """For grids that stay on slices: one 2D resampling per slice."""
    depth, height, width = grid.shape
    ends = grid.offset[0] + grid.matrix[0, 0] * np.array([0, depth - 1])
    source = list(torch.broadcast_tensors(grid.source_along(1), grid.source_along(2)))  # type: ignore[no-untyped-call]
    lo, hi = _bounds(source)
    lo, hi = np.array([ends.min(), *lo], int), np.array([ends.max() + 1, *hi], int)
    image_box, labels_box = _read(image, labels, extra=extra, lo=lo, hi=hi)
    if grid.matrix[0, 0] < 0:
        image_box, labels_box = image_box.flip(1), labels_box.flip(0)
    # (Z or 1, Y, X, 2), x first
    where = torch.stack(_normalise(source, lo=lo[1:], hi=hi[1:])[::-1], dim=-1).expand(depth, height, width, 2)
    # slices as a batch: (C, Z, Y, X) -> (Z, C, Y, X)
    image_out = grid_sample(image_box.transpose(0, 1), where, mode="bilinear", align_corners=False)
    labels_out = grid_sample(labels_box[:, None], where, mode="nearest", align_corners=False)
    return image_out.transpose(0, 1).contiguous(), labels_out[:, 0].round().long()


def _resample(image: Any, labels: Any, *, grid: Grid, extra: Any) -> tuple[Tensor, Tensor]:
    """For all other grids: one 3D resampling."""
    source = [grid.source_along(axis).expand(grid.shape) for axis in range(3)]
    lo, hi = _bounds(source)
    image_box, labels_box = _read(image, labels, extra=extra, lo=lo, hi=hi)
    # grid_sample runs one thread per item of the batch: the voxels are dealt out to a batch of equal parts.
    parts = gcd(source[0].numel(), torch.get_num_threads())
    where = torch.stack([part.reshape(parts, 1, 1, -1) for part in _normalise(source, lo=lo, hi=hi)[::-1]])
    where = where.movedim(0, -1)  # (parts, 1, 1, voxels, 3), x first; strides are cheaper here than another copy
    image_out = grid_sample(image_box.expand(parts, -1, -1, -1, -1), where, mode="bilinear", align_corners=False)
    labels_out = grid_sample(labels_box.expand(parts, 1, -1, -1, -1), where, mode="nearest", align_corners=False)
    # (parts, C, 1, 1, voxels) -> (C, Z, Y, X)
    return image_out.transpose(0, 1).reshape(-1, *grid.shape), labels_out.reshape(grid.shape).round_().long()


def _bounds(source: list[Tensor]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The half-open box of voxels between which the coordinates lie."""
    ends = np.array([[float(end) for end in torch.aminmax(part)] for part in source])
    return np.floor(ends[:, 0]).astype(int), np.ceil(ends[:, 1]).astype(int) + 1


def _normalise(source: list[Tensor], *, lo: NDArray[np.int64], hi: NDArray[np.int64]) -> list[Tensor]:
    """Coordinates in voxels -> -1..1 over the faces of the box, as grid_sample has them."""
    return [
        (part - float(first)).mul_(2 / float(end - first)).add_(1 / float(end - first) - 1)
        for part, first, end in zip(source, lo, hi, strict=True)
    ]


def _read(
    image: Any, labels: Any, *, extra: Any, lo: NDArray[np.int64], hi: NDArray[np.int64]
) -> tuple[Tensor, Tensor]:
    """Read the box [lo, hi): images mirrored beyond the volume, labels unlabelled there; all float32."""
    shape = tuple(int(size) for size in hi - lo)
    start = [int(first) for first in lo]
    n_channels = image.shape[0]
    n_extra = 0 if extra is None else extra.shape[0]
    images = np.empty((n_channels + n_extra, *shape), np.float32)
    read_box(image, start, out=images[:n_channels])
    if extra is not None:
        read_box(extra, start, out=images[n_channels:])
    inside = [
        slice(max(0, first), max(0, min(int(end), size)))
        for first, end, size in zip(start, hi, labels.shape, strict=True)
    ]
    box = np.full(shape, UNLABELLED, np.float32)
    part = np.asarray(labels[tuple(inside)])
    if part.size:
        box[tuple(slice(s.start - first, s.stop - first) for s, first in zip(inside, start, strict=True))] = part
    return torch.from_numpy(images), torch.from_numpy(box)
