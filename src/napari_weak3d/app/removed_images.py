"""The layer of the image in work is removed from the viewer: what is annotated is saved, and it can come back."""

from __future__ import annotations

from typing import Any

from napari_weak3d.app.desk import Desk, Work
from napari_weak3d.app.images import Images
from napari_weak3d.errors import Weak3DError


class RemovedImages:
    """Asks whether the image that was annotated is to be shown again."""

    def __init__(self, desk: Desk, images: Images) -> None:
        self._desk, self._images = desk, images
        desk.layers.removed.connect(self._on_removed)

    def _on_removed(self, layer: Any) -> None:
        work = self._desk.work
        if work is None or layer is not work.layer:
            return
        try:
            self._images.leave()
        except Weak3DError as error:
            text = f"{layer.name} was removed from the viewer, and {error.message}"
            self._desk.ask(text, {"Show it again": lambda: self._desk.viewer.add_layer(layer)})
            return
        self._desk.ask(
            f"{layer.name} was removed from the viewer. What you painted on it is in the project.",
            {"Show it again": lambda: self._show_again(layer, work), "Fine": lambda: None},
        )

    def _show_again(self, layer: Any, work: Work) -> None:
        self._desk.viewer.add_layer(layer)
        if self._desk.project is not None:
            try:
                self._images.begin_on(layer, work.image_id, time_index=work.time_index)
            except Weak3DError as error:
                self._desk.complain(error)
