"""A boxes model as a folder: model.json, weights, boxes, log, and while unfinished what to resume from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from napari_weak3d.io.atomic import atomic_file
from napari_weak3d.io.models import damage_told, read_arrays, read_description, read_region
from napari_weak3d.methods.boxes.anchors import AnchorLayer
from napari_weak3d.methods.boxes.components import Rule
from napari_weak3d.methods.boxes.config import BoxesConfig
from napari_weak3d.methods.boxes.holding_out import Sighting
from napari_weak3d.methods.boxes.scheme import Calibration, KnownBoxes, Scheme
from napari_weak3d.nn.checkpoint import (
    WEIGHTS,
    LogRow,
    load_members,
    load_resume,
    make_folder,
    read_log,
    write_networks,
)
from napari_weak3d.types import Boxes, PaintClass

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
    sighting
        How well held-out boxes were found, as long as the training is not finished and they were scored.
    """

    config: BoxesConfig
    scheme: Scheme
    calibration: Calibration | None
    boxes: tuple[KnownBoxes, ...]
    weights: dict[str, Tensor]
    summary: Mapping[str, Any] = field(default_factory=dict)
    resume: dict[str, Tensor] | None = None
    fraction: float = 1.0
    sighting: Sighting | None = None
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
    parts = {
        "config": stored.config.model_dump(mode="json"),
        "scheme": asdict(stored.scheme),
        "calibration": None if stored.calibration is None else asdict(stored.calibration),
        "boxes": [{"identity": known.identity, "region": known.region, "greys": known.greys} for known in stored.boxes],
        "summary": dict(stored.summary),
        "fraction": stored.fraction,
        "sighting": None if stored.sighting is None else _describe_sighting(stored.sighting),
    }
    write_networks(
        folder,
        parts,
        method=METHOD,
        weights=[stored.weights],
        resume=None if stored.resume is None else [stored.resume],
    )


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
    with damage_told(folder):
        resume = load_resume(folder, fraction=float(described["fraction"]))
        calibration, fraction = described["calibration"], float(described["fraction"])
        return Stored(
            config=BoxesConfig.from_settings(dict(described["config"])),
            scheme=_read_scheme(described["scheme"]),
            calibration=None if calibration is None else _read_calibration(calibration),
            boxes=_read_known(folder, described["boxes"]),
            weights=load_members(folder / WEIGHTS)[0],
            summary=described["summary"],
            resume=None if resume is None else resume[0],
            fraction=fraction,
            sighting=_read_sighting(described.get("sighting")),
            log=read_log(folder),
        )


def _describe_sighting(sighting: Sighting) -> dict[str, Any]:
    by_rule = [{"rule": asdict(rule), "f1": f1, "fit": fit} for rule, (f1, fit) in sighting.by_rule.items()]
    return {
        "f1": sighting.f1.tolist(),
        "n_boxes": sighting.n_boxes,
        "fit": sighting.fit.tolist(),
        "by_rule": by_rule,
        "foreground": sighting.foreground,
    }


def _read_sighting(described: Mapping[str, Any] | None) -> Sighting | None:
    if described is None:
        return None
    by_rule = {Rule(**row["rule"]): (float(row["f1"]), float(row["fit"])) for row in described["by_rule"]}
    return Sighting(
        np.array(described["f1"], np.float64),
        int(described["n_boxes"]),
        np.array(described["fit"], np.float64),
        by_rule,
        float(described["foreground"]),
    )


def _read_calibration(described: Mapping[str, Any]) -> Calibration:
    rule = described.get("rule")
    return Calibration(**{**described, "rule": None if rule is None else Rule(**rule)})


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
    arrays = read_arrays(folder, BOXES)
    drawn = [
        Boxes(
            arrays[f"corners_{index}"],
            arrays[f"classes_{index}"],
            arrays.get(f"masks_{index}"),
            arrays[f"has_mask_{index}"],
        )
        for index in range(len(described))
    ]
    return tuple(
        KnownBoxes(
            item["identity"],
            boxes,
            read_region(item["region"]),
            tuple((float(low), float(middle), float(high)) for low, middle, high in item["greys"]),
        )
        for item, boxes in zip(described, drawn, strict=True)
    )
