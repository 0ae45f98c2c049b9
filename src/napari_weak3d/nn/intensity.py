"""Grey values as networks like them: robust against bright spots, uneven staining and any gain of the camera."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_weak3d.types import Spacing

Greys: TypeAlias = tuple[float, float, float]
"""Low, middle and high grey value of a channel."""

_PERCENTILES = (1, 50, 90)
"""Low, middle, high: bright spots, which are few, do not count."""
_SAMPLE = 2_000_000
"""Voxels that percentiles are taken from."""
_LOCAL_VOX = 48.0
"""Window of local contrast, in voxels of the smallest spacing: larger than most cells (ours)."""
_LEAST_LOCAL_DEVIATION = 0.15
"""Where a window varies less than this (in standard deviations of the volume), its noise is not blown up (ours)."""
_LARGEST = 6.0
"""Values are clipped here, so that one hot pixel cannot drown a batch."""


def normalise(image: Any, *, spacing: Spacing) -> NDArray[np.float32]:
    """Turn grey values into two channels each: compressed values, and local contrast.

    The first keeps absolute brightness (an arcsinh: linear for dim voxels, logarithmic for bright ones), at mean 0 and
    deviation 1 over the volume; the second is its deviation from the local mean in local standard deviations, which
    uneven staining and depth do not change.

    Parameters
    ----------
    image
        (C, Z, Y, X), any numeric dtype, lazy too; finite. A constant channel becomes 0.
    spacing
        (z, y, x), any unit.

    Returns
    -------
    (2C, Z, Y, X) float32 in -6..6: channel 2c is the brightness of channel c, 2c + 1 its local contrast.
    """
    # Filled channel by channel: of a large volume, lists and stacks of channels would be held two or three times.
    normal = np.empty((2 * image.shape[0], *image.shape[1:]), np.float32)
    for channel in range(image.shape[0]):
        bright = _compress(np.asarray(image[channel], dtype=np.float32))
        np.clip(_local_contrast(bright, spacing=spacing), -_LARGEST, _LARGEST, out=normal[2 * channel + 1])
        np.clip(bright, -_LARGEST, _LARGEST, out=normal[2 * channel])
    return normal


def measure_greys(image: Any) -> tuple[Greys, ...]:
    """Give the grey values that :func:`normalise` goes by: low, middle and high of each channel.

    Parameters
    ----------
    image
        (C, Z, Y, X), any numeric dtype, lazy too.

    Returns
    -------
    Per channel percentiles 1, 50 and 90 over about two million voxels.
    """
    return tuple(_measure(_sample(image[channel])) for channel in range(image.shape[0]))


def _sample(values: Any) -> NDArray[np.float32]:
    """(Z, Y, X) -> about two million of its voxels, evenly spread; a lazy volume is read only there."""
    step = max(1, round((np.prod(values.shape) / _SAMPLE) ** (1 / 3)))
    return np.asarray(values[::step, ::step, ::step], dtype=np.float32)


def _measure(values: NDArray[np.float32]) -> Greys:
    low, middle, high = np.percentile(values, _PERCENTILES)
    return float(low), float(middle), float(high)


def _compress(values: NDArray[np.float32]) -> NDArray[np.float32]:
    low, middle, high = _measure(_sample(values))
    scale = (high - low) / 2 or float(values.std()) or 1.0
    compressed = np.arcsinh((values - np.float32(middle)) / np.float32(scale))
    deviation = float(compressed.std()) or 1.0
    standard: NDArray[np.float32] = (compressed - compressed.mean()) / np.float32(deviation)
    return standard


def _local_contrast(values: NDArray[np.float32], *, spacing: Spacing) -> NDArray[np.float32]:
    finest = min(spacing)
    window = [max(1, round(_LOCAL_VOX * finest / along)) for along in spacing]
    # A window of two or three planes is no neighbourhood, only an unsteady one: then each plane for itself.
    window[0] = window[0] if window[0] >= window[1] / 4 else 1
    with ThreadPoolExecutor(2) as pool:
        mean, deviation = pool.map(lambda part: _smooth(part, window), (values, values * values))
    # In place: each of these is as large as the volume.
    deviation -= mean * mean
    np.sqrt(np.maximum(deviation, np.float32(_LEAST_LOCAL_DEVIATION**2), out=deviation), out=deviation)
    np.subtract(values, mean, out=mean)
    mean /= deviation
    return mean


def _smooth(values: NDArray[np.float32], window: list[int]) -> NDArray[np.float32]:
    """Apply a box filter twice, a triangle: near a Gaussian, at a cost that does not grow with the window."""
    for _ in range(2):
        for axis, size in enumerate(window):
            values = average_along(values, axis, size=size) if size > 1 else values
    return values


def average_along(values: NDArray[np.float32], axis: int, *, size: int) -> NDArray[np.float32]:
    """Average over a window along an axis, mirrored at the volume's faces.

    As ``scipy.ndimage.uniform_filter1d``, in a third of the time along z and y: whole rows are added to a running sum,
    where scipy gathers voxels line by line.

    Parameters
    ----------
    values
        (Z, Y, X).
    size
        Voxels of the window; of an even number one more lies before than after.
    """
    if axis == 2:  # lines lie in memory as they are: nothing to gather
        along_x: NDArray[np.float32] = ndimage.uniform_filter1d(values, size, axis=2, mode="reflect")
        return along_x
    averaged = np.empty_like(values)
    rows, out = np.moveaxis(values, axis, 0), np.moveaxis(averaged, axis, 0)
    before = size // 2
    index = _reflect(np.arange(-before, len(rows) + size - before), len(rows))
    total = rows[index[:size]].sum(axis=0, dtype=np.float64)
    for at in range(len(rows)):
        np.divide(total, size, out=out[at], casting="same_kind")
        total += rows[index[at + size]]
        total -= rows[index[at]]
    return averaged


def _reflect(index: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Fold indices into 0..length - 1, the outermost voxel twice: d c b a | a b c d | d c b a."""
    folded = index % (2 * length)
    return np.minimum(folded, 2 * length - 1 - folded)
