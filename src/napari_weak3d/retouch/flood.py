"""Objects that grow over falling probability."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_weak3d.retouch.blocks import Blocks, work_on
from napari_weak3d.retouch.holes import neighbour_steps
from napari_weak3d.retouch.settings import HALF, STEPS
from napari_weak3d.types import IntLabels

_INNER = (slice(1, -1),) * 3


class Flood:
    """A watershed from labels over falling probability, as far down as was asked for.

    Step by step; within a step from voxel to voxel, so that two objects meet midway, and a voxel that several reach at
    once goes to the highest id. A higher step is a part of a lower one, so the flood only ever goes on.

    Parameters
    ----------
    labels
        (Z, Y, X) int32: from where.
    codes
        (Z, Y, X) uint8: the number of steps that a voxel's probability lies above.
    blocks
        To work on at a time.
    """

    def __init__(self, labels: IntLabels, codes: NDArray[np.uint8], *, blocks: Blocks) -> None:
        # A frame of nothing around everything: neighbours need no test for the edge.
        framed = tuple(size + 2 for size in labels.shape)
        self._owner, self._blocks = np.zeros(framed, np.int32), blocks
        self._level, self._ground = np.zeros((2, *framed), np.uint8)

        def put_in(block: slice) -> None:
            inside = labels[block] > 0
            self._owner[_INNER][block] = labels[block]
            self._level[_INNER][block] = np.where(inside, np.uint8(STEPS), np.uint8(0))
            # What is above the half and no object, the prediction has decided against.
            self._ground[_INNER][block] = np.where(inside | (codes[block] > HALF), np.uint8(0), codes[block])

        work_on(blocks, put_in)
        self._steps = tuple(neighbour_steps(framed, axes=(0, 1, 2)))
        self._reached = HALF

    def at(self, step: int) -> IntLabels:
        """Return the labels at a step below the half."""
        if step < self._reached:
            ground = self._ground.reshape(-1)
            band = np.flatnonzero((ground > step) & (ground <= self._reached))
            order = np.argsort(ground[band], kind="stable")  # stable: a radix sort, of bytes
            ends = np.cumsum(np.bincount(ground[band], minlength=self._reached + 1))
            for code in range(self._reached, step, -1):
                self._flood(band[order[ends[code - 1] : ends[code]]], code)
            self._reached = step
        owner, level = self._owner[_INNER], self._level[_INNER]
        labels = np.zeros(owner.shape, np.int32)
        work_on(self._blocks, lambda block: np.copyto(labels[block], owner[block], where=level[block] > step))
        return labels

    def _flood(self, front: NDArray[np.intp], code: int) -> None:
        """Take the voxels of one code that touch an owner, and all of at least this code that they lead to."""
        owner, level, ground = (each.reshape(-1) for each in (self._owner, self._level, self._ground))
        owners = self._highest_around(front)
        front, owners = front[owners > 0], owners[owners > 0]
        while len(front):
            owner[front], level[front] = owners, code
            following = []
            for step in self._steps:
                near = front + step
                near = near[(ground[near] >= code) & (level[near] == 0)]
                level[near] = code  # so that no other way leads to it, too
                following.append(near)
            front = np.concatenate(following)
            owners = self._highest_around(front)

    def _highest_around(self, voxels: NDArray[np.intp]) -> NDArray[np.int32]:
        """(N,) the highest owner among the neighbours of each voxel; 0: there is none."""
        owner = self._owner.reshape(-1)
        highest = np.zeros(len(voxels), np.int32)
        for step in self._steps:
            np.maximum(highest, owner[voxels + step], out=highest)
        return highest
