"""OME-Zarr 0.4 and 0.5 in, label images as OME-Zarr 0.5 out. zarr does the format."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import zarr

from napari_weak3d.errors import VolumeError
from napari_weak3d.io.axes import UNNAMED, StoredImage
from napari_weak3d.io.formats import MARK
from napari_weak3d.io.spacing import MICROMETRE
from napari_weak3d.types import Spacing

_LETTERS = {"channel": "C", "time": "T"}
_CHUNK = (32, 256, 256)  # 4 MB of uint16: a few milliseconds to read, not too many files


def open_zarr(path: Path) -> StoredImage:
    """Open the finest level of an OME-Zarr image (or a bare zarr array) without reading its voxels.

    Raises
    ------
    VolumeError
        Not zarr, without an image in it, or with metadata that do not fit the array.
    """
    try:
        node: Any = zarr.open(path, mode="r")
    except Exception as error:  # zarr raises a dozen kinds
        raise VolumeError(f"cannot read {path.name}: not a zarr folder ({error})", where=str(path)) from error
    if isinstance(node, zarr.Array):
        return StoredImage(node, UNNAMED * node.ndim)
    try:
        return _open_multiscale(node, path)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, FileNotFoundError) as error:
        raise VolumeError(
            f"cannot read {path.name}: its OME metadata are damaged ({type(error).__name__}: {error})",
            where=str(path),
            value=error,
        ) from error


def write_zarr(path: Path, array: Any, *, spacing: Spacing, unit: str, kind: Literal["image", "labels"]) -> None:
    """Write (Z, Y, X) or (T, Z, Y, X) with its spacing as an OME-Zarr 0.5 image of one level.

    Labels get the ``image-label`` entry. Of several time points one is read at a time.
    """
    axes: list[dict[str, str]] = [{"name": name, "type": "space"} for name in "zyx"]
    if unit == MICROMETRE:
        axes = [{**axis, "unit": "micrometer"} for axis in axes]
    times = list(array.shape[:-3])
    if times:
        axes.insert(0, {"name": "t", "type": "time"})
    scale = {"type": "scale", "scale": [1.0] * len(times) + list(spacing)}
    multiscale = {
        "name": path.stem,
        "axes": axes,
        "datasets": [{"path": "0", "coordinateTransformations": [scale]}],
    }
    ome: dict[str, Any] = {"version": "0.5", "multiscales": [multiscale]}
    if kind == "labels":
        ome["image-label"] = {}
    group = zarr.open_group(path, mode="w", zarr_format=3, attributes={"ome": ome, MARK: {"kind": kind}})
    chunks = tuple(min(n, chunk) for n, chunk in zip(array.shape, (1, *_CHUNK)[-len(array.shape) :], strict=True))
    names = [axis["name"] for axis in axes]
    level = group.create_array("0", shape=array.shape, dtype=array.dtype, chunks=chunks, dimension_names=names)
    for part in range(times[0]) if times else (...,):
        level[part] = array[part]


def _open_multiscale(group: Any, path: Path) -> StoredImage:
    """The image of a group; bioformats2raw puts it one level down, as "0"."""
    ome = _ome_attributes(group)
    if "multiscales" not in ome and "bioformats2raw.layout" in ome:
        group = group["0"]
        ome = _ome_attributes(group)
    if "multiscales" not in ome:
        held = ", ".join(sorted(group.keys())) or "nothing"
        raise VolumeError(
            f"{path.name} is no OME-Zarr image (no multiscales; it holds {held}): give the folder of the image itself",
            where=str(path),
        )
    multiscale = ome["multiscales"][0]
    datasets = multiscale["datasets"]
    arrays = [group[dataset["path"]] for dataset in datasets]
    finest = max(range(len(arrays)), key=lambda i: math.prod(arrays[i].shape))
    array = arrays[finest]
    axes = multiscale.get("axes")
    if axes is None:  # before 0.3: always these five
        return StoredImage(array, "TCZYX"[-array.ndim :])
    scale = _total_scale(array.ndim, datasets[finest], multiscale)
    return _name_axes(array, axes, scale)


def _ome_attributes(group: Any) -> Mapping[str, Any]:
    """0.5 keeps them under "ome", 0.4 at the top."""
    attributes: Mapping[str, Any] = dict(group.attrs)
    ome = attributes.get("ome")
    return ome if isinstance(ome, Mapping) else attributes


def _total_scale(n_axes: int, *parts: Mapping[str, Any]) -> list[float]:
    """Product of the scales of the level and of the whole."""
    total = [1.0] * n_axes
    for part in parts:
        for transformation in part.get("coordinateTransformations", []):
            if transformation["type"] == "scale":
                total = [a * float(b) for a, b in zip(total, transformation["scale"], strict=True)]
    return total


def _name_axes(array: Any, axes: Sequence[Any], scale: Sequence[float]) -> StoredImage:
    """Letters, sizes and units from the list of axes (0.3: names only; later: name, type, unit)."""
    described = [{"name": axis} if isinstance(axis, str) else axis for axis in axes]
    letters = [_LETTERS.get(axis.get("type", ""), str(axis["name"]).upper()[:1]) for axis in described]
    if len(letters) != array.ndim:
        raise ValueError(f"{len(letters)} axes for an array of {array.ndim}")
    size = dict(zip(letters, scale, strict=True))
    unit = {letter: str(axis.get("unit") or "") for letter, axis in zip(letters, described, strict=True)}
    return StoredImage(
        array,
        "".join(letters),
        sizes=(size.get("Z"), size.get("Y"), size.get("X")),
        units=(unit.get("Z", ""), unit.get("Y", ""), unit.get("X", "")),
    )
