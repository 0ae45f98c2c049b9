"""What is said to a job and by it: frozen dataclasses, and the one line of JSON that each becomes between processes.

Commands steer a running job. It is a generator of Progress; whoever pulls it sends a command, or None, with each pull,
and the job acts on it before its next step. Closing the generator abandons the job; ``Stop`` ends it early and keeps
the model. Requests start a job in the child process, reports come back from it. Free of torch.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Annotated, Any, TypeAlias, get_args

from pydantic import BeforeValidator, TypeAdapter, ValidationError

from napari_weak3d.errors import Weak3DError
from napari_weak3d.types import Sample, SliceIndex


class WireError(Weak3DError):
    """A line between the processes that is no message, or a message that cannot be sent."""


@dataclass(frozen=True)
class Stop:
    """End after the current step; the model so far is returned and saved."""


@dataclass(frozen=True)
class Pause:
    """Hold; the job answers pulls without training until Resume or Stop. Paused time is not charged to the budget."""


@dataclass(frozen=True)
class Resume:
    """Go on after Pause."""


@dataclass(frozen=True)
class PreviewSlice:
    """Show this slice of this sample as the model sees it now: the next Progress carries it as ``preview``."""

    slice: SliceIndex
    sample: int = 0


@dataclass(frozen=True)
class NewSamples:
    """The annotation as it is now, volumes unchanged and in the same order: train on with it.

    Never sent between processes: the child reads the annotation itself.
    """

    samples: tuple[Sample, ...]


@dataclass(frozen=True)
class Train:
    """Train a model on images of a project.

    Attributes
    ----------
    job
        Its reports carry this id.
    project
        The folder.
    images
        Ids; a sample's number is its place here.
    method
        A name in ``methods.METHODS``.
    model
        Id of the model that is made: ``models/<id>`` of the project.
    settings
        Of the method's config, by name.
    start
        Id of a model to go on from, which may be ``model`` itself; None: from the beginning.
    """

    job: str
    project: str
    images: tuple[str, ...]
    method: str
    model: str
    settings: dict[str, Any] = field(default_factory=dict)
    start: str | None = None


@dataclass(frozen=True)
class Segment:
    """Segment an image of a project into ``predictions/<id>``; ``settings`` change the model's for this once."""

    job: str
    project: str
    image: str
    model: str
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SegmentFiles:
    """Segment image files with a project's model and write labels of the same names into the folder ``out``."""

    job: str
    project: str
    model: str
    files: tuple[str, ...]
    out: str
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Suggest:
    """Say which ``count`` slices of an image to paint, or of its boxes to mask, next, best first."""

    job: str
    project: str
    image: str
    model: str
    count: int = 1


@dataclass(frozen=True)
class Propose:
    """Find points like those that are clicked in an image, with a model or, where that is None, without."""

    job: str
    project: str
    image: str
    model: str | None = None


@dataclass(frozen=True)
class DeviceInfo:
    """A device of this machine: ``kind`` is cpu, cuda or mps; memory in bytes, or None where it is not known."""

    kind: str
    name: str
    memory_bytes: int | None = None


@dataclass(frozen=True)
class Hello:
    """The child is there: its version of this package and of torch, and the devices, the processor last."""

    version: str
    torch: str
    devices: tuple[DeviceInfo, ...] = ()


_Point: TypeAlias = tuple[int, int, int]
_Metric = Annotated[float, BeforeValidator(lambda value: math.nan if value is None else value)]


@dataclass(frozen=True)
class Advanced:
    """How far a job is, as ``types.Progress``; a metric that is not a finite number arrives as NaN."""

    job: str
    step: int
    total: int
    message: str = ""
    metrics: dict[str, _Metric] = field(default_factory=dict)
    seconds_left: float | None = None


@dataclass(frozen=True)
class Shown:
    """A preview of a slice of an image: 2D int32 in the .npy ``file``, which the reader deletes.

    ``boxes``: half-open corners (low, high), zyx, of the boxes that the model sees around the slice, if it finds any.
    """

    job: str
    slice: SliceIndex
    image: str
    file: str
    boxes: tuple[tuple[_Point, _Point], ...] | None = None


@dataclass(frozen=True)
class Finished:
    """A job has ended well, be it by Stop. What ``result`` holds depends on the request:

    Train: model (id, or None: stopped before it had learned anything), metrics (the last ones), stopped.
    Segment: prediction (id). SegmentFiles: files, and failed as pairs of file and reason.
    Suggest: slices as pairs of axis and index, or ids of boxes.
    Propose: points as z, y, x, their scores, and the radius of a typical cell; no points if it was stopped.
    """

    job: str
    result: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Failed:
    """A job has ended badly.

    Attributes
    ----------
    kind
        Name of a Weak3DError's class: the user can mend it; "memory": it ran out; "killed": by the user; "crashed":
        the process is gone; "unexpected": anything else.
    message
        For the user, in plain words.
    where, value
        As in :class:`~napari_weak3d.errors.Weak3DError`; the value only where JSON can hold it, else its text.
    log_tail
        The last lines of the log, with the traceback, for reports; empty for errors that the user can mend.
    """

    job: str
    kind: str
    message: str
    where: str = ""
    value: Any = None
    log_tail: str = ""


Command: TypeAlias = Stop | Pause | Resume | PreviewSlice | NewSamples
WireCommand: TypeAlias = Stop | Pause | Resume | PreviewSlice
Request: TypeAlias = Train | Segment | SegmentFiles | Suggest | Propose
Report: TypeAlias = Hello | Advanced | Shown | Finished | Failed
Message: TypeAlias = WireCommand | Request | Report

_TYPE = "type"
"""The key that names the message's class."""


def encode(message: Message) -> str:
    """Write a message as one line of ASCII, without its end.

    Numbers that are not finite become null, numpy's numbers plain ones, paths and other objects their text.

    Raises
    ------
    WireError
        The message is not one that may go between processes.
    """
    name = type(message).__name__
    if type(message) is not _classes().get(name):
        raise WireError(f"a {name} cannot be sent to another process", value=name)
    content = {each.name: _plain(getattr(message, each.name)) for each in fields(message)}
    return json.dumps({_TYPE: name, **content}, allow_nan=False)


def decode(line: str) -> Message:
    """Read a message from a line that :func:`encode` wrote.

    Raises
    ------
    WireError
        The line is not JSON, of an unknown type, or a field is missing or wrong.
    """
    try:
        content = json.loads(line)
        adapter = _adapter(content.pop(_TYPE))
        return adapter.validate_json(json.dumps(content), strict=True)
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        why = _first_reason(error) if isinstance(error, ValidationError) else f"{type(error).__name__}: {error}"
        raise WireError(f"not a message: {line[:200]!r} ({why})", value=line) from None


@cache
def _classes() -> Mapping[str, type]:
    return {each.__name__: each for each in get_args(Message)}


@cache
def _adapter(name: str) -> TypeAdapter[Message]:
    return TypeAdapter(_classes()[name])


def _first_reason(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


def _plain(value: Any) -> Any:
    """Turn a value into what JSON can hold."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, DeviceInfo):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if hasattr(value, "tolist"):  # numpy's numbers and arrays
        return _plain(value.tolist())
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)
