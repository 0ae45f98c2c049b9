"""Which layers show which images of the project, and which of them are in sight."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from napari_weak3d.app.layers import Layers


class ShownImages:
    """Layers by the image that they show: one per image, one per channel of it, or one for many time points."""

    def __init__(self, layers: Layers) -> None:
        self._layers = layers
        self._ids: WeakKeyDictionary[Any, dict[int | None, str]] = WeakKeyDictionary()
        self._n_channels: dict[str, int] = {}
        self._hidden: WeakSet[Any] = WeakSet()

    def __contains__(self, layer: Any) -> bool:
        """Whether a layer shows an image of the project."""
        return layer in self._ids

    def bind(self, layer: Any, image_id: str, *, time: int | None = None, n_channels: int | None = None) -> None:
        """Note that a layer shows an image, at this time point; ``n_channels``: how many its file has."""
        self._ids.setdefault(layer, {})[time] = image_id
        if n_channels is not None:
            self._n_channels[image_id] = n_channels

    def unbind(self, layer: Any, *, time: int | None = None) -> None:
        """Note that a layer shows the image no more that it showed at this time point."""
        ids = self._ids.get(layer, {})
        ids.pop(time, None)
        if not ids:
            self._ids.pop(layer, None)

    def forget(self) -> None:
        """Forget all of it: another project is open."""
        self._ids.clear()
        self._n_channels.clear()
        self._hidden.clear()

    def id_of(self, layer: Any, time: int | None) -> str | None:
        """Return the id of the image that a layer shows at this time point, or None."""
        return self._ids.get(layer, {}).get(time)

    def ids_on(self, layer: Any) -> list[str]:
        """Return the ids of all images that a layer shows, one after the other."""
        return list(self._ids.get(layer, {}).values())

    def where(self, image_id: str) -> tuple[Any, int | None] | None:
        """Return the first layer in the viewer that shows an image, and at which time point; None: there is none."""
        for layer, ids in list(self._ids.items()):
            for time, known in ids.items():
                if known == image_id and self._layers.contains(layer):
                    return layer, time
        return None

    def n_channels_of(self, image_id: str) -> int | None:
        """Return how many channels the file of an image has, where that was told."""
        return self._n_channels.get(image_id)

    def bring_to_sight(self, layer: Any, image_id: str) -> None:
        """Show the layer of an image, and take the project's other images and what lies on them out of sight.

        What was taken out of sight here comes back with its image; what the user had hidden stays so.
        """
        for other, ids in list(self._ids.items()):
            group = [other, *self._layers.results_on(other)]
            if image_id not in ids.values():
                for each in [each for each in group if each.visible]:
                    each.visible = False
                    self._hidden.add(each)
            else:
                for each in [each for each in group if each in self._hidden]:
                    each.visible = True
                    self._hidden.discard(each)
        if not layer.visible:  # setting it again would reset a brush
            layer.visible = True
