"""An image as its file keeps it, and how its axes become (C, Z, Y, X)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from napari_weak3d.errors import VolumeError
from napari_weak3d.io.lazy import Order, view_in_order
from napari_weak3d.types import Volume

UNNAMED = "Q"
"""The letter of an axis that the file does not name."""
_COLOURS = "S"
_MOST_CHANNELS = 7  # ImageJ shows no more
_SMALL, _LARGE = 4, 32  # colours are 3 or 4; fewer than 32 voxels along two axes is hardly an image of colours


class AxesWarning(UserWarning):
    """Axes that the file names in a way that can hardly be meant."""


@dataclass(frozen=True)
class StoredImage:
    """An image as its file keeps it, not read yet.

    Attributes
    ----------
    data
        The array, any number of axes.
    axes
        A letter per axis: X, Y, Z, C (channel), T (time), S (interleaved colours), others as the format calls them,
        and Q where it has no name.
    sizes, units
        Voxel size (z, y, x) and its unit as the metadata have them; None and "" where they are silent.
    """

    data: Any
    axes: str
    sizes: tuple[float | None, float | None, float | None] = (None, None, None)
    units: tuple[str, str, str] = ("", "", "")


def arrange_axes(stored: StoredImage, *, name: str, channel_axis: int | None = None) -> tuple[Any, AxesWarning | None]:
    """View a stored image as (C, Z, Y, X).

    Axes of length 1 that are not needed are dropped, missing ones added: a 2D image is a stack of one slice. Without
    names the order is Z, Y, X (2D: Y, X) with the channels where ``channel_axis`` says. One unnamed axis beside Y and
    X is Z.

    Parameters
    ----------
    stored
        The image.
    name
        The file's name, for messages.
    channel_axis
        Which axis of the file holds the channels, negative from the end; wins over the metadata.

    Returns
    -------
    The view, and a doubt about it: None, or that many channels of a single slice are taken for slices.

    Raises
    ------
    VolumeError
        Empty, of a dtype that is no number, in time, RGB, or with more axes than have a meaning.
    """
    shape = tuple(int(n) for n in stored.data.shape)
    _check_array(stored.data, shape, name=name)
    letters = list(stored.axes)
    if channel_axis is not None:
        letters = _name_channels(letters, shape, name=name, channel_axis=channel_axis)
    _refuse_colours(letters, shape, name=name)
    letters = _name_spatial(letters, shape)
    _refuse_rest(letters, shape, name=name)
    doubt = None
    if channel_axis is None:
        letters, doubt = _slices_called_channels(letters, shape, name=name)
    where = {letter: axis for axis, letter in enumerate(letters) if letter in "CZYX"}
    order: Order = (where.get("C"), where.get("Z"), where.get("Y"), where.get("X"))
    return view_in_order(stored.data, order, name=name), doubt


def looks_channels_last(shape: tuple[int, ...]) -> bool:
    """Say whether the last of three lengths is that of colours, the others those of an image."""
    return len(shape) == 3 and shape[2] <= _SMALL and min(shape[:2]) >= _LARGE


def check_axes(volume: Volume) -> None:
    """Make sure that the data of a volume are as readers give them, where somebody has made it of an own array.

    Raises
    ------
    VolumeError
        They are no array (C, Z, Y, X), empty, or no whole or real numbers; or it is no volume at all.
    """
    if not isinstance(volume, Volume):
        raise VolumeError(f"a {type(volume).__name__} is no volume: make one with Volume(data, spacing, unit)")
    data, name = volume.data, volume.name
    if not (hasattr(data, "shape") and hasattr(data, "dtype")):
        raise VolumeError(
            f"the data of {name} are no array but a {type(data).__name__}: give an array (C, Z, Y, X)", where=name
        )
    shape = tuple(int(n) for n in data.shape)
    if len(shape) != 4:
        advice = "; array[None] adds the axis of a single channel" if len(shape) == 3 else ""
        raise VolumeError(
            f"the data of {name} have {len(shape)} axes, shape {shape}: give them as (C, Z, Y, X){advice}",
            where=name,
            value=shape,
        )
    _check_array(data, shape, name=name)


def _slices_called_channels(
    letters: list[str], shape: tuple[int, ...], *, name: str
) -> tuple[list[str], AxesWarning | None]:
    """Call many channels of a single slice Z."""
    length = dict(zip(letters, shape, strict=True))
    if length.get("C", 1) <= _MOST_CHANNELS or length.get("Z", 1) > 1:
        return letters, None
    doubt = AxesWarning(
        f"{name} has {length['C']} channels of one slice: they are taken for slices; if they are channels, give "
        f"--channel-axis {letters.index('C')}"
    )
    return [{"C": "Z", "Z": ""}.get(letter, letter) for letter in letters], doubt


def _check_array(data: Any, shape: tuple[int, ...], *, name: str) -> None:
    if len(shape) < 2:
        raise VolumeError(f"{name} has {len(shape)} axes: an image has at least 2", where=name, value=shape)
    if 0 in shape:
        raise VolumeError(f"{name} is empty: its shape is {shape}", where=name, value=shape)
    if data.dtype.kind not in "buif":
        raise VolumeError(
            f"{name} holds {data.dtype}, not whole or real numbers: convert it first", where=name, value=data.dtype
        )


def _name_channels(letters: list[str], shape: tuple[int, ...], *, name: str, channel_axis: int) -> list[str]:
    """Call the given axis C. Where the metadata called it Y or X its names are wrong, and all are forgotten."""
    n_axes = len(letters)
    if not -n_axes <= channel_axis < n_axes:
        raise VolumeError(
            f"channel axis {channel_axis} is out of range: {name} has {n_axes} axes, shape {shape}",
            where="channel_axis",
            value=channel_axis,
        )
    at = channel_axis % n_axes
    if letters[at] in "YX":
        letters = [UNNAMED] * n_axes
    others = [axis for axis, letter in enumerate(letters) if letter == "C" and axis != at and shape[axis] > 1]
    if others:
        raise VolumeError(
            f"channel axis {channel_axis} was given, but axis {others[0]} of {name} (shape {shape}) holds channels "
            f"too: leave out --channel-axis",
            where="channel_axis",
            value=channel_axis,
        )
    # a channel axis of length 1 in the metadata is dropped like any other
    return ["C" if axis == at else (UNNAMED if letter == "C" else letter) for axis, letter in enumerate(letters)]


def _refuse_colours(letters: list[str], shape: tuple[int, ...], *, name: str) -> None:
    colours = [axis for axis, letter in enumerate(letters) if letter == _COLOURS and shape[axis] > 1]
    if set(letters) == {UNNAMED} and looks_channels_last(shape):
        colours = [2]
    if colours:
        axis = colours[0]
        raise VolumeError(
            f"{name} is an RGB image (axis {axis} holds {shape[axis]} colours, shape {shape}): convert it to grey, or "
            "take the colours as channels",
            where=name,
            value=shape,
            option=f"with --channel-axis {axis}",
        )


def _name_spatial(letters: list[str], shape: tuple[int, ...]) -> list[str]:
    """Give unnamed axes their names; axes of length 1 that are not needed get "" and are dropped later."""
    letters = ["" if shape[a] == 1 and letter not in "CZYXQ" else letter for a, letter in enumerate(letters)]
    unnamed = [axis for axis, letter in enumerate(letters) if letter == UNNAMED]
    wanted = [letter for letter in "ZYX" if letter not in letters]
    # from the left, axes of length 1 go until the others fit the names that are free
    for axis in [axis for axis in unnamed if shape[axis] == 1]:
        if len(unnamed) > len(wanted):
            unnamed.remove(axis)
            letters[axis] = ""
    if len(unnamed) <= len(wanted):
        # right-aligned: two unnamed axes are Y and X
        for axis, letter in zip(unnamed, wanted[len(wanted) - len(unnamed) :], strict=True):
            letters[axis] = letter
    return letters


def _refuse_rest(letters: list[str], shape: tuple[int, ...], *, name: str) -> None:
    """Refuse time, and any axis without a meaning here."""
    for axis, letter in enumerate(letters):
        if letter == "T":
            raise VolumeError(
                f"{name} has {shape[axis]} time points (axis {axis}, T): save the one to work on as a file of its own; "
                f"if they are z slices, swap the two in the file's properties",
                where=name,
                value=shape,
            )
        if letter == UNNAMED:
            smallest = min(range(len(shape)), key=lambda a: shape[a])
            raise VolumeError(
                f"{name} has {len(shape)} axes without names, shape {shape}: say which one holds the channels, "
                f"perhaps the one of {shape[smallest]}",
                where=name,
                value=shape,
                option=f"with --channel-axis {smallest}",
            )
        if letter and letter not in "CZYX":
            raise VolumeError(
                f"{name} has an axis {letter} of {shape[axis]} (axis {axis}, shape {shape}): only channels, z, y and x "
                f"can be read, save one {letter} as a file of its own",
                where=name,
                value=shape,
            )
