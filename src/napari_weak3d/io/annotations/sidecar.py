"""The ``.json`` beside painted slices: what the paint means, and which slices are complete."""

from __future__ import annotations

import json
import reprlib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from napari_weak3d.errors import AnnotationError
from napari_weak3d.io.atomic import atomic_file
from napari_weak3d.io.formats import short_name

SCHEMA = 1
_WORDS = {
    "extra_forbidden": "there is no such entry",
    "model_type": "it has to be an object of names and values",
    "list_type": "it has to be a list",
    "string_type": "it has to be text",
    "bool_type": "it has to be true or false",
    "string_pattern_mismatch": "it has to be a colour such as #44aa99",
    **dict.fromkeys(
        ("int_type", "greater_than_equal", "less_than"), "it has to be a whole number from 0 to 2147483647"
    ),
}
"""By pydantic's kind of error."""


class ClassEntry(BaseModel):
    """A row of the table of classes."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    value: int = Field(ge=0, lt=2**31)
    name: str
    color: str = Field("#808080", pattern="^#[0-9a-fA-F]{6}$")
    background: bool = False


class Sidecar(BaseModel):
    """What the ``.json`` holds; ``annotated`` as on the command line: ``["z:3,10,17", "y:40"]``."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    schema_number: int = Field(SCHEMA, alias="schema")
    paint: Literal["classes", "objects"] = "classes"
    annotated: list[str] = []
    classes: list[ClassEntry] = []


def sidecar_path(path: Path) -> Path:
    """Return the path of the ``.json`` that belongs to a label image: the same name without its ending."""
    return path.with_name(f"{short_name(path)}.json")


def read_sidecar(path: Path) -> Sidecar | None:
    """Read the ``.json`` beside the label image ``path``; None where there is none.

    Raises
    ------
    AnnotationError
        It is no JSON, from a newer version, has an unknown or a wrong entry, a value twice, or two backgrounds.
    """
    file = sidecar_path(path)
    if not file.exists():
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))  # some editors put a byte order mark first
    except (OSError, ValueError, RecursionError) as error:
        raise AnnotationError(f"cannot read {file.name}: {error}; correct or remove it", where=str(file)) from error
    schema = content.get("schema") if isinstance(content, dict) else None
    if isinstance(schema, int) and schema > SCHEMA:
        raise AnnotationError(
            f"{file.name} has schema {schema}, this version reads up to {SCHEMA}: update napari-weak3d",
            where=str(file),
            value=schema,
        )
    try:
        sidecar = Sidecar.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole"
        what = f"{place} = {reprlib.repr(first['input'])}"
        raise AnnotationError(
            f"{file.name}: {what}: {_say_what_it_has_to_be(first)}; correct or remove the file",
            where=str(file),
            value=first["input"],
        ) from None
    _check_classes(sidecar.classes, name=file.name)
    return sidecar


def knows_background(path: Path) -> bool:
    """Whether the ``.json`` beside the label image ``path`` says which class is the background."""
    sidecar = read_sidecar(path)
    return sidecar is not None and any(entry.background for entry in sidecar.classes)


def _say_what_it_has_to_be(wrong: ErrorDetails) -> str:
    """What pydantic found, in words for who wrote the file: pydantic's speak of its own classes."""
    kind = wrong["type"]
    if kind == "missing":
        return f"the entry {wrong['loc'][-1]!r} is missing"
    if kind == "literal_error":
        return f"it has to be {wrong['ctx']['expected']}"
    return _WORDS.get(kind, f"{wrong['msg'][0].lower()}{wrong['msg'][1:]}")


def write_sidecar(path: Path, sidecar: Sidecar) -> None:
    """Write the ``.json`` beside the label image ``path``.

    Raises
    ------
    StorageError
        It cannot be written.
    """
    text = json.dumps(sidecar.model_dump(by_alias=True), indent=2, ensure_ascii=False)
    with atomic_file(sidecar_path(path)) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def _check_classes(classes: list[ClassEntry], *, name: str) -> None:
    values = [entry.value for entry in classes]
    twice = [value for i, value in enumerate(values) if value in values[:i]]
    if twice:
        raise AnnotationError(f"{name} has the class {twice[0]} twice: remove one", where=name, value=twice[0])
    backgrounds = [entry.value for entry in classes if entry.background]
    if len(backgrounds) > 1:
        raise AnnotationError(
            f"{name} calls the classes {backgrounds} background: there is one", where=name, value=backgrounds
        )
    if 0 in values and backgrounds != [0]:
        raise AnnotationError(
            f"{name} has a class 0 that is not background: 0 is unpainted, number classes from 1", where=name, value=0
        )
