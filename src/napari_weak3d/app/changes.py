"""Which z planes of a paint layer differ from what was last written, found a few milliseconds at a time."""

from __future__ import annotations

import math
import mmap
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from napari_weak3d.types import IntLabels

_STEP_VOXELS = 2**17
"""Compared or copied at once: copying half a megabyte to memory that is new to the process takes 0.3 ms."""

_DONE = object()


class PlaneChanges:
    """What of a label volume has changed, compared with copies of its painted planes.

    Comparing with a copy takes 0.2 ms for 1024 x 1024, a checksum five times as long; and the copy is what is
    written. Planes without paint, which most are, are not copied.

    A plane that is painted on while it is copied may come out half old, half new: the next round finds that.

    Parameters
    ----------
    written
        The painted planes as they are on disk, (Y, X) int32 by z.
    shape
        (Z, Y, X) of the volume that is kept.

    Attributes
    ----------
    found
        The planes that changed and were not taken yet, by z.
    latest
        The z plane that was found last, or None.
    """

    def __init__(self, written: Mapping[int, IntLabels], *, shape: tuple[int, ...]) -> None:
        self._known = dict(written)
        self._shape = shape
        self._near: deque[int] = deque()
        self._round: deque[int] = deque()
        self._current: tuple[Iterator[None], deque[int]] | None = None  # the plane under way, and whose first it is
        self.found: dict[int, IntLabels] = {}
        self.latest: int | None = None

    @property
    def in_round(self) -> bool:
        """Whether a round is not at its end."""
        return bool(self._round)

    def look_first(self, planes: Iterable[int]) -> None:
        """Look at these planes before going on with the round."""
        if not self._near:
            self._near.extend(dict.fromkeys(planes))

    def begin_round(self, data: Any) -> None:
        """Set out to compare all planes of ``data`` (Z, Y, X) as it is from now on."""
        if tuple(data.shape) == self._shape:
            self._drop_misfits()
        self._near.clear()
        self._round = deque(range(data.shape[0]))
        self._current = None

    def go_on(self, data: Any, *, until: float) -> None:
        """Compare and copy until a time (of ``time.perf_counter``), or all is done; at least one step."""
        while self._near or self._round:
            if self._current is None:
                queue = self._near or self._round
                self._current = self._look_at(data, queue[0]), queue
            steps, queue = self._current
            if next(steps, _DONE) is _DONE:
                queue.popleft()
                self._current = None
            if time.perf_counter() >= until:
                return

    def take(self) -> dict[int, IntLabels]:
        """Hand out what was found, and forget it."""
        found, self.found = self.found, {}
        return found

    def give_back(self, planes: Mapping[int, IntLabels]) -> None:
        """Take planes back that could not be written; what was found since is newer and stays."""
        self.found = {**planes, **self.found}

    def _drop_misfits(self) -> None:
        """Drop what was found while the layer had data of another shape, and which no store takes."""
        for z in [z for z, plane in self.found.items() if z >= self._shape[0] or plane.shape != self._shape[1:]]:
            self._known[z] = self.found.pop(z)  # equal to no plane of this volume: it is compared anew

    def _look_at(self, data: Any, z: int) -> Iterator[None]:
        """Compare a plane, and copy it if it changed, in steps."""
        if not 0 <= z < data.shape[0]:
            return
        known = self._known.get(z)
        n_rows = max(1, _STEP_VOXELS // data.shape[2])
        blocks = [slice(row, row + n_rows) for row in range(0, data.shape[1], n_rows)]
        for rows in blocks:
            part = np.asarray(data[z, rows])
            if part.any() if known is None else not np.array_equal(part, known[rows]):
                break
            yield
        else:
            return
        copy = _new_plane(data.shape[1:])
        for rows in blocks:
            copy[rows] = data[z, rows]
            yield
        self._keep(z, copy)

    def _keep(self, z: int, copy: IntLabels) -> None:
        self.found[z] = copy
        self.latest = z
        if copy.any():
            self._known[z] = copy
        else:
            self._known.pop(z, None)


def _new_plane(shape: tuple[int, int]) -> IntLabels:
    """Memory that costs nothing before it is written to.

    numpy asks for huge pages for 4 MB and more, and the system may take 6 ms to clear one when it is first touched.
    """
    memory = mmap.mmap(-1, max(1, math.prod(shape)) * np.dtype(np.int32).itemsize)
    return np.frombuffer(memory, np.int32)[: math.prod(shape)].reshape(shape)
