"""What the user has settled about a layer in step 1, and which part of it is in view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_weak3d.app.sources import AxisRole, LayerImage
from napari_weak3d.types import Spacing


@dataclass(frozen=True)
class Choices:
    """What the user has settled about a layer; None: as the layer says."""

    role: AxisRole | None = None
    channels: tuple[int, ...] | None = None
    spacing: tuple[Spacing, str] | None = None


def time_in_view(image: LayerImage, layer: Any, dims: Any) -> int | None:
    """Return the time point of a layer's image that napari's ``dims`` shows; None: it has no time."""
    if image.role != "time":
        return None
    point = layer.world_to_data(dims.point[dims.ndim - layer.ndim :])
    return int(np.clip(round(float(point[0])), 0, image.n_times - 1))


def name_part(image: LayerImage, time: int | None) -> str:
    """Call what is painted on: the image, or one of its time points."""
    return "this image" if time is None else f"time point {time} of {image.n_times}"
