"""Volumes and paint as napari's layer data: what readers and sample data return."""

from __future__ import annotations

from typing import Any, TypeAlias

from numpy.typing import NDArray

from napari_weak3d.types import AXES, RELATIVE, IntLabels, Volume

LayerData: TypeAlias = tuple[NDArray[Any], dict[str, Any], str]
"""What napari makes a layer from: data, arguments, kind."""

_TINTS = {1: ("gray",), 2: ("magenta", "green"), 3: ("blue", "green", "red")}
"""Colormaps of channels that are shown on top of one another."""


def image_layers(volume: Volume, *, names: tuple[str, ...]) -> list[LayerData]:
    """Turn a volume into a layer per channel, ``names`` being theirs, with its spacing and unit."""
    tints = _TINTS.get(volume.n_channels, ("gray",) * volume.n_channels)
    blending = "translucent_no_depth" if volume.n_channels == 1 else "additive"
    looks = [{"name": name, "colormap": tint, "blending": blending} for name, tint in zip(names, tints, strict=True)]
    return [(volume.data[channel], look | frame_of(volume), "image") for channel, look in enumerate(looks)]


def labels_layer(labels: IntLabels, volume: Volume, *, name: str) -> LayerData:
    """Turn labels (Z, Y, X) of a volume into a layer that lies on it."""
    return labels, {"name": name} | frame_of(volume), "labels"


def points_layer(points_vox: NDArray[Any], volume: Volume, *, name: str) -> LayerData:
    """Turn points (N, 3) zyx, in voxels of a volume, into a layer that lies on it."""
    return points_vox, {"name": name} | frame_of(volume), "points"


def frame_of(volume: Volume) -> dict[str, Any]:
    """Scale, units and axis labels of a layer (Z, Y, X) that shows this volume; pixels where only ratios are known."""
    unit = "pixel" if volume.unit == RELATIVE else volume.unit
    return {"scale": volume.spacing, "units": (unit,) * len(AXES), "axis_labels": tuple(AXES)}
