"""Holes in objects: background that one object encloses."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from napari_weak3d.retouch.blocks import Blocks, cut_blocks, work_on
from napari_weak3d.retouch.components import find_components
from napari_weak3d.types import IntLabels


def fill_holes(labels: IntLabels, *, axes: tuple[int, ...], blocks: Blocks | None = None) -> None:
    """Fill, in place, the background that one object encloses.

    A hole is a piece of background (connected by faces) that reaches no edge of the volume and touches one object only;
    gaps between two objects stay, and so does the ring around an object inside another.

    Parameters
    ----------
    labels
        (Z, Y, X) int32, C-contiguous, 0 is background.
    axes
        Along which to look for neighbours and edges: (0, 1, 2), or (1, 2) for each z plane by itself.
    blocks
        To work on at a time; None: as suits the machine.
    """
    blocks = cut_blocks(labels.shape) if blocks is None else blocks
    gaps = find_components(lambda block: labels[block] == 0, labels.shape, blocks=blocks, axes=axes)
    inner = np.ones(gaps.count + 1, np.bool_)
    inner[0] = False
    for axis in axes:
        for end in (0, -1):
            inner[gaps.of_part[np.take(gaps.parts, end, axis=axis)]] = False
    if not inner.any():
        return
    is_inner = inner[gaps.of_part]
    found = work_on(blocks, lambda block: np.flatnonzero(is_inner[gaps.parts[block]]) + block.start * labels[0].size)
    places, flat = np.concatenate(found), labels.reshape(-1)
    owners = gaps.of_part[gaps.parts.reshape(-1)[places]]
    lowest, highest = np.full(len(inner), np.iinfo(np.int32).max), np.zeros(len(inner), np.int32)
    for step in neighbour_steps(labels.shape, axes=axes):  # no edge is near: every neighbour is one
        around = flat[places + step]
        is_object = around > 0
        np.minimum.at(lowest, owners[is_object], around[is_object])
        np.maximum.at(highest, owners[is_object], around[is_object])
    flat[places] = np.where(lowest == highest, highest, 0)[owners]


def neighbour_steps(shape: tuple[int, ...], *, axes: tuple[int, ...]) -> Iterator[int]:
    """Steps in the flattened array (Z, Y, X) to the neighbours across faces, along the axes."""
    strides = (shape[1] * shape[2], shape[2], 1)
    for axis in axes:
        yield -strides[axis]
        yield strides[axis]
