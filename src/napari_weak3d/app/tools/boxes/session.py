"""Boxes and masks of one image: they change together, in steps that can be undone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal

from napari_weak3d.app.tools.boxes.crops import inside_of, repair_stroke
from napari_weak3d.app.tools.boxes.table import BoxTable, Corners, clip_corners
from napari_weak3d.app.tools.history import History, Step
from napari_weak3d.types import IntLabels


@dataclass(frozen=True, eq=False)
class Patch:
    """Voxels of the masks: where, as indices into the flat volume, and what they hold."""

    where: NDArray[np.int64]
    values: NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Moment:
    """The table before or after a step, and the voxels that the step changes, as they are then; None: none."""

    table: BoxTable
    patch: Patch | None = None


class BoxSession(QObject):
    """The boxes of an image, the masks of some, and the history of both.

    Signals
    -------
    changed()
        Boxes, masks or classes have changed, by a step, a stroke, undo or redo.
    masks_changed()
        Voxels of the masks have changed, other than by a stroke, which its layer shows already.

    Parameters
    ----------
    table
        The boxes.
    masks
        (Z, Y, X) int32 of box ids, C-contiguous; changed in place, and strokes go right into it.

    Attributes
    ----------
    painted
        Ids of the boxes whose masks hold any voxel.
    """

    changed = Signal()
    masks_changed = Signal()

    def __init__(self, table: BoxTable, masks: IntLabels, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.table = table
        self.masks = masks
        self.history: History[Moment] = History()
        self.painted = frozenset(each for each in table.ids.tolist() if self._holds(each, self._corners(each)))
        self._flat = masks.reshape(-1)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(Z, Y, X) of the image."""
        z, y, x = self.masks.shape
        return z, y, x

    # ---- steps

    def step(self, name: str, table: BoxTable, *, voxels: Patch | None = None) -> None:
        """Change the table, and voxels of the masks to what ``voxels`` says, at once; nothing if nothing differs.

        ``name`` is what is done, as undo says it: "delete 2 boxes".
        """
        if voxels is None or not len(voxels.where):
            before = after = None
        else:
            before, after = Patch(voxels.where, self._flat[voxels.where]), voxels
            self._flat[voxels.where] = voxels.values
        if after is not None or table != self.table:
            self._push(name, Moment(self.table, before), Moment(table, after))
            self._set(table, before, after)

    def undo(self) -> None:
        """Take back the last step."""
        step = self.history.undo()
        if step is not None:
            self._restore(step.before, step.after)

    def redo(self) -> None:
        """Make the last step that was taken back again."""
        step = self.history.redo()
        if step is not None:
            self._restore(step.after, step.before)

    # ---- boxes

    def add(self, corners: Corners, classes: Sequence[int], *, name: str) -> list[int]:
        """Add boxes (N, 2, 3), cut to the volume; gives their ids."""
        if len(corners) == 0:
            return []
        table = self.table.with_boxes(clip_corners(corners, self.shape), classes)
        ids: list[int] = table.ids[-len(corners) :].tolist()
        self.step(name, table)
        return ids

    def reshape(self, ids: Sequence[int], corners: Corners, *, name: str) -> None:
        """Give boxes other corners, cut to the volume; what of their masks lies outside then goes.

        A mask of which something goes is no longer done: what is left is not all of its object.
        """
        new = clip_corners(np.asarray(corners), self.shape)
        table = self.table.with_corners(ids, new)
        patches = [self._outside(each, box) for each, box in zip(ids, new, strict=True)]
        cut = [
            each
            for each, box, gone in zip(ids, new, patches, strict=True)
            if len(gone.where) or not self._holds(each, box)
        ]
        self.step(name, table.with_done(cut, False), voxels=join(patches))

    def delete(self, ids: Sequence[int]) -> None:
        """Remove boxes and their masks."""
        self.step(f"delete {count(len(ids))}", self.table.without(ids), voxels=self.clearing(ids))

    # ---- masks

    def mask_of(self, box_id: int) -> NDArray[np.bool_]:
        """Give the mask of a box that is there, within the box."""
        return np.asarray(self.masks[inside_of(self._corners(box_id))] == box_id)

    def painting(self, box_id: int, voxels: NDArray[np.bool_]) -> Patch:
        """Say what adds voxels of a box, of the box's shape, to its mask; the masks of others stay."""
        box = self._corners(box_id)
        return self._patch(np.argwhere(voxels & (self.masks[inside_of(box)] == 0)) + box[0], box_id)

    def clearing(self, ids: Collection[int]) -> Patch:
        """Say what takes the masks of boxes away."""
        there = [each for each in ids if self.table.corners_of(each) is not None]
        return join(self._patch(np.argwhere(self.mask_of(each)) + self._corners(each)[0], 0) for each in there)

    def note_stroke(self, box_id: int, before: IntLabels) -> bool:
        """Take a stroke in a box, which is in the masks already, into the history.

        Parameters
        ----------
        box_id
            Whose mask is painted.
        before
            The voxels of the box before it.

        Returns
        -------
        Whether voxels are not as the stroke left them: it went over other masks, or had another value.
        """
        box = self._corners(box_id)
        here = self.masks[inside_of(box)]
        kept = repair_stroke(before, here, box_id=box_id)
        is_repaired = not np.array_equal(kept, here)
        here[...] = kept
        changed = kept != before
        if changed.any():
            where = self._flat_index(np.argwhere(changed) + box[0])
            old, new = (Patch(where, values[changed]) for values in (before, kept))
            before_it = self.table
            if not (kept == box_id).any():  # all of it was erased
                self.table = self.table.with_done([box_id], False)
            self._push("paint", Moment(before_it, old), Moment(self.table, new))
            self._count(old, new)
            self.changed.emit()
        return is_repaired

    # ---- inside

    def _corners(self, box_id: int) -> Corners:
        box = self.table.corners_of(box_id)
        if box is None:
            raise KeyError(box_id)
        return box

    def _holds(self, box_id: int, box: Corners) -> bool:
        """Whether a box would hold any voxel of its mask if it lay there."""
        return bool((self.masks[inside_of(box)] == box_id).any())

    def _outside(self, box_id: int, new: Corners) -> Patch:
        """Say what takes away the part of a box's mask that other corners leave out."""
        voxels = np.argwhere(self.mask_of(box_id)) + self._corners(box_id)[0]
        gone = ((voxels < new[0]) | (voxels >= new[1])).any(axis=1)
        return self._patch(voxels[gone], 0)

    def _patch(self, voxels: NDArray[np.intp], value: int) -> Patch:
        return Patch(self._flat_index(voxels), np.full(len(voxels), value, np.int32))

    def _flat_index(self, voxels: NDArray[np.intp]) -> NDArray[np.int64]:
        """(V, 3) voxels -> (V,) indices."""
        return np.asarray(np.ravel_multi_index(tuple(voxels.T), self.shape), dtype=np.int64)

    def _push(self, name: str, before: Moment, after: Moment) -> None:
        self.history.push(Step(name, before, after, voxels=after.patch is not None))

    def _restore(self, moment: Moment, left: Moment) -> None:
        if moment.patch is not None:
            self._flat[moment.patch.where] = moment.patch.values
        self._set(moment.table, moment.patch, left.patch)

    def _set(self, table: BoxTable, *patches: Patch | None) -> None:
        self.table = table
        self._count(*patches)
        if any(patch is not None for patch in patches):
            self.masks_changed.emit()
        self.changed.emit()

    def _count(self, *patches: Patch | None) -> None:
        """Look again at the masks that patches may have begun or emptied."""
        touched = {int(each) for patch in patches if patch is not None for each in np.unique(patch.values)}
        there = {each for each in touched if self.table.corners_of(each) is not None}
        now = {each for each in there if self._holds(each, self._corners(each))}
        self.painted = (self.painted - touched) | now


def join(patches: Iterable[Patch]) -> Patch:
    """Put patches together; where they overlap the later one holds."""
    each = [patch for patch in patches if len(patch.where)]
    if not each:
        return Patch(np.zeros(0, np.int64), np.zeros(0, np.int32))
    return Patch(np.concatenate([patch.where for patch in each]), np.concatenate([patch.values for patch in each]))


def count(n: int) -> str:
    """Say how many boxes: "1 box", "3 boxes"."""
    return f"{n} {'box' if n == 1 else 'boxes'}"
