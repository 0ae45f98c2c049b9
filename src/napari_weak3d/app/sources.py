"""What of a napari layer is the image: its axes, voxel size and data, and whether a file of its gives the same."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Image
from numpy.typing import NDArray

from napari_weak3d.errors import VolumeError, Weak3DError
from napari_weak3d.io.project import AxisRole, ImageEntry
from napari_weak3d.io.project.identity import sample_planes, sampled_places
from napari_weak3d.io.volumes import open_volume
from napari_weak3d.types import RELATIVE, Spacing, Volume

_MOST_CHANNELS = 4
"""A fourth axis up to this long is taken for channels unless its label says otherwise."""
_LABELS: dict[str, AxisRole] = {
    "c": "channels",
    "channel": "channels",
    "channels": "channels",
    "t": "time",
    "time": "time",
}
_MICROMETRES = {"nanometer": 1e-3, "micrometer": 1.0, "micron": 1.0, "millimeter": 1e3, "meter": 1e6}


@dataclass(frozen=True)
class LayerImage:
    """A layer as an image of one channel or several, of one time point or several.

    Attributes
    ----------
    name
        The layer's, for messages.
    data
        Its finest level in its own axes: (Y, X), (Z, Y, X), or one more before these, of any array kind.
    role
        What the axis before Z, Y, X is; None where there is none.
    spacing, unit
        Size of a voxel (z, y, x): "um", or "relative" where the layer names no unit of length.
    path
        The file it was read from, or None.
    """

    name: str
    data: Any
    role: AxisRole | None
    spacing: Spacing
    unit: str
    path: Path | None

    @property
    def shape(self) -> tuple[int, int, int]:
        """(Z, Y, X); a 2D image is one slice."""
        z, y, x = (1, 1, *self.data.shape)[-3:]
        return int(z), int(y), int(x)

    @property
    def n_channels(self) -> int:
        """Number of channels, 1 where there is no such axis."""
        return int(self.data.shape[0]) if self.role == "channels" else 1

    @property
    def n_times(self) -> int:
        """Number of time points, 1 where there is no such axis."""
        return int(self.data.shape[0]) if self.role == "time" else 1


def look_at(layer: Any, role: AxisRole | None = None) -> LayerImage:
    """Say what image a layer holds, without reading its voxels.

    Parameters
    ----------
    layer
        A napari Image layer. Of a multiscale one the finest level is taken.
    role
        What a fourth axis is; None: guess from the axis label, else from its length (up to 4: channels).

    Raises
    ------
    VolumeError
        RGB, more than four axes, fewer than two, an axis of no length, or complex numbers; the message names the layer.
    """
    data = layer.data[0] if layer.multiscale else layer.data
    _check(layer, data)
    fourth = None if data.ndim < 4 else (role or guess_role(layer.axis_labels[0], int(data.shape[0])))
    spacing, unit = spacing_of(layer)
    path = getattr(layer.source, "path", None)
    return LayerImage(
        name=str(layer.name),
        data=data,
        role=fourth,
        spacing=spacing,
        unit=unit,
        path=Path(path) if path and Path(path).exists() else None,
    )


def stack_of_one(layer: Any) -> Any:
    """Make an Image layer (1, Y, X) that shows a 2D layer as a stack of one slice; it is not in any viewer yet."""
    return Image(
        layer.data[0][None] if layer.multiscale else layer.data[None],
        name=f"{layer.name} (one slice)",
        scale=(1.0, *layer.scale),
        translate=(0.0, *layer.translate),
        units=(layer.units[0], *layer.units),
        colormap=layer.colormap,
        contrast_limits=layer.contrast_limits,
    )


def guess_role(label: str, length: int) -> AxisRole:
    """Guess what the axis before Z, Y, X is: by its label (c, channel, t, time), else channels where it is short."""
    return role_of_label(label) or ("channels" if length <= _MOST_CHANNELS else "time")


def role_of_label(label: str) -> AxisRole | None:
    """Return what an axis of this label is: c, channel, t, time; None: the label does not say."""
    return _LABELS.get(label.strip().lower())


def spacing_of(layer: Any) -> tuple[Spacing, str]:
    """Return the voxel size (z, y, x) of a layer and its unit, from its scale and units.

    Units of length become micrometres. Where an axis is in pixels, nothing is known but the ratios: "relative".
    Mirrored axes have a negative scale: its size counts.
    """
    scale = [abs(float(size)) for size in (1.0, 1.0, *layer.scale)[-3:]]
    factors = [_MICROMETRES.get(str(unit)) for unit in layer.units[-3:]]
    factors = [factors[0]] * (3 - len(factors)) + factors
    known = [factor for factor in factors if factor is not None]
    if len(known) < 3:
        return (scale[0], scale[1], scale[2]), RELATIVE
    z, y, x = (size * factor for size, factor in zip(scale, known, strict=True))
    return (z, y, x), "um"


def volume_of(
    image: LayerImage,
    *,
    spacing: Spacing,
    unit: str,
    channels: tuple[int, ...] | None = None,
    time_index: int = 0,
) -> Volume:
    """Return the image as a Volume (C, Z, Y, X), lazily where the layer's array is lazy.

    Parameters
    ----------
    image
        From :func:`look_at`.
    spacing, unit
        As the user left them, which may not be the layer's.
    channels
        Which channels; None: all.
    time_index
        Which time point of an image that has several.
    """
    data = image.data
    if image.role == "time":
        data = data[time_index]
    while data.ndim < 3:
        data = data[None]
    if image.role != "channels":
        data = data[None]
    elif channels is not None and channels != tuple(range(image.n_channels)):
        data = data[list(channels)]
    return Volume(data, spacing=spacing, unit=unit, name=image.name)


@dataclass(frozen=True)
class FilePlace:
    """Where a file holds an image: which axis has the channels (None: as its metadata say), and which are taken."""

    path: Path
    channel_axis: int | None
    channels: tuple[int, ...] | None


def find_in_file(
    image: LayerImage, channels: tuple[int, ...] | None = None, *, time_index: int = 0
) -> FilePlace | None:
    """Say where the layer's own file gives the image that the layer shows, or None.

    Our reader must give the same shape, dtype and sampled planes: a layer may have been changed since it was read,
    and other readers may see other axes or values in a file. A layer that is one channel of the file is found too.
    Of several time points the one of ``time_index`` is looked for. Reads a few planes: for a thread.
    """
    if image.path is None:
        return None
    time = time_index if image.role == "time" else None
    for channel_axis in (None, 0) if image.role == "channels" else (None,):
        try:
            # Its doubts are left out: the spacing is the layer's.
            stored, _ = open_volume(image.path, channel_axis=channel_axis, time_index=time)
        except (Weak3DError, OSError):
            continue
        taken = _matching_channels(image, stored, time_index=time_index)
        if taken is not None:
            chosen = taken if channels is None else tuple(taken[channel] for channel in channels)
            every = chosen == tuple(range(stored.n_channels))
            return FilePlace(image.path, channel_axis, None if every else chosen)
    return None


def _matching_channels(image: LayerImage, stored: Volume, *, time_index: int) -> tuple[int, ...] | None:
    """The channels of the file that are the layer's, in its order; None where they are not."""
    if stored.shape != image.shape or np.dtype(stored.data.dtype) != np.dtype(image.data.dtype):
        return None
    if image.role == "channels":
        every = tuple(range(image.n_channels))
        same = stored.n_channels == image.n_channels and all(
            _same_planes(image.data[channel], stored.data, channel=channel) for channel in every
        )
        return every if same else None
    shown = image.data[time_index] if image.role == "time" else image.data
    shown = shown if shown.ndim == 3 else shown[None]
    for channel in range(stored.n_channels):
        if _same_planes(shown, stored.data, channel=channel):
            return (channel,)
    return None


