"""A layer that the app has put into a viewer, and whether the user has made it theirs by editing it."""

from __future__ import annotations

from typing import Any, Literal
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

Role = Literal["paint", "preview", "result", "extra"]


class OwnLayer:
    """A layer of ours: what it is for, over which image, and whether the user has edited it since we filled it."""

    def __init__(self, layer: Any, *, role: Role, image_layer: Any, name: str) -> None:
        self.layer, self.role, self.image_layer, self.name = layer, role, image_layer, name
        self.painted = False
        self.check = _checksum(layer.data) if role == "result" else 0
        if role in ("preview", "result"):
            layer.events.paint.connect(self._on_paint)

    def _on_paint(self) -> None:
        self.painted = True

    def is_edited(self) -> bool:
        """Whether anything but us has changed the voxels, be it by brush or by another plugin."""
        return self.painted or (self.role == "result" and _checksum(self.layer.data) != self.check)

    def refill(self, data: NDArray[Any]) -> None:
        """Put other voxels into the layer."""
        self.layer.data = data
        self.check = _checksum(data) if self.role == "result" else 0


def _checksum(data: Any) -> int:
    return crc32(np.ascontiguousarray(data).data)
