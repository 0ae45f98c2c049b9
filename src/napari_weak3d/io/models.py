"""What all model folders have in common: a ``model.json`` that names method and schema."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_weak3d import __version__
from napari_weak3d.errors import ConfigError, ModelError, StorageError, VolumeError
from napari_weak3d.io.atomic import atomic_file, cause_in_words, try_folder
from napari_weak3d.types import Region

MODEL = "model.json"
SCHEMA = 3
FILES = (MODEL, "weights.safetensors", "resume.safetensors", "log.csv", "paint.npz", "boxes.npz")
"""What training writes into a model's folder."""
_TEMPORARY = re.compile(r"\.\d+-\d+-(.+)")
"""What a file is called while it is written; a training that was killed may leave one."""
Migration: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]
"""Turns a description of one schema into one of the next; the number of the schema is raised for it."""


def _leave_out_voxel_maps(described: dict[str, Any]) -> dict[str, Any]:
    """To schema 2: networks of boxes had no voxel maps. Models of clicks say there whether light is transmitted."""
    if described["method"] != "boxes" or not isinstance(described.get("config"), dict):
        return described
    return {**described, "config": {**described["config"], "voxel_maps": False}}


def _refuse_coarse_maps(described: dict[str, Any]) -> dict[str, Any]:
    """To schema 3: voxel maps of boxes became finer, by another head."""
    config = described.get("config")
    if described["method"] == "boxes" and isinstance(config, dict) and config.get("voxel_maps", True):
        raise ModelError(
            f"{MODEL} is of a version of boxes that was never released and had another network: train the model anew",
            where=MODEL,
            value=2,
        )
    return described


MIGRATIONS: Mapping[int, Migration] = MappingProxyType({1: _leave_out_voxel_maps, 2: _refuse_coarse_maps})
"""For each older schema the step to the next one. A change of schema adds one line here."""


def check_model_out(folder: Path, *, method: str) -> None:
    """Make sure that a model can be written into a folder, and would not mix with anything else there.

    Raises
    ------
    StorageError
        It is a file; it holds other things than a model, or than what a training left that ended before its first
        checkpoint; its ``model.json`` is of another method or program, or damaged; it cannot be made or written to.
    """
    try:
        _check_free(folder, method=method)
        try_folder(folder)
    except FileNotFoundError as error:  # of a place like /proc, where nothing can be made
        raise _refuse_out(folder, "it cannot be made: choose another place") from error
    except OSError as error:
        raise _refuse_out(folder, cause_in_words(error, folder)) from error


def _check_free(folder: Path, *, method: str) -> None:
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not there.is_dir():
        raise _refuse_out(folder, f"{there} is a file: name a new folder")
    if there != folder:
        return
    if (folder / MODEL).exists():
        held = _find_held(folder)
        if held is None:
            raise _refuse_out(folder, f"the {MODEL} in it is none of napari-weak3d's: name a new folder")
        if held != method:
            raise _refuse_out(folder, f"it holds a model of {held}: name a new folder")
        return
    foreign = sorted(path.name for path in folder.iterdir() if not _is_ours(path.name))
    if foreign:
        raise _refuse_out(folder, f"it holds other things than a model ({foreign[0]}): name a new folder")


