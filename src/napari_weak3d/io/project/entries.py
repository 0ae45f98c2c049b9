"""What a project knows of its images and models; frozen, and the same in ``project.json``."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypeAlias

from napari_weak3d.types import RELATIVE, Spacing

AxisRole: TypeAlias = Literal["channels", "time"]
"""What an axis before Z, Y and X is."""

_ID = re.compile(r"[0-9a-f]{4,32}")


@dataclass(frozen=True)
class Fingerprint:
    """What an image file is known by again.

    Attributes
    ----------
    size
        Bytes; of an OME-Zarr folder the bytes of its voxels, unpacked.
    mtime_ns
        Time of the last change, nanoseconds since 1970; only a hint, since copying changes it.
    digest
        Hash of the whole of a small file, of blocks spread over a large one.
    """

    size: int
    mtime_ns: int
    digest: str


@dataclass(frozen=True)
class ImageEntry:
    """An image of a project.

    Attributes
    ----------
    id
        Short, random, hexadecimal; identity, which the name never is.
    name
        For people.
    source
        "file": the user's own; "stored": an OME-Zarr inside the project, for images that no file gives.
    path
        Absolute path of a file; of a stored image its path relative to the project, with forward slashes.
    relative_path
        Path of a file relative to the project folder, with forward slashes; None where there is none (another drive).
        The project fills it in.
    origin
        Of a stored image: the file that its layer was read from; None: none.
    sampled
        What the voxels are known by: :func:`~napari_weak3d.io.project.identity.sample_planes`; None: not known.
    time_index, channel_axis
        Which time point, and which axis of the file holds the channels; None: the file's metadata say. Of a stored
        image the time point that it was of what it was taken from.
    channels
        Which channels of the file, in this order; None: all.
    first_axis
        What the axis before Z, Y, X was in the layer that it was annotated in, and how long; None: there was none.
    series
        What the time points of one series have in common, made up as an id is; None: it is of none.
    spacing, unit
        As the user settled it: wins over the file.
    shape
        (Z, Y, X).
    dtype
        Name of numpy's.
    fingerprint
        None for a stored image: nothing but the project writes it.
    """

    id: str
    name: str
    source: Literal["file", "stored"]
    path: str
    shape: tuple[int, int, int]
    dtype: str
    spacing: Spacing = (1.0, 1.0, 1.0)
    unit: str = RELATIVE
    time_index: int | None = None
    channel_axis: int | None = None
    channels: tuple[int, ...] | None = None
    fingerprint: Fingerprint | None = None
    relative_path: str | None = None
    origin: str | None = None
    sampled: str | None = None
    first_axis: tuple[AxisRole, int] | None = None
    series: str | None = None


@dataclass(frozen=True)
class ModelEntry:
    """A model of a project; the last three are read from its folder each time, not kept in ``project.json``.

    Attributes
    ----------
    id, name
        As for an image.
    method
        Name in METHODS.
    images
        Ids of the images that it learned from.
    created
        When, ISO 8601 in UTC.
    held_out
        Its score on slices held out of training, 0 to 1; None where there is none (yet).
    trained
        Whether its folder holds a model that can be used.
    unfinished
        Whether its training can go on where it stopped.
    """

    id: str
    name: str
    method: str
    images: tuple[str, ...] = ()
    created: str = ""
    held_out: float | None = None
    trained: bool = False
    unfinished: bool = False


def new_id() -> str:
    """Make an id: 8 hexadecimal digits, random."""
    return secrets.token_hex(4)


def is_id(text: str) -> bool:
    """Say whether a text can be an id, so that nothing else becomes the name of a folder."""
    return _ID.fullmatch(text) is not None


def now() -> str:
    """Return the time as ISO 8601 in UTC; later times sort behind earlier ones."""
    return datetime.now(UTC).isoformat(timespec="microseconds")
