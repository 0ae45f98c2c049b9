"""Keys of the tool, bound on its layers: napari ignores those of a manifest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

BOX_KEYS = {
    "start": "[",
    "end": "]",
    "snap": "G",
    "give_class": "K",
    "paint": "M",
    "next": "N",
    "copy": "Control-C",
    "paste": "Control-V",
    "undo": "Control-Z",
    "redo": "Control-Shift-Z",
}
"""On the rectangles: keys that are free on Shapes layers of napari 0.9, or mean the same there."""
MASK_KEYS = {"interpolate": "I", "done": "C", "leave": "B", "undo": "Control-Z", "redo": "Control-Shift-Z"}
"""On the paint of one mask: keys that are free on Labels layers."""


def bind(layer: Any, keys: Mapping[str, str], *, verbs: Mapping[str, Callable[[], None]]) -> None:
    """Let keys act while this layer is the active one."""
    for name, key in keys.items():
        layer.bind_key(key, lambda _layer, act=verbs[name]: act(), overwrite=True)


def unbind(layer: Any, keys: Mapping[str, str]) -> None:
    """Give the keys of this layer back to napari."""
    for key in keys.values():
        layer.bind_key(key, None, overwrite=True)
