"""Steps on what paint means: the table of classes, and classes or objects. Each can be undone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from napari_weak3d.app.colours import next_color
from napari_weak3d.app.tools import edits
from napari_weak3d.app.tools.class_table import ClassTable
from napari_weak3d.app.tools.paint_state import Paint
from napari_weak3d.app.tools.session import PaintSession
from napari_weak3d.app.tools.slices_panel import SlicesPanel
from napari_weak3d.app.tools.survey import Survey
from napari_weak3d.types import PaintClass

WARNINGS: dict[Paint, str] = {
    "objects": "Classes are painted. As objects, each value becomes one object and background paint is cleared. "
    "Undo brings it back.",
    "classes": "Objects are painted. As classes, all of them become one class. Undo brings them back.",
}
"""What to tell the user before a switch to this, where there is paint."""


def connect(table: ClassTable, session: Callable[[], PaintSession], *, take_brush: Callable[[int], None]) -> None:
    """Let a table of classes act on the session that there is when it is used."""
    table.chosen.connect(take_brush)
    table.added.connect(lambda: take_brush(add(session())))
    table.renamed.connect(lambda value, name: rename(session(), value, name=name))
    table.recoloured.connect(lambda value, color: recolour(session(), value, color=color))
    table.removed.connect(lambda value: remove(session(), value))


def add(session: PaintSession) -> int:
    """Add a class with a free value and colour, and paint with it; returns its value."""
    state = session.state
    value = state.free_value()
    row = PaintClass(value, f"class {value}", next_color(state.classes))
    rows = tuple(sorted((*state.classes, row), key=lambda each: each.value))
    session.step(f"add class {value}", replace(state, classes=rows), brush=value)
    return value


def rename(session: PaintSession, value: int, *, name: str) -> None:
    """Name a class."""
    row = session.state.row(value)
    if row is not None:
        session.step(f"rename class {value}", session.state.with_class(replace(row, name=name)))


def recolour(session: PaintSession, value: int, *, color: str) -> None:
    """Give a class another colour, "#rrggbb"."""
    row = session.state.row(value)
    if row is not None:
        session.step(f"recolour class {value}", session.state.with_class(replace(row, color=color)))


def remove(session: PaintSession, value: int) -> None:
    """Remove a class and its paint; the background stays."""
    row = session.state.row(value)
    if row is None or row.background:
        return
    edit, state = edits.clear_value(session.labels, value), session.state.without_class(value)
    brush = state.classes[-1].value if int(session.layer.selected_label) == value else None
    session.step(f"remove class {value}", state, edit=edit, brush=brush)


def choose(session: PaintSession, paint: Paint, panel: SlicesPanel, survey: Survey) -> None:
    """Switch between classes and objects, at once only while nothing is painted; else ask."""
    panel.show_paint(session.state.paint)
    if paint == session.state.paint:
        return
    survey.finish()
    if any(survey.found(which).values - {0} for which in session.state.tracked):
        answers = {f"Paint {paint}": lambda: switch(session, paint), "Cancel": lambda: None}
        panel.ask(WARNINGS[paint], answers)
    else:
        switch(session, paint)


def switch(session: PaintSession, paint: Paint) -> None:
    """Paint classes, or objects, from now on; paint that is there is taken along."""
    change = edits.to_objects if paint == "objects" else edits.to_classes
    edit, state = change(session.labels, session.state)
    session.step(f"paint {paint}", state, edit=edit, brush=edits.brush_for(session.labels, session.state, paint=paint))