def _same_planes(shown: Any, stored: Any, *, channel: int) -> bool:
    """Whether the first, the middle and the last plane are equal, voxel by voxel."""
    return all(
        _equal(np.asarray(shown[z]), np.asarray(stored[channel, z])) for z in sampled_places(int(shown.shape[0]))
    )


def shows(layer: Any, plane_stack: Any) -> bool:
    """Whether a layer shows this very volume (Z, Y, X): of its shape and dtype, and three planes equal."""
    if layer.multiscale or tuple(layer.data.shape) != tuple(plane_stack.shape) or layer.dtype != plane_stack.dtype:
        return False
    return all(_equal(np.asarray(layer.data[z]), np.asarray(plane_stack[z])) for z in sampled_places(len(layer.data)))


def sample_layer(image: LayerImage, *, time_index: int | None = None) -> str:
    """Return what the voxels of a layer, or of a time point of it, are known by; reads a few planes: for a thread."""

    def read(channel: int, z: int) -> Any:
        if image.role is not None:
            return np.asarray(image.data[channel if image.role == "channels" else time_index or 0, z])
        return np.asarray(image.data if image.data.ndim == 2 else image.data[z])

    return sample_planes((image.n_channels, *image.shape), image.data.dtype, read)


def find_origin(entry: ImageEntry) -> FilePlace | None:
    """Say where the file that a layer was read from gives the very image of an entry; None: it does not.

    For an image whose voxels did not get into the project. Reads a few planes: for a thread.
    """
    if entry.origin is None or entry.sampled is None:
        return None
    path = Path(entry.origin)
    for channel_axis in (None, 0):
        try:
            stored, _ = open_volume(path, channel_axis=channel_axis, time_index=entry.time_index)
            every = tuple(range(stored.n_channels))
            for taken in (every, *((channel,) for channel in every[1:]), every[:1]):
                if _sample_channels(stored, taken) == entry.sampled:
                    return FilePlace(path, channel_axis, entry.channels if taken == every else taken)
        except (Weak3DError, OSError):
            continue
    return None


def _sample_channels(volume: Volume, channels: tuple[int, ...]) -> str:
    shape = (len(channels), *volume.shape)
    return sample_planes(shape, volume.data.dtype, lambda n, z: np.asarray(volume.data[channels[n], z]))


def _equal(first: NDArray[Any], second: NDArray[Any]) -> bool:
    return np.array_equal(first, second, equal_nan=first.dtype.kind == "f")


def _check(layer: Any, data: Any) -> None:
    shape = tuple(int(n) for n in data.shape)
    if getattr(layer, "rgb", False):
        raise VolumeError(
            f"{layer.name} is an RGB image: right-click it in the layer list, choose Split RGB, and take a channel",
            where=layer.name,
            value=shape,
        )
    if not 2 <= data.ndim <= 4:
        raise VolumeError(
            f"{layer.name} has {data.ndim} axes (shape {shape}): it may have 2 to 4, Z, Y, X and channels or time; "
            "right-click it in the layer list and split the first axis",
            where=layer.name,
            value=shape,
        )
    if 0 in shape:
        raise VolumeError(
            f"{layer.name} holds no voxels (shape {shape}): choose another image", where=layer.name, value=shape
        )
    if np.dtype(data.dtype).kind not in "buif":
        raise VolumeError(
            f"{layer.name} holds {data.dtype}: convert it to whole or real numbers", where=layer.name, value=shape
        )
