"""Keys of the tool, bound on its layers: napari ignores those of a manifest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

CLICK_KEYS = {
    "remove": "D",
    "centre": "C",
    "find": "F",
    "accept": "Y",
    "refuse": "X",
    "next": "N",
    "undo": "Control-Z",
    "redo": "Control-Shift-Z",
}
"""What to press, as napari writes it; keys that are free on Points layers of napari 0.9."""


def bind(layer: Any, verbs: Mapping[str, Callable[[], None]]) -> None:
    """Let the keys act while this layer is the active one."""
    for name, key in CLICK_KEYS.items():
        layer.bind_key(key, lambda _layer, act=verbs[name]: act(), overwrite=True)


def unbind(layer: Any) -> None:
    """Give the keys of this layer back to napari."""
    for key in CLICK_KEYS.values():
        layer.bind_key(key, None, overwrite=True)
