"""Grey values as networks like them: robust against bright spots, uneven staining and any gain of the camera."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_weak3d.types import Spacing

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


def _compress(values: NDArray[np.float32]) -> NDArray[np.float32]:
    step = max(1, round((values.size / _SAMPLE) ** (1 / 3)))
    low, middle, high = np.percentile(values[::step, ::step, ::step], (1, 50, 90))
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
    mean = _smooth(values, window)
    variance = _smooth(values * values, window) - mean * mean
    deviation = np.sqrt(np.maximum(variance, np.float32(_LEAST_LOCAL_DEVIATION**2)))
    contrast: NDArray[np.float32] = ((values - mean) / deviation).astype(np.float32, copy=False)
    return contrast


def _smooth(values: NDArray[np.float32], window: list[int]) -> NDArray[np.float32]:
    """Apply a box filter twice, a triangle: near a Gaussian, at a cost that does not grow with the window."""
    once: NDArray[np.float32] = ndimage.uniform_filter(values, window, mode="reflect")
    twice: NDArray[np.float32] = ndimage.uniform_filter(once, window, mode="reflect")
    return twice
