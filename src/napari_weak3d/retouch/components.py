"""Connected voxels of a volume, numbered in blocks at a time and put together across their seams."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from skimage.measure import label

from napari_weak3d.retouch.blocks import Blocks, work_on
from napari_weak3d.types import IntLabels


@dataclass(frozen=True, eq=False)
class Components:
    """Connected pieces of a volume.

    Attributes
    ----------
    parts
        (Z, Y, X) int32: numbers of parts, 0 is background. In each block that it reaches into a component has one part
        or several: to number the voxels anew would cost more than to look the parts up.
    of_part
        (P + 1,) int32: the component of each part, numbered from 1 in the order of their first voxels; of 0 it is 0.
    """

    parts: IntLabels
    of_part: NDArray[np.int32]

    @property
    def count(self) -> int:
        """How many components there are."""
        return int(self.of_part.max(initial=0))

    def sum_up(self, of_parts: NDArray[np.int64]) -> NDArray[np.int64]:
        """(P + 1,) something of each part -> (N + 1,) the sum for each component."""
        sums = np.zeros(self.count + 1, np.int64)
        np.add.at(sums, self.of_part, of_parts)
        return sums

    def spread(self, of_parts: NDArray[np.int32]) -> NDArray[np.int32]:
        """(P + 1,) what all parts of a component have in common -> (N + 1,) the same for each component, 0 first."""
        common = np.zeros(self.count + 1, np.int32)
        common[self.of_part[1:]] = of_parts[1:]
        return common


def find_components(
    read: Callable[[slice], NDArray[Any]],
    shape: Sequence[int],
    *,
    blocks: Blocks,
    axes: tuple[int, ...] = (0, 1, 2),
) -> Components:
    """Number the connected voxels (by faces) of the same value; False and 0 are background.

    Parameters
    ----------
    read
        Gives a block of the volume, bool or integers; called on several threads at once.
    shape
        (Z, Y, X) of the whole.
    blocks
        As :func:`~napari_weak3d.retouch.blocks.cut_blocks` cuts it.
    axes
        Along which neighbours are connected; of integers all three.
    """
    parts = np.empty(tuple(shape), np.int32)
    lines = ndimage.generate_binary_structure(3, 1)
    for axis in {0, 1, 2} - set(axes):
        lines[tuple(slice(None) if each == axis else 1 for each in range(3))] = [False, True, False]

    def number(block: slice) -> tuple[int, NDArray[Any], NDArray[Any]]:
        values = read(block)
        if values.dtype == np.bool_:
            count = ndimage.label(values, structure=lines, output=parts[block])
        else:
            parts[block], count = label(values, connectivity=1, return_num=True)
        return int(count), values[0].copy(), values[-1].copy()

    numbered = work_on(blocks, number)
    before = np.cumsum([0, *(count for count, _, _ in numbered)])
    offsets = {block.start: np.int32(offset) for block, offset in zip(blocks, before[:-1], strict=True)}

    def tell_apart(block: slice) -> None:
        for z in range(block.start, block.stop):  # plane by plane: they stay in the cache
            parts[z] += offsets[block.start] * (parts[z] > 0)

    work_on([block for block in blocks if offsets[block.start]] or blocks[:1], tell_apart)
    pairs = [
        _pair(parts[block.start - 1 : block.start + 1], last == first, first)
        for block, (_, _, last), (_, first, _) in zip(blocks[1:], numbered[:-1], numbered[1:], strict=True)
        if 0 in axes
    ]
    return Components(parts, _join(int(before[-1]), pairs))


def _pair(planes: IntLabels, is_same: NDArray[np.bool_], values: NDArray[Any]) -> NDArray[np.int32]:
    """(M, 2) parts that touch across a seam, from the planes (2, Y, X) on its sides."""
    touch = is_same & (values != 0)
    pairs = np.stack([planes[0][touch], planes[1][touch]], axis=1)
    is_new = np.ones(len(pairs), np.bool_)  # most repeat the one before: what is left is sorted sooner
    is_new[1:] = (pairs[1:] != pairs[:-1]).any(axis=1)
    return np.unique(pairs[is_new], axis=0)


def _join(n_parts: int, pairs: Sequence[NDArray[np.int32]]) -> NDArray[np.int32]:
    """(P + 1,) the component of each part; the order of the lowest parts is that of the first voxels."""
    if not any(len(each) for each in pairs):
        return np.arange(n_parts + 1, dtype=np.int32)
    one, other = np.concatenate(pairs).T
    graph = coo_array((np.ones(len(one), np.bool_), (one, other)), shape=(n_parts + 1, n_parts + 1))
    count, found = connected_components(graph, directed=False)
    first = np.full(count, n_parts + 1)
    np.minimum.at(first, found, np.arange(n_parts + 1))
    rank = np.argsort(np.argsort(first)).astype(np.int32)
    of_part: NDArray[np.int32] = rank[found]  # part 0, the background, is alone and first
    return of_part
