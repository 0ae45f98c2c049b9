"""The boxes of one image as a table: who they are, where they lie, what they are. Every change gives a new table."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_weak3d.app.colours import PALETTE, next_color
from napari_weak3d.types import Boxes, IntLabels, PaintClass, Region

Corners: TypeAlias = NDArray[np.int64]
FIRST_CLASS = PaintClass(1, "object", PALETTE[1])
"""What a new annotation starts with."""


@dataclass(frozen=True, eq=False)
class BoxTable:
    """Boxes in the order in which they were made.

    Attributes
    ----------
    ids
        (N,) int64, >= 1: never given twice, so that a mask's voxels stay those of its box.
    corners
        (N, 2, 3) int64, zyx, voxels, half-open.
    classes
        (N,) int64, >= 1.
    done
        (N,) bool: whose mask is complete.
    rows
        The table of classes, by value.
    region
        Where every object has a box; None: everywhere.
    next_id
        Of the next new box.
    """

    ids: NDArray[np.int64]
    corners: Corners
    classes: NDArray[np.int64]
    done: NDArray[np.bool_]
    rows: tuple[PaintClass, ...] = (FIRST_CLASS,)
    region: Region | None = None
    next_id: int = 1

    def __len__(self) -> int:
        return len(self.ids)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BoxTable):
            return NotImplemented
        plain = (self.rows, self.region, self.next_id) == (other.rows, other.region, other.next_id)
        return plain and all(
            np.array_equal(ours, theirs) for ours, theirs in zip(self._arrays(), other._arrays(), strict=True)
        )

    __hash__ = None  # type: ignore[assignment]  # arrays have none

    def find(self, ids: Collection[int]) -> NDArray[np.intp]:
        """Give the row numbers of these boxes, ascending; of those that are still there."""
        return np.flatnonzero(np.isin(self.ids, list(ids)))

    def corners_of(self, box_id: int) -> Corners | None:
        """Give the corners (2, 3) of a box; None where it is not there."""
        rows = self.find([box_id])
        return self.corners[rows[0]] if len(rows) else None

    # ---- changes of boxes

    def with_boxes(self, corners: Corners, classes: Sequence[int] | NDArray[np.int64]) -> BoxTable:
        """Add boxes; their ids run on from ``next_id``. Classes without a row get one."""
        ids = np.arange(self.next_id, self.next_id + len(corners))
        table = replace(
            self,
            ids=np.concatenate([self.ids, ids]),
            corners=np.concatenate([self.corners, np.asarray(corners, np.int64).reshape(-1, 2, 3)]),
            classes=np.concatenate([self.classes, np.asarray(classes, np.int64)]),
            done=np.concatenate([self.done, np.zeros(len(ids), bool)]),
            next_id=self.next_id + len(ids),
        )
        return table.with_values(np.unique(table.classes).tolist())

    def with_corners(self, ids: Sequence[int], corners: Corners) -> BoxTable:
        """Give boxes other corners, (M, 2, 3) in the order of ``ids``; ids that are not there are passed over."""
        new = self.corners.copy()
        for box_id, corner in zip(ids, corners, strict=True):
            new[self.ids == box_id] = corner
        return replace(self, corners=new)

    def without(self, ids: Collection[int]) -> BoxTable:
        """Remove boxes."""
        keep = np.ones(len(self), bool)
        keep[self.find(ids)] = False
        return replace(
            self, ids=self.ids[keep], corners=self.corners[keep], classes=self.classes[keep], done=self.done[keep]
        )

    def with_class(self, ids: Collection[int], value: int) -> BoxTable:
        """Make boxes members of a class."""
        classes = self.classes.copy()
        classes[self.find(ids)] = value
        return replace(self, classes=classes).with_values([value])

    def with_done(self, ids: Collection[int], done: bool) -> BoxTable:
        """Say whether the masks of boxes are complete."""
        new = self.done.copy()
        new[self.find(ids)] = done
        return replace(self, done=new)

    def with_region(self, region: Region | None) -> BoxTable:
        """Say where every object has a box."""
        return replace(self, region=region)

    # ---- changes of classes

    def with_values(self, values: Sequence[int]) -> BoxTable:
        """Give a row to each class that has none."""
        rows = self.rows
        for value in sorted(set(values) - {row.value for row in rows}):
            rows = (*rows, PaintClass(value, f"class {value}", next_color(rows)))
        return replace(self, rows=tuple(sorted(rows, key=lambda row: row.value)))

    def with_new_class(self) -> BoxTable:
        """Add a class with the lowest free value."""
        taken = {row.value for row in self.rows}
        return self.with_values([next(value for value in range(1, len(taken) + 2) if value not in taken)])

    def with_row(self, changed: PaintClass) -> BoxTable:
        """Replace the class of the same value."""
        return replace(self, rows=tuple(changed if row.value == changed.value else row for row in self.rows))

    def without_class(self, value: int) -> BoxTable:
        """Remove a class and its boxes; the last class stays."""
        rows = tuple(row for row in self.rows if row.value != value)
        return replace(self.without(self.ids[self.classes == value].tolist()), rows=rows) if rows else self

    def row(self, value: int) -> PaintClass | None:
        """Find the row of a class."""
        return next((row for row in self.rows if row.value == value), None)

    def _arrays(self) -> tuple[NDArray[np.generic], ...]:
        return self.ids, self.corners, self.classes, self.done


def empty_table() -> BoxTable:
    """Make a table without boxes."""
    return BoxTable(np.zeros(0, np.int64), np.zeros((0, 2, 3), np.int64), np.zeros(0, np.int64), np.zeros(0, bool))


def clip_corners(corners: Corners, shape: Sequence[int]) -> Corners:
    """Cut boxes (N, 2, 3) to a volume, and put low corners before high ones; each keeps at least a voxel per axis."""
    low, high = corners.min(axis=1), corners.max(axis=1)
    low = np.clip(low, 0, np.subtract(shape, 1))
    high = np.clip(np.maximum(high, low + 1), 1, shape)
    return np.stack([low, high], axis=1).astype(np.int64)


def push_inside(corners: Corners, shape: Sequence[int]) -> Corners:
    """Move boxes (N, 2, 3) that reach outside of a volume into it as they are; what is larger than it is cut."""
    sizes = np.minimum(corners[:, 1] - corners[:, 0], shape)
    low = np.clip(corners[:, 0], 0, np.subtract(shape, sizes))
    return np.stack([low, low + sizes], axis=1).astype(np.int64)


def boxes_of(table: BoxTable, masks: IntLabels) -> Boxes:
    """Give the annotation as the engine takes it: ``masks``, (Z, Y, X) of box ids, numbered by row.

    Masks that are not done are in it too, and ``has_mask`` says which are.
    """
    numbers = np.zeros(table.next_id, np.int32)
    numbers[table.ids] = np.arange(1, len(table) + 1)
    painted = numbers[masks] if masks.any() else None
    return Boxes(table.corners, table.classes, masks=painted, has_mask=table.done)
