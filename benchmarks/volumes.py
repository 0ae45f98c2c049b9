"""The real volumes of the benchmarks, and the paint that is made from their truth.

A data folder holds one folder per volume: ``image.tif`` (Z, Y, X), ``info.json`` (``spacing_zyx``, ``spacing_unit``)
and truth files beside it, label images of the same shape.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_weak3d import Slices, Volume, read_labels, read_volume
from napari_weak3d.samples import OBJECT_CLASSES
from napari_weak3d.types import AXES, IntLabels, SliceIndex

Paint = Literal["classes", "objects"]

_MICROMETRES = {"um": 1.0, "nm": 1e-3}


@dataclass(frozen=True)
class Row:
    """A row of a table: the folder of a volume, and which of its files is the truth (without ``.tif``)."""

    folder: str
    truth: str = "labels"

    @property
    def name(self) -> str:
        return f"{self.folder}/{self.truth}"


CLASS_ROWS = (
    Row("vessel-bbbDisruption"),
    Row("vessel-lowerRes_hiSNR"),
    Row("vessel-BBB_Leakage"),
    Row("vnc-em-a", "semantic_membrane"),
    Row("isbi-em-a", "semantic_membrane"),
    Row("vnc-em-a", "semantic_mito"),
    Row("ovule-nuclei-1135"),
    Row("gland-2018-04-10_2a"),
)
OBJECT_ROWS = (
    Row("gland-2017-12-04_1a"),
    Row("gland-2017-12-04_3a"),
    Row("gland-2018-04-10_2a"),
    Row("gland-2019-01-15_2a"),
    Row("ovule-nuclei-1135"),
)


@dataclass(frozen=True)
class RealVolume:
    """An image and its truth: (Z, Y, X) int32, 0 is background."""

    volume: Volume
    truth: IntLabels

    @property
    def image(self) -> NDArray[np.float32]:
        """(Z, Y, X), the only channel."""
        return np.asarray(self.volume.data[0], dtype=np.float32)


def choose_rows(rows: Sequence[Row], wanted: Sequence[str]) -> list[Row]:
    """Choose rows by parts of their names; ``FOLDER/TRUTH`` also names one that is not in the list.

    Raises
    ------
    SystemExit
        A text is part of no name.
    """
    if not wanted:
        return list(rows)
    chosen: list[Row] = []
    for text in wanted:
        found = [row for row in rows if text in row.name]
        folder, slash, truth = text.partition("/")
        if not found and not slash:
            raise SystemExit(f"no row is named like {text!r}; there is {', '.join(row.name for row in rows)}")
        chosen += [row for row in found or [Row(folder, truth)] if row not in chosen]
    return chosen


def load(data: Path, row: Row) -> RealVolume:
    """Read a volume with the spacing of its ``info.json``, and its truth."""
    volume = load_volume(data, row.folder)
    return RealVolume(volume, read_labels(data / row.folder / f"{row.truth}.tif", like=volume))


def load_volume(data: Path, name: str) -> Volume:
    """Read a volume with the spacing of its ``info.json``."""
    info = json.loads((data / name / "info.json").read_text())
    with warnings.catch_warnings():  # the spacing is not in the image but in info.json
        warnings.simplefilter("ignore")
        volume = read_volume(data / name / "image.tif")
    spacing = [float(along) for along in info.get("spacing_zyx") or (1, 1, 1)]
    factor = _MICROMETRES.get(info.get("spacing_unit"), 0.0)
    return replace(
        volume,
        data=np.asarray(volume.data[:]),
        spacing=tuple(along * (factor or 1.0) for along in spacing),
        unit="um" if factor else "relative",
        name=name,
    )


def spread_slices(n: int, k: int) -> tuple[SliceIndex, ...]:
    """Choose k of n z slices, evenly spaced: numpy.round((i + 0.5) * n / k), each once."""
    return tuple((0, int(z)) for z in np.unique(np.round((np.arange(k) + 0.5) * n / k).astype(int)) if z < n)


def paint(truth: IntLabels, annotated: Sequence[SliceIndex], *, kind: Paint) -> Slices:
    """Paint whole slices with the truth: 1 where there is an object, or the object's id; 0 there is background."""
    where = painted_voxels(truth.shape, annotated)
    values = truth if kind == "objects" else (truth > 0).astype(np.int32)
    classes = OBJECT_CLASSES if kind == "classes" else ()
    return Slices(np.where(where, values, 0).astype(np.int32), kind, tuple(annotated), classes)


def painted_voxels(shape: Sequence[int], annotated: Sequence[SliceIndex]) -> NDArray[np.bool_]:
    """(Z, Y, X) bool: what lies in painted slices."""
    where = np.zeros(shape, dtype=np.bool_)
    for axis, index in annotated:
        where[plane(axis, index)] = True
    return where


def plane(axis: int, index: int) -> tuple[Any, ...]:
    """Index a volume (Z, Y, X) by one of its slices."""
    return (slice(None),) * axis + (index,)


def name_slices(annotated: Sequence[SliceIndex]) -> list[str]:
    """["z:3", "y:40"]."""
    return [f"{AXES[axis]}:{index}" for axis, index in annotated]
