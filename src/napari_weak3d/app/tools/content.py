"""What the panel and the canvas show, worked out from the annotation: a plain function of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from napari_weak3d.app.canvas_mark import Mark
from napari_weak3d.app.tools.effort import effort_line
from napari_weak3d.app.tools.keys import KEYS
from napari_weak3d.app.tools.paint_state import Paint, PaintState
from napari_weak3d.app.tools.planes import covered, name_of
from napari_weak3d.app.tools.slice_list import SliceRow
from napari_weak3d.app.tools.survey import Found
from napari_weak3d.types import PaintClass, SliceIndex

_HINT = f"Drag to paint, hold Space to move the view. Slice done? {KEYS.complete} completes it."
"""Shown while nothing is painted; Space is napari's."""


@dataclass(frozen=True)
class Content:
    """What is shown.

    Attributes
    ----------
    paint, classes
        The mode and its table.
    object_line
        Which object is painted.
    rows
        The annotated slices, by axis and index.
    shown, shown_name, shown_complete
        The slice in view; None and "" where there is none.
    mark
        For the canvas; None: none.
    effort
        The line of effort.
    """

    paint: Paint
    classes: tuple[PaintClass, ...]
    object_line: str
    rows: tuple[SliceRow, ...]
    shown: SliceIndex | None
    shown_name: str
    shown_complete: bool
    mark: Mark | None
    effort: str


def describe(
    state: PaintState,
    found: Callable[[SliceIndex], Found],
    *,
    shown: SliceIndex | None,
    shape: tuple[int, int, int],
    label: int,
    seconds: float,
) -> Content:
    """Work out what to show.

    Parameters
    ----------
    found
        What a slice holds.
    shown
        The slice in view.
    shape
        Of the volume.
    label
        What is painted with.
    seconds
        Spent annotating.
    """
    rows = tuple(
        SliceRow(which, which in state.complete, f"{name_of(which)}  {_words(which, state, found(which))}")
        for which in state.tracked
        if which in state.complete or found(which).has_paint
    )
    values = frozenset[int]().union(*(found(row.slice).values for row in rows)) - {0}
    is_objects = state.paint == "objects"
    return Content(
        paint=state.paint,
        classes=state.classes,
        object_line=f"Object {label}" + ("" if label in values else " (new)") if label else "Erasing (object 0)",
        rows=rows,
        shown=shown,
        shown_name=name_of(shown) if shown else "",
        shown_complete=shown in state.complete,
        mark=_mark(shown, rows),
        effort=_effort(state, seconds, n_objects=len(values) if is_objects else None, shape=shape) if rows else _HINT,
    )


def _effort(state: PaintState, seconds: float, *, n_objects: int | None, shape: tuple[int, int, int]) -> str:
    n_complete, share = len(state.complete), covered(shape, state.complete)
    return effort_line(seconds, n_complete=n_complete, n_objects=n_objects, share=share)


def _words(which: SliceIndex, state: PaintState, found: Found) -> str:
    if which not in state.complete:
        return "painted, not complete"
    values = set(found.values) - {0}
    if state.paint == "objects":
        return f"complete, {len(values)} object{'' if len(values) == 1 else 's'}"
    if 0 in found.values:  # unpainted voxels of a complete slice are background
        values |= {row.value for row in state.classes if row.background}
    return f"complete, {len(values)} class{'' if len(values) == 1 else 'es'}"


def _mark(shown: SliceIndex | None, rows: tuple[SliceRow, ...]) -> Mark | None:
    row = next((row for row in rows if row.slice == shown), None)
    if row is None:
        return None
    name = name_of(row.slice)
    return Mark(
        f"{name} is complete" if row.complete else f"{name} is not complete ({KEYS.complete})", complete=row.complete
    )
