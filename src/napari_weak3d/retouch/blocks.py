"""Volumes in blocks of whole planes, for threads to work on side by side: numpy and scipy let others run meanwhile."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_weak3d.types import IntLabels

Blocks: TypeAlias = Sequence[slice]
T = TypeVar("T")

_BLOCKS_PER_CORE = 2
"""So that no core waits long for another that has the fuller blocks."""
_SMALLEST = 500_000
"""Voxels of a block: less is done sooner than a thread has begun."""


def cut_blocks(shape: Sequence[int], *, count: int | None = None) -> tuple[slice, ...]:
    """Cut a volume (Z, Y, X) into blocks along z, at least one.

    Parameters
    ----------
    count
        How many, at most one a plane; None: what suits this machine and the volume.
    """
    planes = shape[0]
    if count is None:
        count = min(_BLOCKS_PER_CORE * (os.cpu_count() or 1), int(np.prod(shape, dtype=np.int64)) // _SMALLEST)
    ends = np.linspace(0, planes, max(1, min(count, planes)) + 1).astype(int).tolist()
    return tuple(slice(low, high) for low, high in pairwise(ends))


def work_on(blocks: Blocks, work: Callable[[slice], T]) -> list[T]:
    """Do something to each block, on as many threads as there are cores; returns what it gives, block by block."""
    if len(blocks) == 1:
        return [work(blocks[0])]
    with ThreadPoolExecutor(min(len(blocks), os.cpu_count() or 1), thread_name_prefix="blocks") as threads:
        return list(threads.map(work, blocks))


def survey(numbers: IntLabels, *, blocks: Blocks) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count the voxels of each number, and find one of them.

    Parameters
    ----------
    numbers
        (Z, Y, X) int32, C-contiguous, >= 0; 0 is background.

    Returns
    -------
    sizes
        (N + 1,) voxels of each number up to the highest; of background none are counted.
    places
        (N + 1,) index of a voxel of each number in the flattened volume; 0 where there is none.
    """

    def look(block: slice) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        flat = numbers[block].reshape(-1)
        at = np.flatnonzero(flat)
        found = flat[at]
        sizes = np.bincount(found, minlength=1)
        places = np.zeros(len(sizes), np.int64)
        places[found] = at + block.start * numbers[0].size
        return sizes, places

    looked = work_on(blocks, look)
    sizes, places = np.zeros((2, max(len(each) for each, _ in looked)), np.int64)
    for block_sizes, block_places in looked:
        sizes[: len(block_sizes)] += block_sizes
        np.maximum(places[: len(block_places)], block_places, out=places[: len(block_places)])
    return sizes, places
