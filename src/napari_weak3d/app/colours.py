"""Colours of painted classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from napari.utils.colormaps import DirectLabelColormap, label_colormap

from napari_weak3d.types import PaintClass

PALETTE = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377")
"""Paul Tol's bright scheme: told apart by the colour-blind too."""
COMPLETE = "#228833"
"""Of the frame around a complete slice, and of its mark in the list."""
_OTHER = "#bbbbbb"  # values without a row in the table


def class_colormap(classes: Sequence[PaintClass]) -> Any:
    """Map each class to its colour, unpainted to nothing and any other value to grey."""
    colors: dict[int | None, str] = {None: _OTHER, 0: "transparent"}
    return DirectLabelColormap(color_dict=colors | {row.value: row.color for row in classes if row.value})


@lru_cache(maxsize=8)
def preview_colormap(classes: tuple[PaintClass, ...]) -> Any:
    """Map each class to its colour but the background to nothing: what lies below is looked at, too.

    The same classes give the same object, which a layer need not be told anew.
    """
    return class_colormap([replace(row, color="transparent") if row.background else row for row in classes])


def object_colormap() -> Any:
    """Map ids to many different colours, in turn."""
    return label_colormap(49, seed=0.5, background_value=0)


def next_color(classes: Sequence[PaintClass]) -> str:
    """Choose the colour of a new class: the first of the palette that no class has, else in turn."""
    taken = {row.color.lower() for row in classes}
    return next((color for color in PALETTE if color not in taken), PALETTE[len(classes) % len(PALETTE)])
