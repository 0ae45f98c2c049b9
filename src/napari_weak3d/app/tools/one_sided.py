"""What has to be said of paint that shows one side only: objects without background, background without objects."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from napari_weak3d.app.tools.open_slices import name_all, say_open
from napari_weak3d.app.tools.paint_state import PaintState
from napari_weak3d.app.tools.survey import Found
from napari_weak3d.app.tools.tool import Obstacle
from napari_weak3d.types import SliceIndex


def one_sided(
    open_slices: Sequence[SliceIndex],
    *,
    state: PaintState,
    found: Callable[[SliceIndex], Found],
    complete: Callable[[Sequence[SliceIndex]], None],
) -> Obstacle | None:
    """Say what keeps a method from learning anything, be the slices complete or not; None: nothing does.

    Parameters
    ----------
    open_slices
        Painted, and not complete.
    state, found
        Of the paint, and what each slice holds.
    complete
        Marks slices as complete.
    """
    values = {value for which in state.tracked for value in found(which).values} - {0}
    if not values:
        empty = f"{name_all(state.complete)} complete and empty, so there is background only"
        return Obstacle(f"{empty}: paint an object, there or in another slice, then train") if state.complete else None
    background = {row.value for row in state.classes if row.background}
    if state.paint == "objects":
        if state.complete:
            return None
        why = "Objects are learned from complete slices, in which what is unpainted is background."
    else:
        seen = values | (background if _has_gaps(state.complete, found) else set())
        if len(seen) > 1:
            return None
        row = state.row(min(seen))
        name = f"class {min(seen)}" if row is None else row.name
        if not (_has_gaps(open_slices, found) and background - seen):
            other = "an object" if seen <= background else "background, or another class,"
            return Obstacle(f"Only {name} is painted: paint {other} too, then train")
        why = f"Only {name} is painted; in a complete slice what is unpainted is background."
    yes = "It is complete" if len(open_slices) == 1 else "They are complete"
    return Obstacle(f"{say_open(open_slices)} {why}", {yes: lambda: complete(open_slices)})


def _has_gaps(slices: Sequence[SliceIndex], found: Callable[[SliceIndex], Found]) -> bool:
    """Whether anything is unpainted in these slices."""
    return any(0 in found(which).values for which in slices)
