"""What all model folders have in common: a ``model.json`` that names method and schema."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from napari_weak3d.errors import ModelError

MODEL = "model.json"
SCHEMA = 1
Migration: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]
"""Turns a description of one schema into one of the next; the number of the schema is raised for it."""
MIGRATIONS: Mapping[int, Migration] = {}
"""For each older schema the step to the next one. A change of schema adds one line here."""


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
        described = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{folder} is not a model: it has no {MODEL}", where=str(folder)) from None
    except (OSError, ValueError) as error:
        raise ModelError(
            f"the model in {folder} is damaged: {MODEL} cannot be read ({error})", where=str(folder)
        ) from None
    if not isinstance(described, dict) or not isinstance(described.get("schema"), int) or "method" not in described:
        raise ModelError(f"{file} does not describe a model of napari-weak3d", where=str(folder))
    if described["schema"] > SCHEMA:
        raise ModelError(
            f"the model in {folder} was written by a newer version ({described.get('version')}): update napari-weak3d",
            where=str(folder),
            value=described["schema"],
        )
    return migrate(described)


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
