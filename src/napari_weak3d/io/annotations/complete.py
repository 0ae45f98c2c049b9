"""Which slices are complete: as text, checked against an image, and compared with what is painted."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_weak3d.errors import AnnotationError
from napari_weak3d.types import AXES, IntLabels, SliceIndex, Slices

_RUN = re.compile(r"(\d{1,18})(?:-(\d{1,18}))?")
"""No axis is longer, and Python refuses to read numbers of thousands of digits."""
_LONGEST_RUN = 10**6
"""Slices: more than any axis has. A mistyped range would fill the memory before it is found to be out of range."""
_MOST_NAMED = 10
"""Slices that a message names."""


class SlicesWarning(UserWarning):
    """Slices said to be complete that hardly are: they have no paint, and others have."""


def parse_annotated(texts: Sequence[str], *, name: str = "annotated slices") -> tuple[SliceIndex, ...]:
    """Read which slices are complete: ``["z:3,10,17", "y:40", "x:5-8"]``, ranges with both ends.

    Parameters
    ----------
    texts
        Axes, each with indices and ranges of them.
    name
        What messages call them.

    Returns
    -------
    (axis, index) of each, sorted, each once. Nothing in, nothing out.

    Raises
    ------
    AnnotationError
        An axis other than z, y and x, no index, an index that is no whole number, or a range that runs backwards or
        over more than a million slices.
    """
    found: set[SliceIndex] = set()
    for text in " ".join(texts).split():
        axis, colon, runs = text.lower().partition(":")
        if axis not in AXES or len(axis) != 1 or not colon:
            raise _bad_annotated(name, text, f"{axis!r} is not an axis, which is z, y or x")
        if not runs:
            raise _bad_annotated(name, text, "there is no slice index after the colon")
        for run in runs.split(","):
            match = _RUN.fullmatch(run)
            if match is None:
                raise _bad_annotated(name, text, f"{run!r} is neither a slice index nor a range of them")
            first, last = int(match[1]), int(match[2] or match[1])
            if last < first:
                raise _bad_annotated(name, text, f"the range {run} runs backwards")
            if last - first >= _LONGEST_RUN:
                raise _bad_annotated(name, text, f"the range {run} has more than {_LONGEST_RUN} slices")
            found |= {(AXES.index(axis), index) for index in range(first, last + 1)}
    return tuple(sorted(found))


def format_annotated(annotated: Sequence[SliceIndex]) -> list[str]:
    """Say which slices are complete as :func:`parse_annotated` reads it, one text per axis."""
    return [
        f"{name}:{','.join(str(index) for a, index in sorted(set(annotated)) if a == axis)}"
        for axis, name in enumerate(AXES)
        if any(a == axis for a, _ in annotated)
    ]


def check_indices(
    annotated: Sequence[SliceIndex], shape: Sequence[int], *, name: str, of: str, where: str = "annotated"
) -> None:
    """Make sure that slices are pairs of an axis and an index, and lie in an image.

    Parameters
    ----------
    annotated
        What should be (axis, index) each, axis 0 z, 1 y, 2 x.
    shape
        (Z, Y, X) of the image.
    name, of, where
        What messages call a slice, and the image; what the mistake is about.

    Raises
    ------
    AnnotationError
        One is none, or out of range.
    """
    for entry in annotated if isinstance(annotated, Sequence) else [annotated]:
        if not _is_slice(entry):
            raise AnnotationError(
                f"{name} {entry!r} is not an axis and an index: give (0, 3) for z:3; axis 0 is z, 1 is y, 2 is x",
                where=where,
                value=entry,
            )
        axis, index = entry
        if not 0 <= index < shape[axis]:
            raise AnnotationError(
                f"{name} {AXES[axis]}:{index} is out of range: {of} has {shape[axis]} slices along {AXES[axis]}, 0 to "
                f"{shape[axis] - 1}",
                where=where,
                value=index,
            )


def _is_slice(entry: object) -> bool:
    if not isinstance(entry, Sequence) or isinstance(entry, str) or len(entry) != 2:
        return False
    return all(isinstance(part, int | np.integer) for part in entry) and 0 <= entry[0] < len(AXES)


def find_slipped(slices: Slices) -> tuple[list[SliceIndex], list[SliceIndex]]:
    """Find complete slices that miss the paint: where someone counts from 1, or mistypes one.

    Returns
    -------
    Complete slices without paint, and slices along the same axis that are painted and not complete. Both empty where
    there is not both, and where slices are painted across another axis, so that every one of these has some paint.
    """
    empty = [(axis, index) for axis, index in slices.annotated if not np.take(slices.labels, index, axis=axis).any()]
    if not empty:
        return [], []
    left = slices.labels > 0
    for axis, index in slices.annotated:
        np.moveaxis(left, axis, 0)[index] = False
    fewest = len(_find_across(left))
    for axis in sorted({axis for axis, _ in empty}):
        painted = _find_along(left, axis)
        n_complete = sum(along == axis for along, _ in slices.annotated)
        if 0 < len(painted) <= max(fewest, n_complete):
            return [(along, index) for along, index in empty if along == axis], painted
    return [], []


def find_painted(labels: IntLabels) -> list[SliceIndex]:
    """Give the slices with paint, across the axis along which they are fewest: the one that was painted across."""
    return _find_across(labels > 0)


def _find_across(painted: NDArray[np.bool_]) -> list[SliceIndex]:
    return min((_find_along(painted, axis) for axis in range(3)), key=len)


def _find_along(painted: NDArray[np.bool_], axis: int) -> list[SliceIndex]:
    across = np.flatnonzero(painted.any(axis=tuple({0, 1, 2} - {axis})))
    return [(axis, int(index)) for index in across]


def name_some(chosen: Sequence[SliceIndex]) -> str:
    """Name the first slices, as :func:`format_annotated` says them."""
    return " ".join(format_annotated(chosen[:_MOST_NAMED])) + (", ..." if len(chosen) > _MOST_NAMED else "")


def _bad_annotated(name: str, text: str, why: str) -> AnnotationError:
    return AnnotationError(f"{name} {text!r}: {why}; write them as z:3,10,17", where="annotated", value=text)
