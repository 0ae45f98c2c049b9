"""Keys of the tool: bound on its layers, for napari ignores those of a manifest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
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
_ALL = tuple(each.name for each in fields(Keys))
_VERBS = {"complete": "complete_shown", "next": "next_slice"}  # of the tool, where they are not called as the key is
ON_IMAGE = ("complete", "next")
"""Keys that act while the image is the active layer, too: one looks at it, and has not left the slice."""


def bind(layer: Any, tool: Any, *, names: Iterable[str] = _ALL) -> None:
    """Let keys, by their names in :class:`Keys`, call verbs of the tool while this layer is the active one."""
    for name in names:
        act = getattr(tool, _VERBS.get(name, name))
        layer.bind_key(getattr(KEYS, name), lambda _layer, act=act: act(), overwrite=True)


def unbind(layer: Any, *, names: Iterable[str] = _ALL) -> None:
    """Give keys of this layer back to napari."""
    for name in names:
        layer.bind_key(getattr(KEYS, name), None, overwrite=True)
