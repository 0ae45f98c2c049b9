"""Cells of transmitted light: which of the images these are, and how large cells are of which only borders show.

A cell is as good as transparent. Where it is in focus its border is a dark ring; out of focus there are bright and dark
fringes. So neither its brightness nor its surroundings tell its size, but the circle along which its plane is sharpest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.signal import fftconvolve

from napari_weak3d.types import Spacing, nearest_voxels

Plane: TypeAlias = NDArray[np.float32]

_BLUR_VOX = 1.5
"""Of the plane, before its second derivative (ours; 1 to 2 do alike, 1 fails on noise)."""
_SECOND = ((0, 2, 0), (0, 0, 2))
_PERCENTILES = (1, 50, 99)
_MOST_ABOVE = -0.05
"""Light is taken away from a bright field: grey values reach farther below the median than above it. By this measure,
-1 to 1, synthetic bright fields are at -0.13 or less, fluorescence above 0.2; parts of dense membranes, which have no
dark rings, come down to -0.25 (ours)."""
_BRIGHT_CLICKS = 0.8
"""Where so many of the clicks are brighter than the median, cells are bright: dense nuclei in a dark medium (ours)."""
LEAST_DARKNESS = 0.1
"""Of rings of transmitted light, in standard deviations of the image (ours: synthetic ones have 0.12 or more, dense
membranes at most 0.01)."""
_SMALLEST_VOX = 3 * _BLUR_VOX
"""Radius, in voxels of the plane: of smaller rings the blur leaves nothing."""
_REACH = 0.35
"""Clicks lie that near to the middle of their rings, in radii: hands are not precise (ours)."""
_THICK = 0.08
"""Half the thickness of rings, in radii (ours)."""
_OUTSIDE = 1.4
"""How far rings are compared with what is around them, in radii (ours)."""
_STEP = 1.05
_PLANES = 5
"""Planes about a click that are looked at, at most."""
_SAMPLE = 24
"""Clicks that are looked at: more tell the same."""


@dataclass(frozen=True)
class Rings:
    """The rings at the clicks.

    Attributes
    ----------
    radius
        In the unit of the spacing.
    darkness
        By how much they are darker than both their inside and their outside, in the median.
    """

    radius: float
    darkness: float


def is_transmitted(image: NDArray[np.float32], points_vox: NDArray[np.float64]) -> bool:
    """Tell whether light is taken away from a bright field rather than added to a dark one.

    Parameters
    ----------
    image
        (Z, Y, X), the clicked part of a volume.
    points_vox
        (N, 3) clicks, in its frame.
    """
    smooth = ndimage.gaussian_filter(image, (0, 1, 1), mode="nearest")
    low, middle, high = np.percentile(smooth, _PERCENTILES)
    if (high - middle) - (middle - low) >= _MOST_ABOVE * (high - low):
        return False
    at = nearest_voxels(points_vox, shape=image.shape)
    return float((smooth[tuple(at.T)] > middle).mean()) < _BRIGHT_CLICKS


def find_rings(
    image: NDArray[np.float32], points_vox: NDArray[np.float64], *, radii: Sequence[float], spacing: Spacing
) -> Rings:
    """Find the radius of the circles about the clicks along which the image is sharpest.

    Parameters
    ----------
    image
        (Z, Y, X), standard deviation about 1.
    points_vox
        (N, 3) clicks, at least one.
    radii
        The smallest and the largest that may be; rings of less than five voxels of the plane are not looked for.
    spacing
        (z, y, x).
    """
    chosen = points_vox[np.linspace(0, len(points_vox) - 1, min(len(points_vox), _SAMPLE)).round().astype(int)]
    smallest = max(min(radii), _SMALLEST_VOX * (spacing[1] * spacing[2]) ** 0.5)
    count = 1 + int(max(0.0, np.log(max(radii) / smallest)) / np.log(_STEP))
    best = (-np.inf, Rings(smallest, 0.0))
    for radius in smallest * _STEP ** np.arange(count):
        kernels = _draw_kernels(radius, spacing=spacing)
        found = [_fit_ring(image, point, kernels, radius=radius, spacing=spacing) for point in chosen]
        sharpness, darkness = np.median(found, axis=0).tolist()
        best = max(best, (sharpness, Rings(float(radius), darkness)), key=lambda pair: pair[0])
    return best[1]


def _measure_sharpness(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, Y, X) -> the size of the Laplacian in each plane, blurred."""
    second = [ndimage.gaussian_filter(planes, (0, _BLUR_VOX, _BLUR_VOX), order=order) for order in _SECOND]
    size: NDArray[np.float32] = np.abs(second[0] + second[1])
    return size


def _fit_ring(
    image: NDArray[np.float32],
    point: NDArray[np.float64],
    kernels: tuple[Plane, Plane, Plane],
    *,
    radius: float,
    spacing: Spacing,
) -> tuple[float, float]:
    """How sharp and how dark the sharpest and the darkest ring of a radius near a click are."""
    ring, inside, outside = kernels
    planes = _cut_out(image, point, half=[size // 2 for size in ring.shape], radius=radius, spacing=spacing)
    around = np.float32(0.5) * (inside + outside)
    sharper = _correlate(_measure_sharpness(planes), ring - around)
    smooth = ndimage.gaussian_filter(planes, (0, 1, 1))
    darker = np.minimum(*(_correlate(smooth, side - ring) for side in (inside, outside)))
    return float(sharper.max()), float(darker.max())


def _draw_kernels(radius: float, *, spacing: Spacing) -> tuple[Plane, Plane, Plane]:
    """(2h + 1, 2w + 1) weights that average over a ring, over its inside and over its outside."""
    half = [int(np.ceil(_OUTSIDE * radius / along)) for along in spacing[1:]]
    y, x = (np.arange(-size, size + 1) * along for size, along in zip(half, spacing[1:], strict=True))
    distance = np.hypot(y[:, None], x[None])
    thick = max(_THICK * radius, 0.5 * min(spacing[1:]))
    parts = (np.abs(distance - radius) <= thick, distance < radius - 2 * thick, distance > radius + 2 * thick)
    ring, inside, outside = ((part & (distance <= _OUTSIDE * radius)).astype(np.float32) for part in parts)
    return ring / ring.sum(), inside / max(inside.sum(), 1), outside / max(outside.sum(), 1)


def _cut_out(
    image: NDArray[np.float32], point: NDArray[np.float64], *, half: Sequence[int], radius: float, spacing: Spacing
) -> NDArray[np.float32]:
    """Planes about a click in which rings of a radius may lie, whole; beyond the volume its face goes on."""
    z_reach, *reach = (_REACH * radius / along for along in spacing)
    depths = np.unique(np.linspace(-int(z_reach), int(z_reach), _PLANES).round().astype(int))
    sides = (np.arange(-size - int(by), size + int(by) + 1) for size, by in zip(half, reach, strict=True))
    z, y, x = (
        np.clip(round(at) + along, 0, size - 1)
        for at, along, size in zip(point, (depths, *sides), image.shape, strict=True)
    )
    return image[np.ix_(z, y, x)]


def _correlate(planes: NDArray[np.float32], kernel: Plane) -> NDArray[np.float32]:
    """(N, Y, X) -> (N, Y', X'), where the kernel, which is symmetric, lies inside."""
    correlated: NDArray[np.float32] = fftconvolve(planes, kernel[None], mode="valid", axes=(1, 2))
    return correlated
