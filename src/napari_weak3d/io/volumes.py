"""Image volumes in: TIFF, ImageJ hyperstacks, OME-TIFF, OME-Zarr, numpy; and the checks at the door.

Label images and results (:mod:`napari_weak3d.io.labels`) are offered here too, so that one module has all of the
voxels' way in and out.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from napari_weak3d.errors import VolumeError
from napari_weak3d.io.axes import AxesWarning, arrange_axes, check_axes, looks_channels_last
from napari_weak3d.io.formats import open_stored
from napari_weak3d.io.labels import read_labels, write_image, write_labels
from napari_weak3d.io.spacing import (
    MICROMETRE,
    UNKNOWN,
    SpacingWarning,
    check_spacing,
    name_missing,
    spacing_from_metadata,
)
from napari_weak3d.io.timepoints import take_time_point
from napari_weak3d.types import RELATIVE, Spacing, Volume

__all__ = ["AxesWarning", "SpacingWarning", "check_image", "read_labels", "read_volume", "write_image", "write_labels"]

_LARGEST = float(np.finfo(np.float32).max)
_BLOCK_VOXELS = 2**24  # 64 MB as float32


def read_volume(
    path: str | os.PathLike[str],
    *,
    spacing: Spacing | None = None,
    channel_axis: int | None = None,
    time_index: int | None = None,
) -> Volume:
    """Open an image volume; its voxels are read when they are asked for.

    Parameters
    ----------
    path
        TIFF (plain, ImageJ hyperstack, OME-TIFF), OME-Zarr 0.4 or 0.5 (the finest level), or .npy. 2D becomes one
        slice.
    spacing
        Size of a voxel (z, y, x) in micrometres; wins over the metadata.
    channel_axis
        Which axis of the file holds the channels, negative from the end; needed where the file does not name its
        axes and has four, and for RGB. Wins over the metadata. Without it, more than 7 channels of a single slice are
        taken for slices, with an :class:`AxesWarning`: so tifffile writes stacks for ImageJ unless told the axes.
    time_index
        Which time point of a time series, from 0; None: the file is none.

    Returns
    -------
    The volume, data (C, Z, Y, X) as numpy or as an :class:`~napari_weak3d.io.lazy.AxisView`. Spacing in micrometres;
    "relative" where the file gives no unit, and (1, 1, 1) with a :class:`SpacingWarning` where it gives no size.

    Raises
    ------
    VolumeError
        The file is missing, damaged or of an unknown kind; it is RGB, or a time series and no time point is named; the
        spacing is not positive.

    Notes
    -----
    NaN and constant images are found by :func:`check_image`, which has to read all voxels.
    """
    volume, doubts = open_volume(Path(path), spacing=spacing, channel_axis=channel_axis, time_index=time_index)
    for doubt in doubts:
        warnings.warn(doubt, stacklevel=2)
    return volume


def open_volume(
    file: Path, *, spacing: Spacing | None = None, channel_axis: int | None = None, time_index: int | None = None
) -> tuple[Volume, tuple[AxesWarning | SpacingWarning, ...]]:
    """Do what :func:`read_volume` does, and return its warnings instead of giving them.

    For threads: Python's warning filters are the whole process's, and silencing them on one thread changes what the
    others get.
    """
    given = None if spacing is None else check_spacing(spacing, where=file.name)
    stored = open_stored(file)
    if time_index is not None:
        stored, channel_axis = take_time_point(stored, time_index=time_index, channel_axis=channel_axis, name=file.name)
    data, axes_doubt = arrange_axes(stored, name=file.name, channel_axis=channel_axis)
    doubts: tuple[AxesWarning | SpacingWarning, ...] = () if axes_doubt is None else (axes_doubt,)
    if given is not None:
        return Volume(data, spacing=given, unit=MICROMETRE, name=file.name), doubts
    found = spacing_from_metadata(stored.sizes, stored.units, n_slices=data.shape[1], where=file.name)
    if found is None:
        what = f"how large a voxel is{name_missing(stored.sizes, stored.units)}"
        text = f"{file.name} does not say {what}: taken as relative (1, 1, 1); give --spacing Z,Y,X"
        found, doubts = (UNKNOWN, RELATIVE), (*doubts, SpacingWarning(text))
    return Volume(data, spacing=found[0], unit=found[1], name=file.name), doubts


def check_image(volume: Volume) -> None:
    """Make sure that a method can work on an image: reads it once, a few slices at a time.

    Raises
    ------
    VolumeError
        The data are no (C, Z, Y, X) of whole or real numbers, or empty; the spacing is not three positive numbers; a
        voxel is NaN, infinite or beyond what float32 holds (the first is named); all voxels of every channel have the
        same value; the lengths look as if channels were the last axis.
    """
    check_axes(volume)
    check_spacing(volume.spacing, where=volume.name)
    if looks_channels_last(volume.shape):
        raise VolumeError(
            f"{volume.name} is {_times(volume.shape)} (Z, Y, X): a last axis this short looks like channels: say "
            "which axis of the file holds them",
            where=volume.name,
            value=volume.shape,
            option="with --channel-axis and its number (-1: the last)",
        )
    lowest, highest = [], []
    for channel in range(volume.n_channels):
        ranges = [_finite_range(block, volume, channel=channel, z0=z0) for z0, block in _blocks(volume, channel)]
        lowest.append(min(low for low, _ in ranges))
        highest.append(max(high for _, high in ranges))
    if lowest == highest:
        raise VolumeError(
            f"{volume.name} is constant (every voxel is {lowest[0]:g}): there is nothing to see in it; "
            "choose another image, or look whether it was saved whole",
            where=volume.name,
            value=lowest[0],
        )


def _blocks(volume: Volume, channel: int) -> Iterator[tuple[int, Any]]:
    """Runs of z slices of one channel, with the index of their first."""
    n_z, n_y, n_x = volume.shape
    step = max(1, _BLOCK_VOXELS // (n_y * n_x))
    for z0 in range(0, n_z, step):
        yield z0, np.asarray(volume.data[channel, z0 : z0 + step])


def _finite_range(block: Any, volume: Volume, *, channel: int, z0: int) -> tuple[float, float]:
    """Lowest and highest value of a block (Z, Y, X) that begins at slice ``z0``."""
    low, high = float(block.min()), float(block.max())
    if max(-low, high) <= _LARGEST:
        return low, high
    fits = np.abs(np.asarray(block, np.float64)) <= _LARGEST
    z, y, x = (int(i) for i in np.unravel_index(np.argmin(fits), block.shape))
    value = float(block[z, y, x])
    if np.isfinite(value):
        raise VolumeError(
            f"{volume.name} holds {value:g} at z {z0 + z}, y {y}, x {x} (channel {channel}); the largest number to "
            f"work with is {_LARGEST:.2g}: divide the image, or replace such voxels",
            where=volume.name,
            value=value,
        )
    raise VolumeError(
        f"{volume.name} holds {value} at z {z0 + z}, y {y}, x {x} (channel {channel}): replace NaN and infinite voxels "
        f"by numbers",
        where=volume.name,
        value=value,
    )


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(str(n) for n in shape)
