"""Offers in step 1 what a layer's file knows and the layer does not, before anything is annotated on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from napari_weak3d.app.desk import Desk
from napari_weak3d.app.file_says import FileSays, ask_file, set_right
from napari_weak3d.app.sources import LayerImage


class FileAdvice:
    """Asks each layer's file once, on a thread; ``on_advice`` is called with the layer when there is something."""

    def __init__(self, desk: Desk, *, on_advice: Callable[[Any], None]) -> None:
        self._desk, self._on_advice = desk, on_advice
        self._said: WeakKeyDictionary[Any, FileSays | None] = WeakKeyDictionary()

    def offer(self, layer: Any, image: LayerImage) -> None:
        """Show what the layer's file says, if that is known; else ask it."""
        if layer not in self._said:
            self._said[layer] = None
            self._desk.copying.run(
                lambda: ask_file(image),
                done=lambda says: self._keep(layer, says),
                failed=lambda _: None,  # then nothing is offered
            )
        says = self._said[layer]
        if says is not None:
            self._desk.panels.image.show_note(says.text, remedy="Use what the file says")

    def take(self, layer: Any) -> bool:
        """Set a layer right by its file; returns whether there was anything to set right."""
        says = self._said.get(layer)
        if says is None:
            return False
        self._said[layer] = None
        set_right(layer, says)
        return True

    def _keep(self, layer: Any, says: FileSays | None) -> None:
        self._said[layer] = says
        if says is not None:
            self._on_advice(layer)
