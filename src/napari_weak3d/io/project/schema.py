"""The JSON files of a project: one number says the format of each, one function brings old ones up to date."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from napari_weak3d.errors import StorageError
from napari_weak3d.io.atomic import atomic_file, cause_in_words

Value = TypeVar("Value")

PROJECT_SCHEMA = 3
INDEX_SCHEMA = 1
PREDICTION_SCHEMA = 1


def migrate_project(content: dict[str, Any], schema: int) -> dict[str, Any]:
    """Bring ``project.json`` of an older schema to today's; 1 is the first.

    2: images have ``origin`` and ``sampled``, 3: ``first_axis`` and ``series``; where they are missing they are None,
    which an older version refuses.
    """
    del schema
    return content


def migrate_index(content: dict[str, Any], schema: int) -> dict[str, Any]:
    """Bring an annotation's ``index.json`` of an older schema to today's; 1 is the first."""
    del schema
    return content


def migrate_prediction(content: dict[str, Any], schema: int) -> dict[str, Any]:
    """Bring ``prediction.json`` of an older schema to today's; 1 is the first."""
    del schema
    return content


_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}
_FILES = {
    "project.json": (PROJECT_SCHEMA, migrate_project),
    "index.json": (INDEX_SCHEMA, migrate_index),
    "prediction.json": (PREDICTION_SCHEMA, migrate_prediction),
}


def read_json(file: Path) -> dict[str, Any]:
    """Read one of the project's JSON files, in today's form.

    Raises
    ------
    StorageError
        It cannot be read, is damaged, or was written by a newer version.
    FileNotFoundError
        It is not there: what that means only the caller knows.
    """
    newest, migrate = _FILES[file.name]
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise StorageError(f"cannot read {file}: {error}; restore it from a copy", where=str(file)) from error
    schema = content.get("schema") if isinstance(content, dict) else None
    if not isinstance(schema, int):
        raise StorageError(f"{file} is damaged: it has no schema number; restore it from a copy", where=str(file))
    if schema > newest:
        raise StorageError(
            f"{file} has schema {schema}, this version reads up to {newest}: update napari-weak3d",
            where=str(file),
            value=schema,
        )
    return migrate(content, schema)


def write_json(file: Path, content: Mapping[str, Any]) -> None:
    """Write one of the project's JSON files with its schema number, whole or not at all.

    Raises
    ------
    StorageError
        The disk says no; the old file stays.
    """
    text = json.dumps({"schema": _FILES[file.name][0], **content}, indent=1)
    with atomic_file(file) as temporary:
        temporary.write_text(text, encoding="utf-8")


def to_plain(value: Any) -> Any:
    """Turn a dataclass of ours into what JSON can hold."""
    return _adapter(type(value)).dump_python(value, mode="json")


def from_plain(kind: type[Value], content: Any, *, file: Path) -> Value:
    """Turn what JSON held back into a dataclass; ``file`` is where it stood, for the message.

    Raises
    ------
    StorageError
        A field is missing or of the wrong type.
    """
    try:
        return _adapter(kind).validate_python(content)  # type: ignore[no-any-return]
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise StorageError(
            f"{file} is damaged: {place}: {first['msg'].lower()}; restore it from a copy",
            where=str(file),
            value=first["input"],
        ) from error


def make_folder(folder: Path) -> Path:
    """Make a folder with its parents, if it is not there.

    Raises
    ------
    StorageError
        The place is read-only, full, or a file is in the way.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"cannot make the folder {folder}: {cause_in_words(error, folder)}",
            where=os.fspath(folder),
            value=error,
        ) from error
    return folder


def _adapter(kind: Any) -> TypeAdapter[Any]:
    """Made once for each class: it takes some milliseconds."""
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]
