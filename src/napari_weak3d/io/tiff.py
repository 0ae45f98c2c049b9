"""TIFF in and out: plain, ImageJ hyperstacks, OME-TIFF. tifffile does the format."""

from __future__ import annotations

import math
import os
import struct
import weakref
from pathlib import Path
from typing import Any, BinaryIO
from xml.etree import ElementTree

import numpy as np
import tifffile
import zarr

from napari_weak3d.errors import VolumeError
from napari_weak3d.io.axes import UNNAMED, StoredImage
from napari_weak3d.io.spacing import MICROMETRE
from napari_weak3d.types import Spacing

_RESOLUTION_UNITS = {2: "inch", 3: "cm"}
_IMAGEJ_DTYPES = ("uint8", "uint16", "float32")
_IMAGEJ_BYTES = 2**32 - 2**20  # ImageJ's offsets are 32 bit; a megabyte is left for the page headers


def open_tiff(path: Path) -> StoredImage:
    """Open the first image of a TIFF (of a pyramid: the finest level) without reading its voxels.

    Uncompressed files are mapped into memory, others decoded page by page when asked for.

    Raises
    ------
    VolumeError
        Not a TIFF, truncated, or with planes missing.
    """
    _check_page_chain(path)
    try:
        tif = tifffile.TiffFile(path)
    except Exception as error:  # damaged files raise anything from IndexError to struct.error
        raise _damaged(path, error) from error
    try:
        stored = _open_series(tif, path)
    except VolumeError:
        tif.close()
        raise
    except Exception as error:
        tif.close()
        raise _damaged(path, error) from error
    # the voxels are read through the open file; without this it stays open until the garbage is collected
    weakref.finalize(stored.data, tif.close)
    return stored


def write_tiff(path: Path, array: Any, *, spacing: Spacing, unit: str) -> None:
    """Write (Z, Y, X) or (T, Z, Y, X) with its spacing, deflated: an ImageJ hyperstack if that holds it, else OME-TIFF.

    (ImageJ's holds uint8, uint16 and float32 up to 4 GB, and opens in Fiji calibrated without a dialog.) Of several
    time points one is read at a time.
    """
    n_bytes = math.prod(array.shape) * array.dtype.itemsize
    # tifffile misreads its own ImageJ files of width 1
    fits = array.dtype.name in _IMAGEJ_DTYPES and n_bytes < _IMAGEJ_BYTES and array.shape[-1] > 1
    axes = "TZYX"[-len(array.shape) :]
    metadata = _imagej_metadata(spacing, unit) if fits else _ome_metadata(spacing, unit)
    tifffile.imwrite(
        path,
        array if len(axes) == 3 else (plane for time in range(len(array)) for plane in array[time]),
        shape=array.shape,
        dtype=array.dtype,
        imagej=fits,
        ome=not fits,
        bigtiff=not fits,
        photometric="minisblack",
        compression="zlib",
        resolution=(1 / spacing[2], 1 / spacing[1]),
        metadata={"axes": axes, **metadata},
    )


def _imagej_metadata(spacing: Spacing, unit: str) -> dict[str, Any]:
    return {"spacing": spacing[0], "unit": unit if unit == MICROMETRE else "pixel"}


def _ome_metadata(spacing: Spacing, unit: str) -> dict[str, Any]:
    word = "µm" if unit == MICROMETRE else "pixel"
    sizes = {f"PhysicalSize{axis}": size for axis, size in zip("ZYX", spacing, strict=True)}
    return {**sizes, **{f"{key}Unit": word for key in sizes}}


def _open_series(tif: Any, path: Path) -> StoredImage:
    """The first image of an open TIFF."""
    series = tif.series[0]
    _check_segments(path, series)
    sizes, units = _read_sizes(tif)
    return StoredImage(_open_data(path, series), _honest_axes(tif, series.axes), sizes=sizes, units=units)


def _open_data(path: Path, series: Any) -> Any:
    """A memory map where the voxels lie in the file as they are, else zarr's view of the pages."""
    if _is_one_run(series):
        dtype = np.dtype(series.dtype).newbyteorder(series.keyframe.parent.byteorder)
        return np.memmap(path, dtype=dtype, mode="r", offset=series.dataoffset, shape=series.shape)
    return zarr.open_array(series.levels[0].aszarr(), mode="r")


def _honest_axes(tif: Any, axes: str) -> str:
    """The letters that the file gives; Q for those that are only tifffile's guess."""
    # I is its word for a sequence of pages
    axes = axes.replace("I", UNNAMED)
    # It writes a numpy stack of 3 or 4 slices as planes of colour, if nobody tells it otherwise. Colours of cameras lie
    # along the last axis.
    return axes.replace("S", UNNAMED) if tif.is_shaped and not axes.endswith("S") else axes


def _is_one_run(series: Any) -> bool:
    """The voxels lie in this one file, uncompressed and without gaps."""
    return series.dataoffset is not None and not series.is_multifile


