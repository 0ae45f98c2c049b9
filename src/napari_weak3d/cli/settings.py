"""Settings as the command line takes and tells them, and how far a training with them has come."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_weak3d.errors import ConfigError

if TYPE_CHECKING:
    from napari_weak3d.config import TrainConfig


def find_config(folder: Path) -> type[TrainConfig]:
    """Return the settings' class of a model's method."""
    from napari_weak3d import workflow
    from napari_weak3d.methods import load_object

    config: type[TrainConfig] = load_object(workflow.method_of(folder).config)
    return config


def train_config(options: argparse.Namespace) -> TrainConfig:
    """Settings of a training: of the model to go on from, of the file, then ``--set``, then options of their own."""
    from napari_weak3d.methods import load_config

    config = load_config(options.method)
    settings: dict[str, Any] = _read_settings(options.config) if options.config else {}
    settings |= dict(options.settings)
    settings |= {name: getattr(options, name) for name in ("device", "seed") if getattr(options, name) is not None}
    settings |= read_budget(options)
    if "minutes" in settings:
        settings = {"steps": 0} | settings
    before = _read_settings_before(options.start, config, method=options.method) if options.start else {}
    with bounds_told(config):
        return config.from_settings(before | settings)


def _read_settings_before(model: Path, config: type[TrainConfig], *, method: str) -> dict[str, Any]:
    """What a model was trained with, but for the device, which may be another machine's."""
    from napari_weak3d.io.models import read_description

    described = read_description(model)
    settings = described.get("config")
    if described["method"] != method or not isinstance(settings, dict):
        return {}  # the loader says what is wrong
    return {name: value for name, value in settings.items() if name in config.model_fields and name != "device"}


def count_steps(model: Path | None) -> int:
    """Steps that a model has taken in all its trainings; 0 of none."""
    from napari_weak3d.io.models import read_description

    summary = {} if model is None else read_description(model).get("summary")
    steps = summary.get("steps") if isinstance(summary, dict) else 0
    return steps if isinstance(steps, int) else 0


def find_place(model: Path, *, config: TrainConfig) -> float:
    """How much of its training a model has behind it, 0..1; 1 too where a training with ``config`` begins anew."""
    from napari_weak3d.io.models import read_description

    described = read_description(model)
    fraction, settings = described.get("fraction"), described.get("config")
    if not isinstance(fraction, int | float) or not isinstance(settings, dict):
        return 1.0  # the loader says what is wrong
    budget = {name: settings.get(name) for name in ("minutes", "steps")}
    return float(fraction) if config.has_same_budget(config.model_copy(update=budget)) else 1.0


def read_budget(options: argparse.Namespace) -> dict[str, float | int]:
    """``--minutes`` or ``--steps`` as settings; empty where neither is given. Minutes given undo steps of a file."""
    if options.steps is not None:
        if options.steps <= 0:
            raise ConfigError(f"--steps {options.steps}: train at least one step", where="--steps", value=options.steps)
        return {"steps": options.steps}
    return {} if options.minutes is None else {"minutes": options.minutes, "steps": 0}


def describe_config(config: type[TrainConfig]) -> dict[str, str]:
    """Return a line per setting: default, bounds, what it does."""
    schemas = config.model_json_schema()["properties"]
    defaults = config().model_dump(mode="json")
    return {
        name: ", ".join(
            [f"default {_as_setting(defaults[name])}", *_bounds(schemas[name]), *_choices(field.annotation)]
        )
        + f". {field.description}"
        for name, field in config.model_fields.items()
    }


@contextmanager
def bounds_told(config: type[TrainConfig]) -> Iterator[None]:
    """Put all bounds of a setting behind a mistake in it: pydantic tells the first that it finds."""
    try:
        yield
    except ConfigError as error:
        bounds = _bounds(config.model_json_schema()["properties"].get(error.where, {}))
        if len(bounds) > 1:
            error.message = f"{error.message} (it has to be {', '.join(bounds)})"
        raise


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        settings = json.loads(path.read_text(encoding="utf-8-sig"))  # some editors put a byte order mark first
    except FileNotFoundError:
        raise ConfigError(f"--config {path} does not exist: check the name", where="--config") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"--config {path} cannot be read as JSON: {error}", where="--config") from None
    if not isinstance(settings, dict):
        raise ConfigError(f"--config {path} holds no JSON object of names and values", where="--config")
    return settings


def _as_setting(value: object) -> str:
    """As ``--set`` would take it."""
    return ",".join(str(part) for part in value) if isinstance(value, list) else str(value)


def _bounds(schema: Mapping[str, Any]) -> list[str]:
    signs = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    bounds = [f"{sign} {_as_number(schema[key])}" for key, sign in signs.items() if key in schema]
    return [*bounds, *([f"a multiple of {schema['multipleOf']}"] if "multipleOf" in schema else [])]


def _as_number(value: float) -> str:
    """Whole numbers in full: 2147483647, not 2.14748e+09."""
    return str(int(value)) if value == int(value) else f"{value:g}"


def _choices(kind: object) -> list[str]:
    """The values of an enum; nothing for other types."""
    if not (isinstance(kind, type) and issubclass(kind, Enum)):
        return []
    return [f"one of {' '.join(str(member.value) for member in kind)}"]
