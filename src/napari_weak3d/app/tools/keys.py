"""Keys of the tool: bound on its paint layer, for napari ignores those of a manifest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import Any


@dataclass(frozen=True)
class Keys:
    """What to press, as napari writes it; letters that are free on Labels layers of napari 0.9."""

    complete: str = "C"
    next: str = "N"
    copy_preview: str = "D"
    new_object: str = "O"
    undo: str = "Control-Z"
    redo: str = "Control-Shift-Z"


KEYS = Keys()


def bind(
    layer: Any,
    *,
    complete: Callable[[], None],
    next: Callable[[], None],
    copy_preview: Callable[[], None],
    new_object: Callable[[], None],
    undo: Callable[[], None],
    redo: Callable[[], None],
) -> None:
    """Let the keys act while this layer is the active one."""
    for key, act in zip(astuple(KEYS), (complete, next, copy_preview, new_object, undo, redo), strict=True):
        layer.bind_key(key, lambda _layer, act=act: act(), overwrite=True)


def unbind(layer: Any) -> None:
    """Give the keys of this layer back to napari."""
    for key in astuple(KEYS):
        layer.bind_key(key, None, overwrite=True)
