"""What the user has settled about layers in step 1, and what the project knows of them already."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from napari_weak3d.app.desk import Desk
from napari_weak3d.app.grid import shape_of
from napari_weak3d.app.intake import Settings
from napari_weak3d.app.shown_images import ShownImages
from napari_weak3d.app.sources import LayerImage, look_at, role_of_label
from napari_weak3d.io.project import AxisRole, ImageEntry, new_id
from napari_weak3d.types import Spacing

_N_WITH_FIRST = 4
"""Axes of a layer that has one before Z, Y, X."""


@dataclass(frozen=True)
class Choices:
    """What the user has settled about a layer; None: as the layer says."""

    role: AxisRole | None = None
    channels: tuple[int, ...] | None = None
    spacing: tuple[Spacing, str] | None = None


class LayerChoices:
    """Looks at layers as the user has settled what they are.

    Parameters
    ----------
    shown
        Which layers show which images of the project.
    """

    def __init__(self, desk: Desk, shown: ShownImages) -> None:
        self._desk, self._shown = desk, shown
        self._settled: WeakKeyDictionary[Any, Choices] = WeakKeyDictionary()
        self._series: WeakKeyDictionary[Any, str] = WeakKeyDictionary()

    def settle(
        self,
        layer: Any,
        *,
        role: AxisRole | None = None,
        channels: tuple[int, ...] | None = None,
        spacing: tuple[Spacing, str] | None = None,
    ) -> None:
        """Note what the user says; None leaves what was said before."""
        old = self._of(layer)
        self._settled[layer] = Choices(role or old.role, channels or old.channels, spacing or old.spacing)

    def forget(self, layer: Any) -> None:
        """Forget what the user has said of a layer: it is another image now."""
        self._settled.pop(layer, None)

    def look(self, layer: Any) -> LayerImage:
        """Say what image a layer holds.

        Raises
        ------
        VolumeError
            As :func:`~napari_weak3d.app.sources.look_at`.
        """
        image = look_at(layer, self._role_of(layer))
        files = [Path(entry.path) for entry in self._entries_on(layer) if entry.source == "file"]
        return replace(image, path=files[0]) if image.path is None and files else image

    def is_guess(self, layer: Any, image: LayerImage) -> bool:
        """Whether it is a guess that the first axis is time: neither user nor layer nor project says so."""
        return image.role == "time" and self._role_of(layer) is None

    def entry_of(self, layer: Any, time: int | None) -> ImageEntry | None:
        """Return what the project knows of the image, or the time point of it, that a layer shows."""
        project, image_id = self._desk.project, self._shown.id_of(layer, time)
        return None if project is None or image_id is None else project.image(image_id)

    def spacing_of(self, layer: Any, image: LayerImage, time: int | None) -> tuple[Spacing, str]:
        """Return what the project says of the voxel size, or the user, or the layer."""
        entry, settled = self.entry_of(layer, time), self._of(layer).spacing
        known = [entry] if entry is not None else self._entries_on(layer) if settled is None else []
        if known:
            return known[0].spacing, known[0].unit
        return settled or (image.spacing, image.unit)

    def channels_of(self, layer: Any, image: LayerImage, time: int | None) -> tuple[int, tuple[int, ...] | None]:
        """Return how many channels the image has and which are used, None: all; of a channel's layer, its file's."""
        entry = self.entry_of(layer, time)
        if entry is None:
            return image.n_channels, self._of(layer).channels
        n_channels = self._shown.n_channels_of(entry.id) or image.n_channels
        return n_channels, entry.channels if n_channels > 1 else None

    def settings_for(self, layer: Any, image: LayerImage, time: int | None) -> Settings:
        """Return what an image, or a time point of it, gets into the project with."""
        spacing, unit = self.spacing_of(layer, image, time)
        series = None if time is None else self._series_of(layer)
        return Settings(spacing, unit, self._of(layer).channels, series)

    def _role_of(self, layer: Any) -> AxisRole | None:
        """What the first of four axes is: as the user says, the layer, or the project of an image of this shape."""
        if layer.ndim != _N_WITH_FIRST:
            return None
        return self._of(layer).role or role_of_label(layer.axis_labels[0]) or self._remembered_role(layer)

    def _remembered_role(self, layer: Any) -> AxisRole | None:
        project = self._desk.project
        first, *shape = shape_of(layer)
        for entry in reversed(() if project is None else project.images):
            known = entry.first_axis
            if known is not None and known[1] == first and entry.shape == tuple(shape) and entry.dtype == layer.dtype:
                return known[0]
        return None

    def _of(self, layer: Any) -> Choices:
        return self._settled.get(layer, Choices())

    def _entries_on(self, layer: Any) -> list[ImageEntry]:
        """What the project knows of a layer's images: of each of its time points."""
        project = self._desk.project
        return [] if project is None else [project.image(image_id) for image_id in self._shown.ids_on(layer)]

    def _series_of(self, layer: Any) -> str:
        """Return what the time points of a layer have in common in the project."""
        known = [entry.series for entry in self._entries_on(layer) if entry.series is not None]
        return known[0] if known else self._series.setdefault(layer, new_id())


def time_in_view(image: LayerImage, layer: Any, dims: Any) -> int | None:
    """Return the time point of a layer's image that napari's ``dims`` shows; None: it has no time."""
    if image.role != "time":
        return None
    point = layer.world_to_data(dims.point[dims.ndim - layer.ndim :])
    return int(np.clip(round(float(point[0])), 0, image.n_times - 1))


def name_part(image: LayerImage, time: int | None) -> str:
    """Call what is painted on: the image, or one of its time points."""
    return "this image" if time is None else f"time point {time} of {image.n_times}"
