"""What comes beside the labels of a result, as layers: classes, uncertainty, maps."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject

from napari_weak3d.app.colours import class_colormap
from napari_weak3d.app.desk import Desk
from napari_weak3d.app.shown_result import Result, extras_of


class ResultExtras(QObject):
    """Shows what the panel asks for of the result that it is about."""

    def __init__(self, desk: Desk, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._desk = desk
        self._result: Result | None = None
        desk.panels.result.extra_toggled.connect(self._toggle)

    def turn_to(self, result: Result | None) -> None:
        """Let it be about another result, or none."""
        self._result = result

    def _toggle(self, name: str, on: bool) -> None:
        """Show one beside the labels, or take it out of the viewer."""
        result = self._result
        if not on or result is None:
            self._desk.layers.hide_extra(name)
            return
        stored = extras_of(result.prediction)[name]
        colormap = class_colormap(result.prediction.class_table) if name == "classes" else None

        def show(voxels: NDArray[Any]) -> None:
            if self._result is result and self._desk.layers.contains(result.image_layer):
                self._desk.layers.show_extra(result.image_layer, voxels, name=name, colormap=colormap)

        kind = np.int32 if stored.dtype.kind in "iu" else np.float32
        self._desk.background.run(lambda: np.array(stored, dtype=kind), done=show, failed=self._desk.complain)
