"""Linear operations along one axis at a time, as small dense matrices: splines, blurs, coarse sampling.

A dense (n, m) product is faster here than a sliding kernel: axes are a few hundred voxels, and three products replace
three passes over the volume with strided access.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def apply_along_axes(image: Tensor, matrices: Sequence[Tensor | None]) -> Tensor:
    """Multiply each spatial axis of an image by its own matrix.

    Parameters
    ----------
    image
        (C, Z, Y, X) float32.
    matrices
        For z, y and x: (new length, length) float32, or None to leave the axis as it is.

    Returns
    -------
    Tensor
        (C, Z', Y', X').
    """
    along_z, along_y, along_x = matrices
    if along_x is not None:
        image = image @ along_x.T
    if along_y is not None:
        image = along_y @ image
    if along_z is not None:
        height_width = image.shape[2:]
        image = (along_z @ image.flatten(2)).reshape(len(image), -1, *height_width)
    return image


@lru_cache(maxsize=32)
def spline_matrix(length: int, *, step: float) -> Tensor:
    """Interpolate values at nodes by the cubic B-spline that goes through them.

    The nodes lie ``step`` voxels apart, the first one step before the axis and the last at least one step behind its
    end, at least four of them.

    Returns
    -------
    Tensor
        (length, number of nodes) float32, from values at nodes to values at voxels.
    """
    from scipy.interpolate import make_interp_spline  # noqa: PLC0415  # 0.5 s that most imports of nn can do without

    count = max(4, int(np.ceil((length - 1) / step)) + 3)
    nodes = step * (np.arange(count) - 1)
    weights = make_interp_spline(nodes, np.eye(count), k=3)(np.arange(length))
    return torch.from_numpy(weights.astype(np.float32))


def gaussian_matrix(length: int, *, sigma: float) -> Tensor | None:
    """Blur by a Gaussian of ``sigma`` voxels, cut at 3 sigma, mirrored at the ends; None where nothing would change.

    Returns
    -------
    Tensor
        (length, length) float32, rows adding up to 1.
    """
    radius = int(np.ceil(3 * sigma))
    if length == 1 or sigma <= 0:
        return None
    reach = np.arange(-radius, radius + 1)
    kernel = np.exp(-0.5 * (reach / sigma) ** 2)
    rows = np.repeat(np.arange(length), len(reach))
    columns = _mirror(np.arange(length)[:, None] + reach, length).ravel()
    matrix = np.zeros((length, length))
    np.add.at(matrix, (rows, columns), np.tile(kernel / kernel.sum(), length))
    return torch.from_numpy(matrix.astype(np.float32))


def coarse_matrix(length: int, *, factor: float) -> Tensor | None:
    """Average over cells of ``factor`` voxels and interpolate back: what a coarser recording would have shown.

    Returns
    -------
    Tensor
        (length, length) float32, rows adding up to 1; None where the cells would be the voxels.
    """
    cells = max(1, round(length / factor))
    if cells >= length:
        return None
    edges = np.linspace(0, length, cells + 1)
    voxels = np.arange(length)
    overlap = np.minimum(edges[1:, None], voxels + 1) - np.maximum(edges[:-1, None], voxels)
    average = np.clip(overlap, 0, None) * (cells / length)  # (cells, length)
    position = (voxels + 0.5) * cells / length - 0.5
    back = np.stack([np.interp(position, np.arange(cells), unit) for unit in np.eye(cells)], axis=1)
    return torch.from_numpy((back @ average).astype(np.float32))


def _mirror(index: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Fold indices into 0..length - 1 about the outermost voxels."""
    folded = np.abs(index) % (2 * (length - 1))
    mirrored: NDArray[np.int64] = np.minimum(folded, 2 * (length - 1) - folded)
    return mirrored