def _find_held(folder: Path) -> str | None:
    """The method of a ``model.json`` that some version has written; None of other programs' files of that name."""
    try:
        described = json.loads((folder / MODEL).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return str(described["method"]) if _describes_model(described) else None


def _describes_model(described: Any) -> bool:
    return isinstance(described, dict) and isinstance(described.get("schema"), int) and "method" in described


def _is_ours(name: str) -> bool:
    match = _TEMPORARY.fullmatch(name)
    return (match[1] if match else name) in FILES


def _refuse_out(folder: Path, why: str) -> StorageError:
    return StorageError(f"no model can go into {folder}: {why}", where="--out", value=str(folder), option="with --out")


def read_method(folder: Path) -> str:
    """Read which method a model is of.

    Raises
    ------
    ModelError
        As :func:`read_description`.
    """
    return str(read_description(folder)["method"])


def read_description(folder: Path) -> dict[str, Any]:
    """Read ``model.json`` and check that it is a model of ours that this version can read.

    Raises
    ------
    ModelError
        It is missing, damaged, of something else, or of a newer version.
    """
    file = folder / MODEL
    try:
        described: Any = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{folder} is not a model: it has no {MODEL}", where=str(folder)) from None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(
            f"the model in {folder} is damaged: {MODEL} cannot be read ({error})", where=str(folder)
        ) from None
    if not _describes_model(described):
        raise ModelError(f"{file} does not describe a model of napari-weak3d", where=str(folder))
    if described["schema"] > SCHEMA:
        raise ModelError(
            f"the model in {folder} was written by a newer version ({described.get('version')}): update napari-weak3d",
            where=str(folder),
            value=described["schema"],
        )
    return migrate(described)


def write_description(folder: Path, parts: Mapping[str, Any], *, method: str) -> None:
    """Write ``model.json``: what every model says, and the parts of a method's own, which JSON can hold.

    Raises
    ------
    StorageError
        The file cannot be written.
    """
    described = {"schema": SCHEMA, "method": method, "version": __version__, **parts}
    with atomic_file(folder / MODEL) as temporary:
        temporary.write_text(json.dumps(described, indent=1), encoding="utf-8")


@contextmanager
def damage_told(folder: Path) -> Iterator[None]:
    """Turn what is raised by a part of ``model.json`` that is missing or cannot be into a ModelError that says so."""
    try:
        yield
    except (ConfigError, VolumeError) as error:
        raise ModelError(f"the model in {folder} is damaged: {error.message}", where=str(folder)) from error
    except KeyError as error:
        raise _damaged(folder, f"lacks {error}") from error
    except ValueError as error:
        raise _damaged(folder, f"has a value that cannot be ({error})") from error
    except (TypeError, AttributeError) as error:  # their text speaks of our code
        raise _damaged(folder, "has a part of another kind than it should be") from error


def _damaged(folder: Path, how: str) -> ModelError:
    return ModelError(f"the model in {folder} is damaged: {MODEL} {how}; train it anew", where=str(folder))


def read_arrays(folder: Path, name: str) -> dict[str, NDArray[Any]]:
    """Read all arrays of a model's ``.npz`` file; nothing is unpickled.

    Raises
    ------
    ModelError
        The file is missing or damaged.
    """
    try:
        with np.load(folder / name, allow_pickle=False) as arrays:
            return dict(arrays)
    except FileNotFoundError:
        raise ModelError(f"the model in {folder} has no {name}: it is incomplete", where=str(folder)) from None
    except Exception as error:  # zipfile and numpy raise many kinds for a damaged file; numpy advises to unpickle it
        raise ModelError(
            f"the model's file {folder / name} is damaged: it holds no arrays that can be read; train it anew",
            where=str(folder),
        ) from error


def read_region(described: Sequence[Sequence[int]] | None) -> Region | None:
    """Read a region as JSON holds it: three pairs, or None."""
    if described is None:
        return None
    z, y, x = ((int(low), int(high)) for low, high in described)
    return z, y, x


def migrate(
    described: dict[str, Any], *, to: int = SCHEMA, steps: Mapping[int, Migration] = MIGRATIONS
) -> dict[str, Any]:
    """Bring a description of an older schema up to date, step by step.

    Parameters
    ----------
    described
        What ``model.json`` holds; stays as it is.
    to
        The schema to reach.
    steps
        For each schema from that of the description to the one before ``to``, how to get to the next.

    Raises
    ------
    ModelError
        There is no step from some schema: such a one never was.
    """
    current = dict(described)
    for schema in range(described["schema"], to):
        if schema not in steps:
            raise ModelError(
                f"{MODEL} has the schema {schema}, which no version has written: train the model anew",
                where=MODEL,
                value=schema,
            )
        current = {**steps[schema](current), "schema": schema + 1}
    return current
