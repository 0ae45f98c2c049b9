"""A slices model as a folder: model.json, weights, paint, log, and while unfinished what to resume from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from napari_weak3d.io.atomic import atomic_file
from napari_weak3d.io.models import MODEL, damage_told, read_arrays, read_description, read_region
from napari_weak3d.io.spacing import check_spacing
from napari_weak3d.methods.slices.config import SlicesConfig
from napari_weak3d.methods.slices.instances import InstanceSettings
from napari_weak3d.methods.slices.scheme import Calibration, KnownPaint, Scheme
from napari_weak3d.nn.checkpoint import (
    WEIGHTS,
    LogRow,
    load_members,
    load_resume,
    make_folder,
    read_log,
    write_networks,
)
from napari_weak3d.types import PaintClass, Slices

METHOD = "slices"
PAINT = "paint.npz"


@dataclass(frozen=True)
class Stored:
    """What a model folder holds, read back.

    Attributes
    ----------
    weights
        Per member, the averaged weights by name.
    resume
        What an unfinished training goes on from, or None.
    fraction
        How much of the budget that training had used.
    log
        What log.csv holds; empty where it is missing or damaged, which does the model no harm.
    """

    config: SlicesConfig
    scheme: Scheme
    calibration: Calibration
    paint: tuple[KnownPaint, ...]
    weights: tuple[dict[str, Tensor], ...]
    summary: Mapping[str, Any] = field(default_factory=dict)
    resume: tuple[dict[str, Tensor], ...] | None = None
    fraction: float = 1.0
    log: tuple[LogRow, ...] = ()


def write_model(folder: Path, stored: Stored) -> None:
    """Write everything but paint and log; ``model.json`` last, so a folder with it is whole.

    Raises
    ------
    StorageError
        A file cannot be written.
    """
    parts = {
        "config": stored.config.model_dump(mode="json"),
        "scheme": asdict(stored.scheme),
        "calibration": asdict(stored.calibration),
        "paint": [
            {
                "identity": known.identity,
                "paint": known.slices.paint,
                "annotated": known.slices.annotated,
                "region": known.region,
                "greys": known.greys,
            }
            for known in stored.paint
        ],
        "summary": dict(stored.summary),
        "fraction": stored.fraction,
    }
    write_networks(folder, parts, method=METHOD, weights=stored.weights, resume=stored.resume)


def write_paint(folder: Path, paint: Sequence[KnownPaint]) -> None:
    """Write the paint itself; needed only when it changed."""
    make_folder(folder)
    with atomic_file(folder / PAINT) as temporary, temporary.open("wb") as file:
        arrays: dict[str, Any] = {f"labels_{index}": known.slices.labels for index, known in enumerate(paint)}
        np.savez_compressed(file, **arrays)


def read_model(folder: Path) -> Stored:
    """Read a model folder; nothing is unpickled.

    Raises
    ------
    ModelError
        A file is missing, damaged, of another method or of a newer version.
    """
    described = read_description(folder)
    with damage_told(folder):
        scheme = dict(described["scheme"])
        scheme["classes"] = tuple(PaintClass(**row) for row in scheme["classes"])
        scheme["spacing"] = tuple(scheme["spacing"])
        calibration = dict(described["calibration"])
        calibration["biases"] = tuple(calibration["biases"])
        calibration["instances"] = InstanceSettings(**calibration["instances"])
        fraction = float(described["fraction"])
        stored = Stored(
            config=SlicesConfig.from_settings(dict(described["config"])),
            scheme=Scheme(**scheme),
            calibration=Calibration(**calibration),
            paint=_read_paint(folder, described["paint"], classes=scheme["classes"]),
            weights=load_members(folder / WEIGHTS),
            summary=described["summary"],
            resume=load_resume(folder, fraction=fraction),
            fraction=fraction,
            log=read_log(folder),
        )
        _check_ranges(stored)
        return stored


def _check_ranges(stored: Stored) -> None:
    """Raise ValueError or VolumeError where a value cannot be: better here than in the middle of some work."""
    scheme, calibration = stored.scheme, stored.calibration
    check_spacing(scheme.spacing, where=MODEL)
    numbers = {"paint_weight": calibration.paint_weight, **asdict(calibration.instances)}
    wrong = {
        f"paint {scheme.paint!r}": scheme.paint not in ("classes", "objects"),
        f"stack_axis {scheme.stack_axis!r}": scheme.stack_axis not in (0, 1, 2),
        f"channels {scheme.channels!r}": not _is_whole(scheme.channels, least=1),
        f"fraction {stored.fraction}": not 0 <= stored.fraction <= 1,
        f"{len(calibration.biases)} biases for {scheme.n_classes} classes": len(calibration.biases) != scheme.n_classes,
        f"biases {list(calibration.biases)}": not all(map(_is_finite, calibration.biases)),
        **{f"{name} {value!r}": not _is_finite(value) for name, value in numbers.items()},
        f"held_out_iou {calibration.held_out_iou!r}": not isinstance(calibration.held_out_iou, int | float | None),
        **{f"class value {row.value!r}": not _is_whole(row.value, least=0) for row in scheme.classes},
        **{f"class name {row.name!r}": not isinstance(row.name, str) for row in scheme.classes},
        f"summary {stored.summary!r}": not isinstance(stored.summary, dict),
    }
    for known in stored.paint:
        shape = known.slices.labels.shape
        wrong[f"labels of {len(shape)} axes"] = len(shape) != 3
        for axis, index in known.slices.annotated:
            wrong[f"annotated [{axis}, {index}]"] = axis not in range(3) or not 0 <= index < shape[axis]
    for what, is_wrong in wrong.items():
        if is_wrong:
            raise ValueError(what)


def _is_whole(value: object, *, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _read_paint(
    folder: Path, described: Sequence[Mapping[str, Any]], *, classes: tuple[PaintClass, ...]
) -> tuple[KnownPaint, ...]:
    arrays = read_arrays(folder, PAINT)
    return tuple(
        KnownPaint(
            item["identity"],
            Slices(
                arrays[f"labels_{index}"],
                paint=item["paint"],
                annotated=tuple((int(axis), int(index)) for axis, index in item["annotated"]),
                classes=classes,
            ),
            read_region(item["region"]),
            tuple((float(low), float(middle), float(high)) for low, middle, high in item.get("greys", ())),
        )
        for index, item in enumerate(described)
    )
