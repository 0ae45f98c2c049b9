"""Going on with labels that the user has painted before: what their values mean is asked, never guessed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from numpy.typing import NDArray

from napari_weak3d.app.tools import edits
from napari_weak3d.app.tools.paint_state import Paint
from napari_weak3d.app.tools.planes import values_in_volume
from napari_weak3d.app.tools.session import PaintSession
from napari_weak3d.app.tools.slices_panel import SlicesPanel
from napari_weak3d.errors import AnnotationError

_MOST_CLASSES = 20  # nobody paints as many classes: more values are ids of objects
_MEANINGS: dict[str, tuple[Paint, int]] = {
    "Objects": ("objects", 0),
    "Classes, 1 is background": ("classes", 0),
    "Classes, 0 is background": ("classes", 1),
}
"""An answer, what the values are then, and what is added to them."""


def ask(
    session: PaintSession, labels: NDArray[Any], *, name: str, panel: SlicesPanel, done: Callable[[], None]
) -> None:
    """Ask what the values of labels are and whether they may take the place of paint, then copy them in one step.

    Nothing is asked where there is nothing to lose and so many values that they can be objects only.

    Parameters
    ----------
    labels
        (Z, Y, X) of the paint's shape, integers; 0 is unpainted.
    name
        What the user calls them.
    done
        Called after they were copied.

    Raises
    ------
    AnnotationError
        There is no label in them.
    """
    values = values_in_volume(labels)
    if not values:
        raise AnnotationError(f"there are no labels in {name}: every voxel is 0", where=name, value=0)
    are_objects = len(values) > _MOST_CLASSES
    loses = bool(session.state.complete) or bool(session.labels.any())
    answers = {
        text: partial(_use, session, labels, name=name, paint=paint, shift=shift, done=done)
        for text, (paint, shift) in _MEANINGS.items()
        if paint == "objects" or not are_objects
    }
    if are_objects and not loses:
        answers["Objects"]()
        return
    lost = f"{name} takes the place of the paint and marks that are there; undo brings them back. " if loses else ""
    panel.ask(f"{lost}What {_span(values)} of {name}?", {**answers, "Cancel": lambda: None})


def _use(
    session: PaintSession, labels: NDArray[Any], *, name: str, paint: Paint, shift: int, done: Callable[[], None]
) -> None:
    edit, state = edits.use_labels(session.labels, labels, paint=paint, shift=shift, state=session.state)
    session.step(f"use {name}", state, edit=edit, brush=edits.brush_for(labels, state, paint=paint))
    done()


def _span(values: list[int]) -> str:
    return f"is value {values[0]}" if len(values) == 1 else f"are the values {values[0]} to {values[-1]}"
