"""The base of every method's settings: one pydantic model makes form, ``--set``, saved file and error messages.

Flat and frozen: bool, int, float, enum and fixed tuples only; each field has a title, a description, its unit and its
bounds. Imports no torch.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from napari_weak3d.errors import ConfigError

_LARGEST = 2**31 - 1
"""What the narrowest of the places that a whole number goes through takes: a spin box of Qt."""


class Device(StrEnum):
    """Where to compute."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    MPS = "mps"


class Preset(StrEnum):
    """Settings of a method that belong together."""

    DEFAULT = "default"
    PAPER = "paper"


def fill_in_preset(settings: Any, presets: Mapping[Preset, Mapping[str, Any]]) -> Any:
    """Put what the preset of some settings sets where they say nothing; what is no mapping stays as it is."""
    if not isinstance(settings, Mapping):
        return settings
    wanted = [values for preset, values in presets.items() if preset == settings.get("preset")]
    return {**(wanted[0] if wanted else {}), **settings}


class Config(BaseModel):
    """Settings of any kind: immutable, and strict about names."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_enum_values=False, validate_default=True)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """Make a config from names and values (values may be text, as the command line gives them).

        Raises
        ------
        ConfigError
            An unknown name (the nearest known one is offered), a wrong type, a value out of bounds.
        """
        known = list(cls.model_fields)
        for name in settings:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
                hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
                raise ConfigError(f"unknown setting {name!r}: {hint}", where=name, value=settings[name])
        parsed = {name: _split_if_tuple(cls, name, value) for name, value in settings.items()}
        try:
            return cls(**parsed)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"]) or "settings"
            raise ConfigError(
                f"setting {name} = {first['input']!r}: {first['msg'][0].lower()}{first['msg'][1:]}",
                where=name,
                value=first["input"],
            ) from None

    def with_settings(self, settings: Mapping[str, Any]) -> Self:
        """Return a copy with some settings changed, checked as in :meth:`from_settings`."""
        return type(self).from_settings({**self.model_dump(mode="json"), **settings})


def _split_if_tuple(cls: type[Config], name: str, value: Any) -> Any:
    """Text for a tuple field ("1,2,3") -> its parts; anything else as it is."""
    default = cls.model_fields[name].default
    return (
        tuple(part.strip() for part in value.split(","))
        if isinstance(value, str) and isinstance(default, tuple)
        else value
    )


class TrainConfig(Config):
    """What every method's training has in common, and what of it segmenting takes too."""

    SEGMENTING: ClassVar[tuple[str, ...]] = ("device",)
    """The settings that can be changed for one segmentation; the others belong to training."""

    minutes: float = Field(
        5.0,
        gt=0,
        le=10_000,
        title="Minutes",
        description="Wall time of training, held-out scoring included (minutes).",
    )
    steps: int = Field(
        0,
        ge=0,
        le=_LARGEST,
        title="Steps",
        description="Optimizer steps instead of minutes; repeatable. 0: go by minutes.",
    )
    seed: int = Field(0, ge=0, le=_LARGEST, title="Seed", description="Start of every random choice.")
    device: Device = Field(Device.AUTO, title="Device", description="Where to compute; auto: a GPU if there is one.")

    def has_same_budget(self, other: TrainConfig) -> bool:
        """Whether a training with these settings is as long as one with those, and can go on where that broke off."""
        return self.steps == other.steps and (self.steps > 0 or self.minutes == other.minutes)

    def for_segmenting(self, settings: Mapping[str, Any]) -> Self:
        """Return a copy with some of the settings changed that segmenting takes.

        Raises
        ------
        ConfigError
            As :meth:`from_settings`; and for a setting that only training uses, which would change nothing.
        """
        changed = self.with_settings(settings)
        for name, value in settings.items():
            if name not in self.SEGMENTING:
                raise ConfigError(
                    f"setting {name!r} belongs to training and changes nothing here: segmenting takes "
                    f"{', '.join(self.SEGMENTING)}",
                    where=name,
                    value=value,
                )
        return changed
