"""What the tool's steps do to paint: functions from labels and state to the voxels that change and the new state."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_weak3d.app.tools.paint_state import FIRST_CLASSES, Paint, PaintState
from napari_weak3d.app.tools.planes import (
    attribute,
    paint_of,
    plane_index,
    plane_of,
    rename,
    values_in,
    values_in_volume,
    voxels_in,
)
from napari_weak3d.errors import AnnotationError
from napari_weak3d.types import IntLabels, SliceIndex, Slices

Edit: TypeAlias = tuple[tuple[NDArray[np.intp], ...], NDArray[np.int32] | int]
"""Indices (z, y, x) of voxels, and what they become."""


def state_of(slices: Slices) -> PaintState:
    """Tell what stored paint means; painted values without a row get one."""
    if slices.paint == "objects":
        return PaintState("objects", tuple(sorted(slices.annotated)), classes=slices.classes or FIRST_CLASSES)
    state = PaintState("classes", tuple(sorted(slices.annotated)), classes=slices.classes or FIRST_CLASSES)
    return state.with_values(values_in_volume(slices.labels))


def use_labels(
    labels: IntLabels, other: NDArray[Any], *, paint: Paint, shift: int, state: PaintState
) -> tuple[Edit, PaintState]:
    """Replace all paint by the user's own labels; the marks go too, for they were about the paint that goes.

    Parameters
    ----------
    other
        (Z, Y, X) of the labels' shape; 0 and below is unpainted.
    paint
        What its values are.
    shift
        Added to each value: 1 makes room for the background, whose value is 1 in paint, where it is 0 in ``other``.
    """
    new = np.maximum(np.asarray(other), 0).astype(np.int32)
    new[new > 0] += shift
    first = state.row(FIRST_CLASSES[0].value)
    classes = state.classes if first is not None and first.background else FIRST_CLASSES
    after = PaintState(paint, classes=classes).with_painted(attribute(new))
    changed = new != labels
    edit = _where(changed), new[changed]
    return edit, after.with_values(values_in_volume(new)) if paint == "classes" else after


def clear_slice(labels: IntLabels, which: SliceIndex, *, complete: Collection[SliceIndex]) -> Edit:
    """Take the paint off a slice, but not where complete slices cross it: without it that would be background there."""
    return voxels_in(which, paint_of(labels, which, complete=complete)), 0


def clear_value(labels: IntLabels, value: int) -> Edit:
    """Take the paint of one value off the volume."""
    return _where(labels == value), 0


def copy_preview(
    labels: IntLabels, preview: IntLabels, *, which: SliceIndex, state: PaintState
) -> tuple[Edit, PaintState]:
    """Put a slice's preview into its unpainted voxels, but not the background: that would hide what is to be corrected.

    Parameters
    ----------
    preview
        (rows, columns): class values; where objects are painted, ids of its own, each of which becomes a new object, or
        part of the painted one that it covers most.
    """
    if state.paint == "objects":
        preview = rename(preview, plane_of(labels, which), first_id=_free_id(labels))
    return _fill(labels, preview, which=which, state=state)


def copy_result(
    labels: IntLabels, other: NDArray[Any], *, which: SliceIndex, state: PaintState
) -> tuple[Edit, PaintState]:
    """Put a slice of a result, (Z, Y, X) ids of objects, into its unpainted voxels.

    Objects get the ids of the painted ones that they overlap most, in all slices; as classes, they become the only one.

    Raises
    ------
    AnnotationError
        There are several classes, and it cannot be told which of them the objects are.
    """
    if state.paint == "objects":
        new = _with_painted_ids(labels, other, which=which, painted=state.tracked)
    else:
        new = _as_classes(np.maximum(np.asarray(plane_of(other, which)), 0), None, state=state)
    return _fill(labels, new, which=which, state=state)


def take_over(
    labels: IntLabels,
    other: NDArray[Any],
    *,
    which: SliceIndex,
    state: PaintState,
    painted: Collection[SliceIndex],
    values: Paint,
    classes: NDArray[Any] | None = None,
) -> tuple[Edit, PaintState]:
    """Replace a slice's paint by another volume's labels.

    Where objects are painted, ids become those of the painted objects that they overlap most in ``painted`` and this
    slice, else new ones.

    Parameters
    ----------
    other
        (Z, Y, X) of the labels' shape.
    values
        What its values are: class values, or ids of objects.
    classes
        (Z, Y, X) class values, where classes are painted and ``other`` holds ids: each object becomes the class that
        most of it is. Not needed while only one class is not background.

    Raises
    ------
    AnnotationError
        It cannot be told which classes its values are.
    """
    plane = np.maximum(np.asarray(plane_of(other, which)), 0)
    if state.paint == "objects":
        new = _with_painted_ids(labels, other, which=which, painted=painted)
    elif values == "classes" and not _unknown(plane, state):
        new = plane.astype(np.int32)
    else:
        new = _as_classes(plane, None if classes is None else plane_of(classes, which), state=state)
    mask = new != plane_of(labels, which)
    return (voxels_in(which, mask), new[mask]), state.with_painted([which])


def to_objects(labels: IntLabels, state: PaintState) -> tuple[Edit, PaintState]:
    """Take each value for an object; paint of the background goes, for objects have none."""
    background = [row.value for row in state.classes if row.background]
    return (_where(np.isin(labels, background) & (labels != 0)), 0), replace(state, paint="objects")


def to_classes(labels: IntLabels, state: PaintState) -> tuple[Edit, PaintState]:
    """Make all objects the first class that is not background."""
    value = _first_class(state)
    return (_where((labels != 0) & (labels != value)), value), replace(state, paint="classes").with_values([value])


def brush_for(labels: IntLabels, state: PaintState, *, paint: Paint) -> int:
    """Choose what is painted with after a switch: an id that no object will have, or the first class of objects."""
    if paint == "classes":
        return _first_class(state)
    background = {row.value for row in state.classes if row.background and state.paint == "classes"}
    return max({*values_in_volume(labels)} - background, default=0) + 1


def _first_class(state: PaintState) -> int:
    return next((row.value for row in state.classes if not row.background and row.value), FIRST_CLASSES[1].value)


def _fill(labels: IntLabels, new: NDArray[Any], *, which: SliceIndex, state: PaintState) -> tuple[Edit, PaintState]:
    """Put values, (rows, columns), into the unpainted voxels of a slice."""
    is_classes = state.paint == "classes"
    nothing = [0, *(row.value for row in state.classes if row.background and is_classes)]
    mask = (plane_of(labels, which) == 0) & ~np.isin(new, nothing)
    values = new[mask].astype(np.int32)
    state = state.with_painted([which])
    return (voxels_in(which, mask), values), state.with_values(values_in(values)) if is_classes else state


def _with_painted_ids(
    labels: IntLabels, other: NDArray[Any], *, which: SliceIndex, painted: Collection[SliceIndex]
) -> IntLabels:
    """Name the ids of a slice after the paint that they overlap, in this slice and in all painted ones."""
    plane = np.maximum(np.asarray(plane_of(other, which)), 0)
    ids = values_in(plane)
    theirs, ours = [plane.ravel()], [plane_of(labels, which).ravel()]
    for each in painted:
        index = plane_index(each)
        here = (labels[index] > 0) & np.isin(other[index], ids)
        theirs.append(np.asarray(other[index])[here])
        ours.append(labels[index][here])
    named = rename(np.concatenate(theirs), np.concatenate(ours), first_id=_free_id(labels))
    return named[: plane.size].reshape(plane.shape)


def _unknown(plane: NDArray[Any], state: PaintState) -> list[int]:
    """The values that are no classes."""
    return sorted(set(values_in(plane)) - {0} - {row.value for row in state.classes})


def _as_classes(plane: NDArray[Any], classes: NDArray[Any] | None, *, state: PaintState) -> IntLabels:
    """Give each object of a slice its class: what most of it is in ``classes``, else the first."""
    foreground = [row.value for row in state.classes if row.value and not row.background]
    if classes is None and len(foreground) != 1:
        shown = ", ".join(map(str, (_unknown(plane, state) or values_in(plane))[:5]))
        raise AnnotationError(
            f"the layer holds the values {shown}, and it cannot be told which classes they are: take over from a layer "
            "of classes",
            where="classes",
            value=shown,
        )
    known = np.zeros(plane.shape, np.int32) if classes is None else np.where(np.isin(classes, foreground), classes, 0)
    first_new = max(foreground, default=0) + 1
    named = rename(plane, known, first_id=first_new)
    return np.where(named >= first_new, foreground[0] if foreground else 0, named).astype(np.int32)


def _free_id(labels: IntLabels) -> int:
    return int(labels.max(initial=0)) + 1


def _where(mask: NDArray[np.bool_]) -> tuple[NDArray[np.intp], ...]:
    return tuple(np.nonzero(mask))
