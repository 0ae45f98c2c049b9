"""What the table of classes does to boxes."""

from __future__ import annotations

from collections.abc import Callable

from napari_weak3d.app.tools.boxes import steps
from napari_weak3d.app.tools.boxes.session import BoxSession
from napari_weak3d.app.tools.class_table import ClassTable


def connect(table: ClassTable, session: Callable[[], BoxSession], *, choose: Callable[[int], None]) -> None:
    """Let a table of classes act on the session that there is when it is used.

    Parameters
    ----------
    choose
        Makes a class the one that boxes are drawn of.
    """
    table.chosen.connect(choose)
    table.added.connect(lambda: choose(steps.add_class(session())))
    table.renamed.connect(lambda value, name: steps.rename_class(session(), value, name=name))
    table.recoloured.connect(lambda value, color: steps.recolour_class(session(), value, color=color))
    table.removed.connect(lambda value: steps.remove_class(session(), value))
