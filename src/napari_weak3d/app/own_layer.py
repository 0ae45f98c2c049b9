"""Layers that the app has put into a viewer, and whether the user has made one theirs: by editing or by renaming it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal
from weakref import WeakKeyDictionary
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from napari_weak3d.retouch.blocks import cut_blocks, work_on

Role = Literal["paint", "preview", "result", "series", "extra"]
_KEPT: tuple[Role, ...] = ("result", "extra")
"""What the user may want to keep: by whatever it was changed, or called otherwise, it is the user's."""


class OwnLayer:
    """A layer of ours: what it is for, over which image, and whether the user has edited it since we filled it.

    Parameters
    ----------
    check
        The checksum of its voxels, where a thread has made it already.
    """

    def __init__(self, layer: Any, *, role: Role, image_layer: Any, name: str, check: int | None = None) -> None:
        self.layer, self.role, self.image_layer, self.name = layer, role, image_layer, name
        self.painted = False
        self.shown_as = layer.name  # set again once it is in the viewer: napari may number it
        self.check = self._check(layer.data, check)
        if role != "paint" and hasattr(layer.events, "paint"):
            layer.events.paint.connect(self._on_paint)

    def _on_paint(self) -> None:
        self.painted = True

    def is_edited(self) -> bool:
        """Whether anything but us has changed the voxels, be it by brush or by another plugin, or the name."""
        if self.painted or self.role not in _KEPT:
            return self.painted
        return self.layer.name != self.shown_as or checksum(self.layer.data) != self.check

    def refill(self, data: NDArray[Any], *, check: int | None = None) -> None:
        """Put other voxels into the layer."""
        self.layer.data = data
        self.check = self._check(data, check)

    def _check(self, data: Any, known: int | None) -> int:
        if self.role not in _KEPT:
            return 0
        return checksum(data) if known is None else known


class OwnLayers:
    """All layers of ours in a viewer; ``layers`` is the viewer's list."""

    def __init__(self, layers: Any) -> None:
        self._layers = layers
        self._own: list[OwnLayer] = []
        self.results: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
        """The image layer of every layer that was shown as a result, be it the user's by now."""

    def __iter__(self) -> Iterator[OwnLayer]:
        """Go through them; the list may change meanwhile."""
        return iter(tuple(self._own))

    def append(self, layer: Any, *, role: Role, image_layer: Any, name: str) -> None:
        """Put a layer in front of everything."""
        own = OwnLayer(layer, role=role, image_layer=image_layer, name=name)
        self._own.append(own)  # first: who hears of the new layer is to know whose it is
        self._layers.append(layer)
        own.shown_as = layer.name

    def insert(self, layer: Any, *, role: Role, image_layer: Any, name: str, check: int | None = None) -> OwnLayer:
        """Put a layer right in front of its image, a result in front of earlier ones; leave active what was active."""
        active = self._layers.selection.active
        earlier = [each for each, image in self.results.items() if role == "result" and image is image_layer]
        earlier += [own.layer for own in self._own if own.role == "series" and own.image_layer is image_layer]
        below = [self._layers.index(each) for each in (image_layer, *earlier) if self.holds(each)]
        own = OwnLayer(layer, role=role, image_layer=image_layer, name=name, check=check)
        self._own.append(own)
        self._layers.insert(max(below, default=len(self._layers) - 1) + 1, layer)
        own.shown_as = layer.name
        if role == "result":
            self.results[layer] = image_layer
        if active is not None:
            self._layers.selection.active = active
        return own

    def find(self, role: Role, *, image_layer: Any, name: str | None = None) -> OwnLayer | None:
        """Find our layer for this; one that the user has edited is let go of, and is the user's from then on."""
        for own in self._own:
            if own.role == role and own.image_layer is image_layer and name in (None, own.name):
                if not own.is_edited():
                    return own
                self._own.remove(own)
                return None
        return None

    def of(self, layer: Any) -> OwnLayer | None:
        """Give what is known of a layer; None: it is the user's."""
        return next((own for own in self._own if own.layer is layer), None)

    def remove(self, role: Role, *, name: str | None = None) -> None:
        """Take those of a role, and of a name if one is given, out of the viewer; what the user has edited stays."""
        for own in [own for own in self._own if own.role == role and name in (None, own.name)]:
            self._own.remove(own)
            if self.holds(own.layer) and not own.is_edited():
                self._layers.remove(own.layer)

    def put_away(self, layer: Any) -> None:
        """Take a paint layer out of sight; where its image is gone and nothing else is in sight it stays.

        napari would draw an empty canvas, and with Mesa's software OpenGL it crashes there.
        """
        own = self.of(layer)
        is_left = own is not None and not self.holds(own.image_layer)
        if not is_left or any(each.visible for each in self._layers if each is not layer):
            layer.visible = False

    def hide_paint(self, *, but: Any) -> None:
        """Take all paint layers out of sight, but for one."""
        for own in self._own:
            if own.role == "paint" and own.layer is not but and own.layer.visible:
                own.layer.visible = False

    def let_go(self, layer: Any) -> OwnLayer | None:
        """Forget a layer: it is the user's; returns what was known of it."""
        own = self.of(layer)
        if own is not None:
            self._own.remove(own)
        return own

    def holds(self, layer: Any) -> bool:
        """Whether a layer is in the viewer."""
        return any(each is layer for each in self._layers)


def checksum(data: Any) -> int:
    """Tell voxels from others, as good as surely."""
    voxels = np.ascontiguousarray(data)
    sums = work_on(cut_blocks(voxels.shape), lambda block: crc32(voxels[block].data))
    return crc32(np.array(sums).data)
