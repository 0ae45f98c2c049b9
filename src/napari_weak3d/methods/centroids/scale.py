"""What cells look like around the clicks: how large, bright or dark inside, and in which channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_weak3d.methods.centroids.targets import nearest_neighbours
from napari_weak3d.types import Spacing, nearest_voxels

_SMALLEST_VOX, _LARGEST_VOX = 3.0, 40.0
"""Radii that are tried, in voxels of the finest axis: below, noise of single voxels answers."""
_STEP = 1.18
_LEAST_SIGMA_VOX = 0.6
"""A second derivative of a narrower Gaussian is one of single voxels, along coarse axes too."""
_ROOM = 1.4
"""Radii up to this times half the distance to the nearest click are tried: cells that touch are no larger."""
_LEAST_OF_ROOM = 0.85
"""Of half the distance to the nearest click, radius of a cell with a bright border (ours: by clicks in the middle it
is measured as 0.88 to 0.99 of it)."""
_STILL = 0.5
_FEWEST = 8
"""Clicks that tell how much room cells have."""
_TRUNCATE = 3.0
"""Where the filter ends, in its sigmas."""
_SAMPLE = 60
"""Clicks that are looked at: more tell the same."""


@dataclass(frozen=True)
class CellLook:
    """What a typical cell looks like.

    Attributes
    ----------
    radius
        Of a ball as large as it, in the unit of the spacing.
    bright_inside
        Whether it is brighter than what is around it; a membrane stain makes it darker.
    channel
        The image channel that shows it best.
    transmitted
        Whether it is transparent: only its border shows, and neither its brightness nor that around it means anything.
    """

    radius: float
    bright_inside: bool
    channel: int = 0
    transmitted: bool = False


def measure_cells(
    image: NDArray[np.float32],
    points_vox: NDArray[np.float64],
    *,
    spacing: Spacing,
    signs: Sequence[int] = (1, -1),
) -> CellLook:
    """Tell size and brightness of a typical cell by its blob response at the clicks.

    Of all radii and channels, the one wins at which the scale-normalised Laplacian of Gaussian is largest, in the
    median over the clicks: for a ball of radius R it is at sigma = R / sqrt(3). Its sign tells bright cells from dark
    ones.

    Parameters
    ----------
    image
        (C, Z, Y, X), one channel per stain.
    points_vox
        (N, 3) clicks, at least one.
    spacing
        (z, y, x).
    signs
        1: bright cells are looked for, -1: dark ones.

    References
    ----------
    T. Lindeberg, Image matching using generalized scale-space interest points, JMIV 52 (2015).
    """
    chosen = _sample(points_vox)
    radii = list_radii(points_vox, shape=image.shape[1:], spacing=spacing)
    answers = np.array(  # (C, R)
        [[np.median(answer_at(values, chosen, radius=radius, spacing=spacing)) for radius in radii] for values in image]
    )
    signed = np.array(signs)[:, None, None] * answers
    sign, channel, at = (int(index) for index in np.unravel_index(signed.argmax(), signed.shape))
    radius = radii[at] * _STEP ** _top_beside(signed[sign, channel], at)
    return CellLook(radius, signs[sign] > 0, channel)


def _top_beside(values: NDArray[np.float64], at: int) -> float:
    """Where the parabola through the largest of some values and its neighbours is highest, in steps from it.

    At the ends nothing is known beyond: there it is the largest itself.
    """
    if not 0 < at < len(values) - 1:
        return 0.0
    before, here, after = values[at - 1 : at + 2]
    bend = 2 * here - before - after
    return float(np.clip((after - before) / (2 * bend), -0.5, 0.5)) if bend > 0 else 0.0


def fill_room(
    look: CellLook, image: NDArray[np.float32], points_vox: NDArray[np.float64], *, spacing: Spacing
) -> CellLook:
    """Let dark cells that fill a tissue be nearly as large as the room that their clicks leave them.

    Clicks of human hands lie near or on membranes, too: at just these voxels a small radius answers best.

    Parameters
    ----------
    look, image, points_vox, spacing
        From and as for :func:`measure_cells`; all cells are clicked.

    Returns
    -------
    The look; where cells are bright, or the answer at the larger radius is less than half of the best, unchanged:
    these are no tissue.
    """
    if look.bright_inside or len(points_vox) < _FEWEST:
        return look
    radius = _LEAST_OF_ROOM * 0.5 * float(np.median(nearest_neighbours(points_vox, spacing=spacing)))
    if radius <= look.radius:
        return look
    least, larger = (
        float(np.median(answer_at(image[look.channel], _sample(points_vox), radius=size, spacing=spacing)))
        for size in (look.radius, radius)
    )
    return replace(look, radius=radius) if larger <= _STILL * least < 0 else look


def list_radii(points_vox: NDArray[np.float64], *, shape: Sequence[int], spacing: Spacing) -> list[float]:
    """List the radii that cells with these clicks (N, 3) in a volume of ``shape`` may have, the smallest first."""
    finest = min(spacing)
    largest = min(_LARGEST_VOX * finest, 0.5 * max(size * along for size, along in zip(shape, spacing, strict=True)))
    if len(points_vox) > 1:
        largest = min(largest, _ROOM * 0.5 * float(np.median(nearest_neighbours(points_vox, spacing=spacing))))
    smallest = max(_SMALLEST_VOX * finest, _LEAST_SIGMA_VOX * np.sqrt(3) * sorted(spacing)[1])
    count = max(1, 1 + int(np.log(max(largest / smallest, 1)) / np.log(_STEP)))
    return [float(smallest * _STEP**number) for number in range(count)]


def _sample(points_vox: NDArray[np.float64]) -> NDArray[np.float64]:
    """Some of the clicks, evenly over their order."""
    rows = np.linspace(0, len(points_vox) - 1, min(len(points_vox), _SAMPLE)).round().astype(int)
    sampled: NDArray[np.float64] = points_vox[rows]
    return sampled


def answer_at(
    values: NDArray[np.float32], points_vox: NDArray[np.float64], *, radius: float, spacing: Spacing
) -> NDArray[np.float64]:
    """Give minus the scale-normalised Laplacian of Gaussian at some points: positive in bright balls.

    Only what the filter reaches from these is looked at: of large volumes that is little.

    Parameters
    ----------
    values
        (Z, Y, X); beyond its faces it goes on as there.
    points_vox
        (N, 3).
    radius
        Of balls that answer most, in the unit of the spacing.

    Returns
    -------
    (N,). An axis along which the ball is too small for a second derivative is left out.
    """
    kernels = [_draw_kernels(radius / np.sqrt(3) / along) for along in spacing]
    at = nearest_voxels(points_vox, shape=values.shape)
    return np.array([_answer_in(_cut_out(values, place, kernels), kernels) for place in at])


def _draw_kernels(sigma: float) -> NDArray[np.float64]:
    """(2, K): a Gaussian, and its second derivative times sigma squared; the latter 0 where it is too narrow."""
    reach = int(_TRUNCATE * sigma + 0.5)
    impulse = np.zeros(2 * reach + 1)
    impulse[reach] = 1
    smooth, second = (
        ndimage.gaussian_filter1d(impulse, sigma, order=order, mode="constant", truncate=_TRUNCATE) for order in (0, 2)
    )
    return np.stack([smooth, second * sigma**2 if sigma >= _LEAST_SIGMA_VOX else 0 * second])


def _cut_out(
    values: NDArray[np.float32], place: NDArray[np.int_], kernels: Sequence[NDArray[np.float64]]
) -> NDArray[np.float32]:
    """What the kernels reach from a voxel, (Kz, Ky, Kx); beyond the volume its face goes on."""
    reaches = [kernel.shape[1] // 2 for kernel in kernels]
    z, y, x = (
        np.clip(np.arange(at - by, at + by + 1), 0, size - 1)
        for at, by, size in zip(place, reaches, values.shape, strict=True)
    )
    crop: NDArray[np.float32] = values[np.ix_(z, y, x)]
    return crop


def _answer_in(crop: NDArray[np.float32], kernels: Sequence[NDArray[np.float64]]) -> float:
    along_z, along_y, along_x = kernels
    sums = crop @ along_x.T  # (Kz, Ky, Kx) -> (Kz, Ky, 2)
    sums = along_y @ sums  # -> (Kz, 2, 2)
    sums = np.tensordot(along_z, sums, axes=1)  # -> (2, 2, 2)
    return -float(sums[1, 0, 0] + sums[0, 1, 0] + sums[0, 0, 1])
