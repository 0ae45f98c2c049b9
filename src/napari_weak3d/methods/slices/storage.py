"""A slices model as a folder: model.json, weights, paint, log, and while unfinished what to resume from."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from napari_weak3d import __version__
from napari_weak3d.errors import ModelError, StorageError
from napari_weak3d.io.atomic import atomic_file
from napari_weak3d.io.models import MODEL, SCHEMA, read_description
from napari_weak3d.methods.slices.config import SlicesConfig
from napari_weak3d.methods.slices.instances import InstanceSettings
from napari_weak3d.methods.slices.scheme import Calibration, KnownPaint, Scheme
from napari_weak3d.types import PaintClass, Region, Slices, Volume

METHOD = "slices"
WEIGHTS, PAINT, LOG, RESUME = "weights.safetensors", "paint.npz", "log.csv", "resume.safetensors"


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
    """

    config: SlicesConfig
    scheme: Scheme
    calibration: Calibration
    paint: tuple[KnownPaint, ...]
    weights: tuple[dict[str, Tensor], ...]
    summary: Mapping[str, Any] = field(default_factory=dict)
    resume: tuple[dict[str, Tensor], ...] | None = None
    fraction: float = 1.0


def identify(volume: Volume) -> str:
    """Hash a volume's shape and values; the file's name, format and dtype do not matter."""
    digest = hashlib.blake2b(repr(volume.data.shape).encode(), digest_size=16)
    for channel in range(volume.n_channels):
        digest.update(np.ascontiguousarray(volume.data[channel], dtype=np.float32).data)
    return digest.hexdigest()


def write_model(folder: Path, stored: Stored) -> None:
    """Write everything but paint and log; ``model.json`` last, so a folder with it is whole.

    Raises
    ------
    StorageError
        A file cannot be written.
    """
    _make_folder(folder)
    _save_tensors(folder / WEIGHTS, stored.weights)
    if stored.resume is not None:
        _save_tensors(folder / RESUME, stored.resume)
    described = {
        "schema": SCHEMA,
        "method": METHOD,
        "version": __version__,
        "config": stored.config.model_dump(mode="json"),
        "scheme": asdict(stored.scheme),
        "calibration": asdict(stored.calibration),
        "paint": [
            {
                "identity": known.identity,
                "paint": known.slices.paint,
                "annotated": known.slices.annotated,
                "region": known.region,
            }
            for known in stored.paint
        ],
        "summary": dict(stored.summary),
        "fraction": stored.fraction,
    }
    with atomic_file(folder / MODEL) as temporary:
        temporary.write_text(json.dumps(described, indent=1), encoding="utf-8")
    if stored.resume is None:
        (folder / RESUME).unlink(missing_ok=True)


def write_paint(folder: Path, paint: Sequence[KnownPaint]) -> None:
    """Write the paint itself; needed only when it changed."""
    _make_folder(folder)
    with atomic_file(folder / PAINT) as temporary, temporary.open("wb") as file:
        arrays: dict[str, Any] = {f"labels_{index}": known.slices.labels for index, known in enumerate(paint)}
        np.savez_compressed(file, **arrays)


def write_log(folder: Path, rows: Sequence[Any]) -> None:
    """Write step, seconds, member and loss of each step."""
    with atomic_file(folder / LOG) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["step", "seconds", "member", "loss"])
        writer.writerows([row.step, f"{row.seconds:.2f}", row.member, f"{row.loss:.5f}"] for row in rows)


def read_model(folder: Path) -> Stored:
    """Read a model folder; nothing is unpickled.

    Raises
    ------
    ModelError
        A file is missing, damaged, of another method or of a newer version.
    """
    described = read_description(folder)
    try:
        scheme = dict(described["scheme"])
        scheme["classes"] = tuple(PaintClass(**row) for row in scheme["classes"])
        scheme["spacing"] = tuple(scheme["spacing"])
        calibration = dict(described["calibration"])
        calibration["biases"] = tuple(calibration["biases"])
        calibration["instances"] = InstanceSettings(**calibration["instances"])
        fraction = float(described["fraction"])
        return Stored(
            config=SlicesConfig(**described["config"]),
            scheme=Scheme(**scheme),
            calibration=Calibration(**calibration),
            paint=_read_paint(folder, described["paint"], classes=scheme["classes"]),
            weights=_load_tensors(folder / WEIGHTS),
            summary=described["summary"],
            resume=_load_tensors(folder / RESUME) if fraction < 1 and (folder / RESUME).exists() else None,
            fraction=fraction,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"the model in {folder} is damaged: {MODEL} lacks or garbles {error}; train it anew", where=str(folder)
        ) from error


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"cannot make the model's folder {folder}: {error.strerror}; choose another place",
            where=str(folder),
            value=error,
        ) from error


def _save_tensors(file: Path, members: Sequence[Mapping[str, Tensor]]) -> None:
    flat = {
        f"member{index}.{name}": tensor.detach().cpu().contiguous()
        for index, tensors in enumerate(members)
        for name, tensor in tensors.items()
    }
    with atomic_file(file) as temporary:
        save_file(flat, temporary)


def _load_tensors(file: Path) -> tuple[dict[str, Tensor], ...]:
    try:
        flat = load_file(file)
    except FileNotFoundError:
        raise ModelError(f"the model in {file.parent} has no {file.name}: it is incomplete", where=str(file)) from None
    except (OSError, SafetensorError) as error:
        raise ModelError(f"the model's file {file} is damaged: {error}", where=str(file)) from None
    if not flat:
        raise ModelError(f"the model's file {file} is damaged: it holds no network", where=str(file))
    members: dict[int, dict[str, Tensor]] = {}
    for name, tensor in flat.items():
        member, rest = name.split(".", 1)
        members.setdefault(int(member.removeprefix("member")), {})[rest] = tensor
    return tuple(members[index] for index in sorted(members))


def _read_paint(
    folder: Path, described: Sequence[Mapping[str, Any]], *, classes: tuple[PaintClass, ...]
) -> tuple[KnownPaint, ...]:
    try:
        with np.load(folder / PAINT, allow_pickle=False) as arrays:
            labels = [arrays[f"labels_{index}"] for index in range(len(described))]
    except FileNotFoundError:
        raise ModelError(f"the model in {folder} has no {PAINT}: it is incomplete", where=str(folder)) from None
    except Exception as error:  # zipfile and numpy raise many kinds for a damaged file
        raise ModelError(f"the model's file {folder / PAINT} is damaged: {error}", where=str(folder)) from None
    return tuple(
        KnownPaint(
            item["identity"],
            Slices(
                array,
                paint=item["paint"],
                annotated=tuple((int(axis), int(index)) for axis, index in item["annotated"]),
                classes=classes,
            ),
            _read_region(item["region"]),
        )
        for item, array in zip(described, labels, strict=True)
    )


def _read_region(described: Sequence[Sequence[int]] | None) -> Region | None:
    if described is None:
        return None
    z, y, x = ((int(lo), int(hi)) for lo, hi in described)
    return z, y, x
