"""All of an annotation but the voxels: what the paint means, and which slices are marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from napari_weak3d.app.colours import PALETTE, next_color
from napari_weak3d.types import PaintClass, SliceIndex

Paint = Literal["classes", "objects"]
FIRST_CLASSES = (
    PaintClass(1, "background", PALETTE[0], background=True),
    PaintClass(2, "object", PALETTE[1]),
)
"""What a new annotation starts with."""


@dataclass(frozen=True)
class PaintState:
    """What the paint means, and which slices are marked.

    Attributes
    ----------
    paint
        What values are: "classes" or "objects".
    complete
        The slices that are complete, in order.
    painted
        The slices that were painted in, in order; complete ones may be among them, and such whose paint is gone.
    classes
        The table, by value; kept while objects are painted.
    """

    paint: Paint = "classes"
    complete: tuple[SliceIndex, ...] = ()
    painted: tuple[SliceIndex, ...] = ()
    classes: tuple[PaintClass, ...] = FIRST_CLASSES

    @property
    def tracked(self) -> tuple[SliceIndex, ...]:
        """The slices that are complete or were painted in, in order."""
        return tuple(sorted({*self.complete, *self.painted}))

    def with_complete(self, which: SliceIndex) -> PaintState:
        """Mark a slice as complete."""
        return replace(self, complete=tuple(sorted({*self.complete, which})))

    def without_complete(self, which: SliceIndex) -> PaintState:
        """Take the mark off a slice; it goes on counting as painted in."""
        return replace(self, complete=tuple(w for w in self.complete if w != which)).with_painted([which])

    def with_painted(self, slices: Sequence[SliceIndex]) -> PaintState:
        """Note that slices were painted in."""
        return replace(self, painted=tuple(sorted({*self.painted, *slices})))

    def without(self, which: SliceIndex) -> PaintState:
        """Forget a slice."""
        return replace(
            self,
            complete=tuple(w for w in self.complete if w != which),
            painted=tuple(w for w in self.painted if w != which),
        )

    def with_values(self, values: Sequence[int]) -> PaintState:
        """Give a row to each painted value that has none."""
        state = self
        known = {row.value for row in self.classes}
        for value in sorted(set(values) - known - {0}):
            row = PaintClass(value, f"class {value}", next_color(state.classes))
            state = replace(state, classes=tuple(sorted((*state.classes, row), key=lambda r: r.value)))
        return state

    def with_class(self, changed: PaintClass) -> PaintState:
        """Replace the row of the same value."""
        return replace(self, classes=tuple(changed if r.value == changed.value else r for r in self.classes))

    def without_class(self, value: int) -> PaintState:
        """Remove a row."""
        return replace(self, classes=tuple(row for row in self.classes if row.value != value))

    def row(self, value: int) -> PaintClass | None:
        """Find the row of a value."""
        return next((row for row in self.classes if row.value == value), None)

    def free_value(self) -> int:
        """Choose the value of a new class: the lowest from 2 that has no row."""
        taken = {row.value for row in self.classes}
        return next(value for value in range(2, len(taken) + 3) if value not in taken)