def _read_sizes(tif: Any) -> tuple[tuple[float | None, float | None, float | None], tuple[str, str, str]]:
    """Voxel size (z, y, x) and units, from OME, ImageJ or tifffile's description, or the resolution tags."""
    if tif.is_ome:
        return _ome_sizes(tif.ome_metadata)
    page = tif.pages[0]
    y, x = _pixel_size(page, "YResolution"), _pixel_size(page, "XResolution")
    unit_tag = page.tags.get("ResolutionUnit")
    tag_unit = _RESOLUTION_UNITS.get(int(unit_tag.value) if unit_tag is not None else 0, "")
    if tif.is_imagej:
        described = tif.imagej_metadata or {}
        # ImageJ leaves spacing out where it is 1
        z: float | None = float(described.get("spacing", 1.0))
    else:
        shaped = tif.shaped_metadata
        described = shaped[0] if shaped else {}
        z = float(described["spacing"]) if "spacing" in described else None
    unit = str(described.get("unit", "")) or tag_unit
    return (z, y, x), (unit, unit, unit)


def _pixel_size(page: Any, tag_name: str) -> float | None:
    """Length of a pixel from its number per unit; None where there is no such tag, or it says 0."""
    tag = page.tags.get(tag_name)
    if tag is None or 0 in tag.value:
        return None
    pixels, length = tag.value
    return float(length) / float(pixels)


def _ome_sizes(xml: str) -> tuple[tuple[float | None, float | None, float | None], tuple[str, str, str]]:
    """PhysicalSizeZ, Y, X of the first image; OME's unit is the micrometre where none is named."""
    pixels = ElementTree.fromstring(xml).find(".//{*}Pixels")
    if pixels is None:
        return (None, None, None), ("", "", "")
    z, y, x = (pixels.get(f"PhysicalSize{axis}") for axis in "ZYX")
    z_unit, y_unit, x_unit = (pixels.get(f"PhysicalSize{axis}Unit", "µm") for axis in "ZYX")
    return (_to_float(z), _to_float(y), _to_float(x)), (z_unit, y_unit, x_unit)


def _to_float(text: str | None) -> float | None:
    return None if text is None else float(text)


def _check_page_chain(path: Path) -> None:
    """Follow the chain of page headers to its end: where it leaves the file, the file is cut.

    tifffile reads such a file as one with fewer pages, and only logs the rest.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        start = stream.read(16)
        layout = _layout(start)
        if layout is None:
            why = "it is not a TIFF file; save it as one, or rename it" if start else "it is empty; copy it anew"
            raise VolumeError(f"cannot read {path.name}: {why}", where=str(path), value=start[:4])
        first, offset_format = layout
        seen: set[int] = set()
        offset = first
        while offset and offset not in seen:
            seen.add(offset)
            following = _next_page(stream, offset, offset_format) if offset < size else None
            if following is None:
                raise _truncated(path, f"page {len(seen)} begins at byte {offset}", size)
            offset = following


def _layout(start: bytes) -> tuple[int, str] | None:
    """Offset of the first page header and the format of offsets; None for what is no TIFF."""
    order = {b"II": "<", b"MM": ">"}.get(start[:2])
    if order is None or len(start) < 8:
        return None
    (version,) = struct.unpack(f"{order}H", start[2:4])
    if version == 42:
        return struct.unpack(f"{order}I", start[4:8])[0], f"{order}I"
    if version == 43 and len(start) == 16:
        return struct.unpack(f"{order}Q", start[8:16])[0], f"{order}Q"
    return None


def _next_page(stream: BinaryIO, offset: int, offset_format: str) -> int | None:
    """Where the header after this one begins, 0 for none; None where the file ends first."""
    big = offset_format.endswith("Q")
    count_format, entry_bytes = (f"{offset_format[0]}Q", 20) if big else (f"{offset_format[0]}H", 12)
    stream.seek(offset)
    count = stream.read(struct.calcsize(count_format))
    if len(count) < struct.calcsize(count_format):
        return None
    stream.seek(struct.unpack(count_format, count)[0] * entry_bytes, os.SEEK_CUR)
    following = stream.read(struct.calcsize(offset_format))
    if len(following) < struct.calcsize(offset_format):
        return None
    return int(struct.unpack(offset_format, following)[0])


def _check_segments(path: Path, series: Any) -> None:
    """Every plane is there, and its bytes lie within the file."""
    if _is_one_run(series):
        size = path.stat().st_size
        if series.dataoffset + series.nbytes > size:
            raise _truncated(path, f"its voxels end at byte {series.dataoffset + series.nbytes}", size)
        return
    for number, page in enumerate(series.pages):
        if page is None:
            raise VolumeError(
                f"plane {number} of {path.name} is missing: its file is not there or was cut off, save it again",
                where=str(path),
                value=number,
            )
        ends = [o + n for o, n in zip(page.dataoffsets, page.databytecounts, strict=True)]
        if ends and max(ends) > page.parent.filehandle.size:
            raise _truncated(path, f"plane {number} ends at byte {max(ends)}", page.parent.filehandle.size)


def _damaged(path: Path, error: Exception) -> VolumeError:
    return VolumeError(
        f"cannot read {path.name}: damaged TIFF ({error}); copy or save it again", where=str(path), value=error
    )


def _truncated(path: Path, what: str, size: int) -> VolumeError:
    return VolumeError(
        f"{path.name} is truncated: {what}, the file has {size}; copy or save it again", where=str(path), value=size
    )
