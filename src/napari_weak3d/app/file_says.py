"""What a layer's own file says of it that napari's reader left out: the voxel size, and which axis is which.

napari opens an ImageJ hyperstack as a bare array: (Z, C, Y, X), a voxel of 1, 1, 1. Taken as it comes, that is a time
series of two slices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_weak3d.app.sources import LayerImage
from napari_weak3d.errors import Weak3DError
from napari_weak3d.io.axes import StoredImage
from napari_weak3d.io.formats import open_stored
from napari_weak3d.io.project import AxisRole
from napari_weak3d.io.spacing import spacing_from_metadata
from napari_weak3d.types import RELATIVE, Spacing

_ROLES: dict[str, AxisRole] = {"C": "channels", "T": "time"}
_SILENT: tuple[Spacing, str] = ((1.0, 1.0, 1.0), RELATIVE)


@dataclass(frozen=True)
class FileSays:
    """What the layer leaves out.

    Attributes
    ----------
    axes
        A lower-case letter per axis of the layer as it is, "zcyx"; "" where there is nothing to say of them.
    spacing, unit
        Size of a voxel (z, y, x) and "um" or "relative"; the layer's own where there is nothing to say of it.
    text
        For the user, a sentence.
    """

    axes: str
    spacing: Spacing
    unit: str
    text: str

    @property
    def order(self) -> tuple[int, ...]:
        """How the layer's axes become channels or time, z, y, x."""
        return tuple(sorted(range(len(self.axes)), key=lambda axis: "ctzyx".index(self.axes[axis])))


def ask_file(image: LayerImage) -> FileSays | None:
    """Say what the file of a layer knows and the layer does not; None where that is nothing.

    Reads the file's header only, but from a disk: for a thread.
    """
    if image.path is None:
        return None
    try:
        stored = open_stored(image.path)
    except (Weak3DError, OSError):
        return None
    shape = tuple(int(n) for n in image.data.shape)
    kept = [(axis, int(n)) for axis, n in zip(stored.axes, stored.data.shape, strict=True) if n > 1 or axis in "ZYX"]
    if tuple(n for _, n in kept) != shape:
        return None
    axes = _name_axes("".join(axis for axis, _ in kept), image.role)
    size = _find_size(stored, image)
    if not axes and size is None:
        return None
    news = ([_tell_axes(axes, shape)] if axes else []) + ([_tell_size(*size)] if size else [])
    spacing, unit = size or (image.spacing, image.unit)
    return FileSays(axes, spacing, unit, text=f"Its file says: {', '.join(news)}. napari's reader left that out.")


def _name_axes(stored: str, role: AxisRole | None) -> str:
    """The axes in lower case, if they are four with a meaning and not as the layer is taken to have them."""
    if len(stored) != 4 or set(stored) not in (set("CZYX"), set("TZYX")):
        return ""
    return "" if stored[0] in _ROLES and _ROLES[stored[0]] == role and stored.endswith("ZYX") else stored.lower()


def _find_size(stored: StoredImage, image: LayerImage) -> tuple[Spacing, str] | None:
    if (image.spacing, image.unit) != _SILENT:
        return None
    try:
        return spacing_from_metadata(stored.sizes, stored.units, n_slices=image.shape[0], where=image.name)
    except Weak3DError:
        return None


def set_right(layer: Any, says: FileSays) -> None:
    """Give a layer the axes and the voxel size that its file has; its voxels stay as they are."""
    if says.axes:
        layer.data = np.transpose(layer.data, says.order)
        layer.axis_labels = tuple(says.axes[axis] for axis in says.order)
    unit = "pixel" if says.unit == RELATIVE else says.unit
    others = layer.ndim - 3
    layer.scale = (*(1.0,) * others, *says.spacing)[-layer.ndim :]
    layer.units = (*("pixel",) * others, *(unit,) * 3)[-layer.ndim :]


def _tell_axes(axes: str, shape: tuple[int, ...]) -> str:
    place = next(place for place, axis in enumerate(axes.upper()) if axis in _ROLES)
    what = {"C": "channels", "T": "time points"}[axes[place].upper()]
    return f"the {shape[place]} {what} are axis {place + 1} of {len(axes)}"


def _tell_size(spacing: Spacing, unit: str) -> str:
    sizes = " x ".join(f"{size:.4g}" for size in spacing)
    return f"a voxel is {sizes} {'(relative)' if unit == RELATIVE else 'µm'} (z, y, x)"
