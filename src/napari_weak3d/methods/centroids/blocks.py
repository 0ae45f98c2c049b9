"""Response maps of volumes of any size: peaks block by block, each block in a crop as large as its peaks can see."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from napari_weak3d.methods.centroids.responses import ResponseMap, Side, choose_batch, make_maps, trace
from napari_weak3d.methods.centroids.tape import Rule
from napari_weak3d.nn.device import is_out_of_memory
from napari_weak3d.nn.tiles import read_box

Triple: TypeAlias = tuple[int, int, int]
Index: TypeAlias = NDArray[np.int64]

_MOST_VOXELS = 4_000_000
"""Voxels that a forward pass is kept of: about 2 GB with 16 channels at full resolution, 4 with "excitation"."""
_FIRST_REACH = 32
"""Voxels around a block that are tried first; doubled until no response is cut off."""
_FEWEST_VOXELS = 30_000
"""Where memory runs out with less than this, smaller crops will not help: most of each is its surroundings (ours)."""


def iter_response_maps(
    net: nn.Module,
    image: Any,
    peaks_vox: Index,
    *,
    rule: Rule,
    multiple: Triple,
    side: Side = "both",
    batch: int = 8,
    most_voxels: int = _MOST_VOXELS,
) -> Iterator[tuple[int, ResponseMap]]:
    """Make response maps one by one, in a volume that need not fit into memory with all that a network makes of it.

    Parameters
    ----------
    net
        As for :func:`~napari_weak3d.methods.centroids.responses.response_maps`; the same on every crop: interpolation
        to a fixed size, say, would not be.
    image
        (C, Z, Y, X) float32: numpy or anything that is sliced like it. Where a size is not a multiple of ``multiple``
        the network gets the image mirrored at its end.
    peaks_vox, rule, side, batch
        As there.
    multiple
        What the sizes (z, y, x) of an input must be multiples of: crops begin and end at multiples of it.
    most_voxels
        Larger volumes are taken in crops of about this size; larger ones where the network sees further, smaller ones
        where memory runs out.

    Yields
    ------
    (row, map)
        Row of the peak; block by block, so not in order. Up to rounding the maps are those of one pass.

    Raises
    ------
    MemoryError, RuntimeError
        Memory runs out with small crops too (``nn.device.is_out_of_memory`` tells).
    """
    shape: Index = -(-np.array(image.shape[1:]) // multiple).astype(np.int64) * multiple
    peaks = np.asarray(peaks_vox, dtype=np.int64).reshape(-1, 3)
    left = np.arange(len(peaks))
    while left.size:
        try:
            for row, made in _iter_in_crops(
                net,
                image,
                peaks,
                left,
                shape=shape,
                rule=rule,
                multiple=multiple,
                side=side,
                batch=batch,
                most_voxels=most_voxels,
            ):
                left = left[left != row]
                yield row, made
        except Exception as error:
            most_voxels = min(most_voxels, int(shape.prod())) // 2
            if not is_out_of_memory(error) or most_voxels < _FEWEST_VOXELS:
                raise


def _iter_in_crops(
    net: nn.Module,
    image: Any,
    peaks: Index,
    left: Index,
    *,
    shape: Index,
    rule: Rule,
    multiple: Triple,
    side: Side,
    batch: int,
    most_voxels: int,
) -> Iterator[tuple[int, ResponseMap]]:
    """Make the maps of the peaks that are left; ``shape`` is that of the image, made multiples of ``multiple``."""
    darkest = _find_darkest(image) if rule == "excitation" else None
    device = next(net.parameters()).device
    # Crops end where the volume does, or a reach beyond their block.
    reach = int(shape.max()) if shape.prod() <= most_voxels else _FIRST_REACH
    while left.size:
        low, high, rows = _next_crop(peaks, left, shape=shape, multiple=multiple, reach=reach, most_voxels=most_voxels)
        crop = np.empty((image.shape[0], *(high - low)), np.float32)
        read_box(image, low.tolist(), out=crop)
        traced = trace(net, torch.from_numpy(crop).to(device), rule=rule, darkest=darkest)
        count = 1
        while rows.size:
            group, rows = rows[:count], rows[count:]
            windows = traced.pull(peaks[group] - low)
            begin, end = windows.low[:, 2:], windows.low[:, 2:] + windows.size[2:]
            if (((begin == 0) & (low > 0)) | ((end == high - low) & (high < shape))).any():
                reach *= 2
                break
            for row, made in zip(group, make_maps(windows, peaks[group] - low, side=side), strict=True):
                yield int(row), _cut(made, low, shape=image.shape[1:])
            left = np.setdiff1d(left, group)
            count = choose_batch(windows, most=batch)


def _next_crop(
    peaks: Index, left: Index, *, shape: Index, multiple: Triple, reach: int, most_voxels: int
) -> tuple[Index, Index, Index]:
    """Choose a block that holds the first peak left: the crop around it, [low, high), and the rows of its peaks."""
    block = _choose_block(shape, reach=reach, most_voxels=most_voxels)
    number = peaks[left[0]] // block
    rows = left[(peaks[left] // block == number).all(axis=1)]
    low = np.maximum((peaks[rows].min(axis=0) - reach) // multiple * multiple, 0)
    high = -((-(peaks[rows].max(axis=0) + 1 + reach)) // multiple * multiple)
    return low, np.minimum(high, shape), rows


def _choose_block(shape: Index, *, reach: int, most_voxels: int) -> Index:
    """Sides of blocks: with the reach around them about ``most_voxels``, but at least half a reach."""
    if shape.prod() <= most_voxels:
        return shape
    side = 1
    while side < shape.max() and np.minimum(shape, 2 * side).prod() <= most_voxels:
        side *= 2
    return np.maximum(np.minimum(shape, side - 2 * reach), max(1, reach // 2))


def _find_darkest(image: Any) -> torch.Tensor:
    """(1, C, 1, 1, 1): the smallest value of each channel, plane by plane."""
    everywhere = slice(None)
    planes = [
        np.asarray(image[everywhere, z : z + 1, everywhere, everywhere]).min(axis=(1, 2, 3))
        for z in range(image.shape[1])
    ]
    return torch.as_tensor(np.min(planes, axis=0)).reshape(1, -1, 1, 1, 1)


def _cut(made: ResponseMap, low: Index, *, shape: Triple) -> ResponseMap:
    """Place a map of a crop in the image, without what is of its mirrored end."""
    z, y, x = (int(each) for each in low + made.low)
    inside = tuple(slice(0, max(0, size - begin)) for begin, size in zip((z, y, x), shape, strict=True))
    return ResponseMap((z, y, x), made.values[inside])
