"""Clicks into the image of a user who only looks: neither paints nor moves anything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, Signal

_STILL = 4.0  # pixels of the canvas: a hand that clicks is not quite still


class Clicks(QObject):
    """Tells of clicks while the active layer is neither painted in nor edited.

    Signals
    -------
    clicked(event)
        napari's event of the mouse, where it was pressed.
    """

    clicked = Signal(object)

    def __init__(self, viewer: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        viewer.mouse_drag_callbacks.append(self._on_press)

    def close(self) -> None:
        """Let go of the viewer."""
        if self._on_press in self._viewer.mouse_drag_callbacks:
            self._viewer.mouse_drag_callbacks.remove(self._on_press)

    def _on_press(self, viewer: Any, event: Any) -> Iterator[None]:
        """Follow the mouse from press to release: a drag moves the view, and is no click."""
        active = viewer.layers.selection.active
        if event.button != 1 or (active is not None and str(active.mode) != "pan_zoom"):
            return
        place, still = np.asarray(event.pos), True
        yield
        while event.type == "mouse_move":
            still &= bool(np.abs(np.asarray(event.pos) - place).max() <= _STILL)
            yield
        if still:
            self.clicked.emit(event)


def value_under(layer: Any, event: Any) -> int:
    """Tell which label lies under the mouse; 0: none."""
    displayed = list(event.dims_displayed)
    value = layer.get_value(event.position, view_direction=event.view_direction, dims_displayed=displayed, world=True)
    return int(value or 0)
