"""Label images in; labels and result images out, with their spacing, whole or not at all."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_weak3d.errors import AnnotationError, VolumeError
from napari_weak3d.io.axes import AxesWarning, arrange_axes, check_axes
from napari_weak3d.io.formats import open_stored, write_stored
from napari_weak3d.io.time_stack import TimeStack
from napari_weak3d.types import IntLabels, Spacing, Volume

_LARGEST = 2**31 - 1


def read_labels(path: str | os.PathLike[str], *, like: Volume | None = None) -> IntLabels:
    """Read a label image.

    Parameters
    ----------
    path
        Any format that :func:`~napari_weak3d.io.volumes.read_volume` takes, one channel; 2D becomes one slice.
    like
        The image that it belongs to: the shapes must be equal.

    Returns
    -------
    (Z, Y, X) int32, values 0 to 2**31 - 1. Whole numbers stored as float are taken.

    Raises
    ------
    VolumeError
        The file cannot be read.
    AnnotationError
        Channels, colours, or axes without a meaning; a value that is negative, fractional, NaN or too large; a shape
        other than the image's.
    """
    file = Path(path)
    stored = open_stored(file)
    try:
        data, doubt = arrange_axes(stored, name=file.name)
    except VolumeError as error:
        if not error.option:
            raise
        # the advice is to say which axis holds the channels: labels have none
        raise _with_channels(file, "channels or colours", shape=stored.data.shape) from None
    if doubt is not None:
        warnings.warn(
            AxesWarning(f"{file.name} has {data.shape[1]} channels of one slice: they are taken for slices"),
            stacklevel=2,
        )
    if data.shape[0] != 1:
        raise _with_channels(file, f"{data.shape[0]} channels", shape=stored.data.shape)
    if like is not None:
        check_same_shape(tuple(data.shape[1:]), like, name=file.name)
    return to_labels(np.asarray(data[0]), name=file.name)


def _with_channels(file: Path, what: str, *, shape: tuple[int, ...]) -> AnnotationError:
    return AnnotationError(
        f"{file.name} has {what} (shape {tuple(shape)}): a label image has one channel, save it with one channel",
        where=str(file),
        value=shape,
    )


def to_labels(array: NDArray[Any], *, name: str) -> IntLabels:
    """Turn an array (Z, Y, X) of whole numbers from 0 to 2**31 - 1, of any dtype, into int32.

    Raises
    ------
    AnnotationError
        A value is negative, fractional, NaN or too large; the first such voxel is named.
    """
    if array.dtype.kind == "b":
        return array.astype(np.int32)
    bad = (array < 0) | (array > _LARGEST)
    if array.dtype.kind == "f":
        bad |= ~np.isfinite(array) | (array != np.floor(array))
    if bad.any():
        z, y, x = (int(i) for i in np.unravel_index(np.argmax(bad), bad.shape))
        raise AnnotationError(
            f"{name} holds {array[z, y, x]} at z {z}, y {y}, x {x}: labels are whole numbers from 0 to {_LARGEST}",
            where=name,
            value=array[z, y, x].item(),
        )
    return array.astype(np.int32)


def check_same_shape(shape: tuple[int, ...], volume: Volume, *, name: str) -> None:
    """Make sure that labels of this shape (Z, Y, X) belong to the volume.

    Raises
    ------
    AnnotationError
        They differ; the message says so too where it is only the order of the axes.
    VolumeError
        The volume's data are no (C, Z, Y, X).
    """
    check_axes(volume)
    if shape == volume.shape:
        return
    advice = "they must be equal"
    if sorted(shape) == sorted(volume.shape):
        advice = "the same lengths in another order: transpose one of them, so that both are Z, Y, X"
    raise AnnotationError(
        f"{name} is {_times(shape)}, the image {volume.name} is {_times(volume.shape)} (Z x Y x X): {advice}",
        where=name,
        value=shape,
    )


def write_labels(path: str | os.PathLike[str], labels: ArrayLike, *, spacing: Spacing, unit: str) -> None:
    """Write labels with their spacing, in the smallest unsigned dtype that holds them.

    Parameters
    ----------
    path
        .tif or .tiff (an ImageJ hyperstack, or OME-TIFF above 65535 ids), or .zarr (an OME-Zarr 0.5 label image).
    labels
        (Z, Y, X), whole numbers >= 0.
    spacing, unit
        Size of a voxel (z, y, x), in "um" or "relative".

    Raises
    ------
    StorageError
        The ending is another one; the disk is full, the folder missing or read-only. An old file stays as it was.
    AnnotationError
        A value is negative or fractional.
    """
    checked = to_labels(np.asarray(labels), name="labels")
    dtype = _smallest_dtype(int(checked.max(initial=0)))
    write_stored(Path(path), checked.astype(dtype), spacing=spacing, unit=unit, kind="labels")


def write_label_series(path: str | os.PathLike[str], labels: Any, *, spacing: Spacing, unit: str) -> None:
    """Write the labels of all time points into one file, reading one time point at a time.

    Parameters
    ----------
    labels
        (T, Z, Y, X), whole numbers >= 0, of any array kind.

    Path, spacing, unit and errors as of :func:`write_labels`; the file has a time axis.
    """
    highest = max((int(_read_time(labels, time).max(initial=0)) for time in range(len(labels))), default=0)
    dtype = _smallest_dtype(highest)
    stack = TimeStack(lambda time: _read_time(labels, time), shape=tuple(labels.shape), dtype=dtype)
    write_stored(Path(path), stack, spacing=spacing, unit=unit, kind="labels")


def write_image(path: str | os.PathLike[str], image: ArrayLike, *, spacing: Spacing, unit: str) -> None:
    """Write a result image (Z, Y, X) as float32 with its spacing; formats and errors as :func:`write_labels`."""
    write_stored(Path(path), np.asarray(image, dtype=np.float32), spacing=spacing, unit=unit, kind="image")


def _read_time(labels: Any, time: int) -> IntLabels:
    return to_labels(np.asarray(labels[time]), name=f"time point {time} of the labels")


def _smallest_dtype(highest: int) -> type[np.unsignedinteger[Any]]:
    return np.uint8 if highest < 2**8 else np.uint16 if highest < 2**16 else np.uint32


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(str(n) for n in shape)
