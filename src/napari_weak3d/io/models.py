"""What all model folders have in common: a ``model.json`` that names method and schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from napari_weak3d.errors import ModelError

MODEL = "model.json"
SCHEMA = 1


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
    return described
