"""A boxes model as a folder: model.json, weights, boxes, log, and while unfinished what to resume from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from napari_weak3d import __version__
from napari_weak3d.errors import ConfigError, ModelError
from napari_weak3d.io.atomic import atomic_file, remove_file
from napari_weak3d.io.models import MODEL, SCHEMA, read_description
from napari_weak3d.methods.boxes.anchors import AnchorLayer
from napari_weak3d.methods.boxes.config import BoxesConfig
from napari_weak3d.methods.boxes.scheme import Calibration, KnownBoxes, Scheme
from napari_weak3d.nn.checkpoint import RESUME, WEIGHTS, LogRow, load_members, make_folder, read_log, save_members
from napari_weak3d.types import Boxes, PaintClass, Region

METHOD = "boxes"
BOXES = "boxes.npz"


@dataclass(frozen=True)
class Stored:
    """What a model folder holds, read back.

    Attributes
    ----------
    calibration
        None: training ended before it was made.
    boxes
        Of the training volumes.
    weights
        The averaged weights, by name.
    resume
        What an unfinished training goes on from, or None.
    fraction
        How much of the budget that training had used.
    """

    config: BoxesConfig
    scheme: Scheme
    calibration: Calibration | None
    boxes: tuple[KnownBoxes, ...]
    weights: dict[str, Tensor]
    summary: Mapping[str, Any] = field(default_factory=dict)
    resume: dict[str, Tensor] | None = None
    fraction: float = 1.0
    log: tuple[LogRow, ...] = ()

    @property
    def has_masks(self) -> bool:
        """Whether shapes were learned, not only boxes."""
        return any(bool(known.boxes.has_mask.any()) for known in self.boxes)


def write_model(folder: Path, stored: Stored) -> None:
    """Write everything but boxes and log; ``model.json`` last, so a folder with it is whole.

    Raises
    ------
    StorageError
        A file cannot be written.
    """
    make_folder(folder)
    save_members(folder / WEIGHTS, [stored.weights])
    if stored.resume is not None:
        save_members(folder / RESUME, [stored.resume])
    described = {
        "schema": SCHEMA,
        "method": METHOD,
        "version": __version__,
        "config": stored.config.model_dump(mode="json"),
        "scheme": asdict(stored.scheme),
        "calibration": None if stored.calibration is None else asdict(stored.calibration),
        "boxes": [{"identity": known.identity, "region": known.region, "greys": known.greys} for known in stored.boxes],
        "summary": dict(stored.summary),
        "fraction": stored.fraction,
    }
    with atomic_file(folder / MODEL) as temporary:
        temporary.write_text(json.dumps(described, indent=1), encoding="utf-8")
    if stored.resume is None:
        remove_file(folder / RESUME)


def write_drawn(folder: Path, drawn: Sequence[Boxes]) -> None:
    """Write the boxes themselves, with their masks; needed only when they changed."""
    make_folder(folder)
    arrays: dict[str, Any] = {}
    for index, boxes in enumerate(drawn):
        arrays |= {
            f"corners_{index}": boxes.corners,
            f"classes_{index}": boxes.classes,
            f"has_mask_{index}": boxes.has_mask,
        }
        if boxes.masks is not None:
            arrays[f"masks_{index}"] = boxes.masks
    with atomic_file(folder / BOXES) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


def read_model(folder: Path) -> Stored:
    """Read a model folder; nothing is unpickled.

    Raises
    ------
    ModelError
        A file is missing, damaged, of another method or of a newer version.
    """
    described = read_description(folder)
    try:
        calibration, fraction = described["calibration"], float(described["fraction"])
        return Stored(
            config=BoxesConfig.from_settings(dict(described["config"])),
            scheme=_read_scheme(described["scheme"]),
            calibration=None if calibration is None else Calibration(**calibration),
            boxes=_read_known(folder, described["boxes"]),
            weights=load_members(folder / WEIGHTS)[0],
            summary=described["summary"],
            resume=load_members(folder / RESUME)[0] if fraction < 1 and (folder / RESUME).exists() else None,
            fraction=fraction,
            log=read_log(folder),
        )
    except ConfigError as error:
        raise ModelError(f"the model in {folder} is damaged: {error.message}", where=str(folder)) from error
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"the model in {folder} is damaged: {MODEL} lacks or garbles {error}; train it anew", where=str(folder)
        ) from error


def _read_scheme(described: Mapping[str, Any]) -> Scheme:
    tuples = {name: tuple(described[name]) for name in ("spacing", "stem", "typical", "largest")}
    return Scheme(
        **{
            **described,
            **tuples,
            "classes": tuple(PaintClass(**row) for row in described["classes"]),
            "anchors": tuple(
                AnchorLayer(layer["level"], tuple(layer["stride"]), tuple(tuple(size) for size in layer["sizes"]))
                for layer in described["anchors"]
            ),
        }
    )


def _read_known(folder: Path, described: Sequence[Mapping[str, Any]]) -> tuple[KnownBoxes, ...]:
    try:
        with np.load(folder / BOXES, allow_pickle=False) as arrays:
            drawn = [
                Boxes(
                    arrays[f"corners_{index}"],
                    arrays[f"classes_{index}"],
                    arrays.get(f"masks_{index}"),
                    arrays[f"has_mask_{index}"],
                )
                for index in range(len(described))
            ]
    except FileNotFoundError:
        raise ModelError(f"the model in {folder} has no {BOXES}: it is incomplete", where=str(folder)) from None
    except Exception as error:  # zipfile and numpy raise many kinds for a damaged file
        raise ModelError(f"the model's file {folder / BOXES} is damaged: {error}", where=str(folder)) from None
    return tuple(
        KnownBoxes(
            item["identity"],
            boxes,
            _read_region(item["region"]),
            tuple((float(low), float(middle), float(high)) for low, middle, high in item["greys"]),
        )
        for item, boxes in zip(described, drawn, strict=True)
    )


def _read_region(described: Sequence[Sequence[int]] | None) -> Region | None:
    if described is None:
        return None
    z, y, x = ((int(lo), int(hi)) for lo, hi in described)
    return z, y, x
