"""What the user has corrected in a result, told apart from what the model says, and kept on disk beside the result.

A correction is kept as a mark: 0 where a voxel is as the model says, v + 1 where the user made it v, v = 0 included. So
marks can be laid over the labels of any threshold, and no file of the result itself is changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np

from napari_weak3d.io.project import AnnotationState, AnnotationStore
from napari_weak3d.retouch.blocks import cut_blocks, work_on
from napari_weak3d.types import IntLabels, SliceIndex

Marks: TypeAlias = Mapping[int, IntLabels]
"""(Y, X) int32 by z; planes without a mark may be left out."""


def lay_over(labels: IntLabels, marks: Marks) -> IntLabels:
    """Put what is marked into a copy of labels (Z, Y, X) int32."""
    corrected = np.empty(labels.shape, np.int32)
    work_on(cut_blocks(labels.shape), lambda block: np.copyto(corrected[block], labels[block]))
    for z, plane in marks.items():
        np.copyto(corrected[z], plane - 1, where=plane > 0)
    return corrected


def lay_over_slice(labels: IntLabels, marks: Marks, which: SliceIndex) -> IntLabels:
    """Put what is marked into labels (rows, columns) int32 of one slice, in place; returns them."""
    axis, index = which
    for z, plane in marks.items():
        if axis == 0 and z == index:
            np.copyto(labels, plane - 1, where=plane > 0)
        elif axis > 0:
            line = np.take(plane, index, axis=axis - 1)
            np.copyto(labels[z], line - 1, where=line > 0)
    return labels


def find_marks(shown: IntLabels, labels: IntLabels, marks: Marks) -> dict[int, IntLabels]:
    """Mark what the user has changed.

    Parameters
    ----------
    shown
        (Z, Y, X) integers: the result as the user sees it.
    labels
        Of the same shape: as the model says, decided as it is now.
    marks
        What was marked before. Where ``shown`` is still that, they stay, also where the model says the same by now: it
        may say something else again. What the user has put back as the model says is marked no more.
    """

    def look(block: slice) -> dict[int, IntLabels | None]:
        return {z: _mark_plane(shown[z], labels[z], marks.get(z)) for z in range(block.start, block.stop)}

    found = work_on(cut_blocks(labels.shape), look)
    return {z: plane for planes in found for z, plane in planes.items() if plane is not None and plane.any()}


class Corrections:
    """The corrections of one result on disk, as an autosave of its layer reads and writes them.

    Parameters
    ----------
    store
        Where they are kept.
    labels
        (Z, Y, X) int32, as the model says, decided as it is now; only read.
    marks
        What the layer holds beyond that when the autosave begins.
    kept
        What of it is on disk.
    """

    def __init__(self, store: AnnotationStore, labels: IntLabels, marks: Marks, *, kept: Marks) -> None:
        self._store, self._labels = store, labels
        self.marks, self.kept = dict(marks), dict(kept)

    @property
    def folder(self) -> Path:
        """Where they are."""
        return self._store.folder

    def painted_planes(self) -> tuple[int, ...]:
        """None: a result in which all is erased is a result, too."""
        return ()

    def read_planes(self) -> dict[int, IntLabels]:
        """Give the planes of the layer as they are on disk; such as no layer has where they are to be written yet."""
        written: dict[int, IntLabels] = dict(enumerate(self._labels))
        for z in {*self.marks, *self.kept}:
            mark, kept = self.marks.get(z), self.kept.get(z)
            is_kept = mark is kept or _is_same(mark, kept)
            written[z] = _corrected(self._labels[z], mark) if is_kept else np.full_like(self._labels[z], -1)
        return written

    def state(self) -> AnnotationState | None:
        """Read how the result was decided when it was written; None where nothing was ever corrected."""
        return self._store.state()

    def write(self, state: AnnotationState, planes: Mapping[int, IntLabels]) -> int:
        """Write the marks of planes (Y, X) of the layer; errors and return as of the store."""
        changed = {}
        for z, plane in planes.items():
            mark = _mark_plane(plane, self._labels[z], self.marks.get(z))
            if not _is_same(mark, self.kept.get(z)):
                changed[z] = np.zeros_like(self._labels[z]) if mark is None else mark
        if not changed and not self._store.revision():
            return 0
        revision = self._store.write(state, changed)
        self.kept.update(changed)
        self.marks.update(changed)
        return revision


def _corrected(labels: IntLabels, mark: IntLabels | None) -> IntLabels:
    return labels if mark is None else np.where(mark > 0, mark - 1, labels)


def _mark_plane(shown: IntLabels, labels: IntLabels, mark: IntLabels | None) -> IntLabels | None:
    """The marks of one plane; None: there is none."""
    before = _corrected(labels, mark)
    if np.array_equal(shown, before):
        return mark
    now = np.where(shown == labels, 0, shown + 1)
    return np.where(shown == before, 0 if mark is None else mark, now).astype(np.int32)


def _is_same(one: IntLabels | None, other: IntLabels | None) -> bool:
    """Whether two planes of marks say the same; None says as much as zeros."""
    if one is None or other is None:
        known = other if one is None else one
        return known is None or not known.any()
    return np.array_equal(one, other)
