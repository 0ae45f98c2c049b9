"""A centroids model as a folder: model.json, weights, log, and while unfinished what to resume from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from napari_weak3d.io.models import damage_told, read_description, read_region
from napari_weak3d.methods.centroids.config import CentroidsConfig
from napari_weak3d.methods.centroids.scale import CellLook
from napari_weak3d.methods.centroids.scheme import Calibration, KnownClicks, Scheme
from napari_weak3d.nn.checkpoint import (
    WEIGHTS,
    LogRow,
    load_members,
    load_resume,
    read_log,
    write_networks,
)

METHOD = "centroids"


@dataclass(frozen=True)
class Stored:
    """What a model folder holds, read back.

    Attributes
    ----------
    calibration
        None: training ended before it was made.
    clicks
        Of the training volumes.
    weights
        Of the networks of centres and of masks as they predict (``Member.snapshot``), by name.
    has_masks
        Whether the second network was trained at all.
    resume
        What an unfinished training goes on from, or None.
    fraction
        How much of the budget that training had used.
    """

    config: CentroidsConfig
    scheme: Scheme
    calibration: Calibration | None
    clicks: tuple[KnownClicks, ...]
    weights: tuple[dict[str, Tensor], ...]
    has_masks: bool
    summary: Mapping[str, Any] = field(default_factory=dict)
    resume: tuple[dict[str, Tensor], ...] | None = None
    fraction: float = 1.0
    log: tuple[LogRow, ...] = ()


def write_model(folder: Path, stored: Stored) -> None:
    """Write everything but the log; ``model.json`` last, so a folder with it is whole.

    Raises
    ------
    StorageError
        A file cannot be written.
    """
    parts = {
        "config": stored.config.model_dump(mode="json"),
        "scheme": asdict(stored.scheme),
        "calibration": None if stored.calibration is None else asdict(stored.calibration),
        "clicks": [
            {
                "identity": known.identity,
                "points_vox": known.points_vox.tolist(),
                "region": known.region,
                "greys": known.greys,
            }
            for known in stored.clicks
        ],
        "has_masks": stored.has_masks,
        "summary": dict(stored.summary),
        "fraction": stored.fraction,
    }
    write_networks(folder, parts, method=METHOD, weights=stored.weights, resume=stored.resume)


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
        scheme["spacing"] = tuple(scheme["spacing"])
        scheme["look"] = CellLook(**scheme["look"])
        calibration, fraction = described["calibration"], float(described["fraction"])
        return Stored(
            config=CentroidsConfig.from_settings(dict(described["config"])),
            scheme=Scheme(**scheme),
            calibration=None if calibration is None else Calibration(**calibration),
            clicks=tuple(map(_read_clicks, described["clicks"])),
            weights=load_members(folder / WEIGHTS),
            has_masks=bool(described["has_masks"]),
            summary=described["summary"],
            resume=load_resume(folder, fraction=fraction),
            fraction=fraction,
            log=read_log(folder),
        )


def _read_clicks(described: Mapping[str, Any]) -> KnownClicks:
    return KnownClicks(
        described["identity"],
        np.array(described["points_vox"], np.float64).reshape(-1, 3),
        read_region(described["region"]),
        tuple((float(low), float(middle), float(high)) for low, middle, high in described["greys"]),
    )
