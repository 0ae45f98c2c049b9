"""What painted objects say when their own volume is segmented: whole planes, other marks, and their ids."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_weak3d.methods.slices.targets import complete_planes
from napari_weak3d.types import IntLabels, Slices

UNKNOWN = -1


@dataclass(frozen=True, eq=False)
class ObjectPaint:
    """Painted objects, numbered 1 to P: ids of any size would make tables of that size.

    Attributes
    ----------
    planes
        Complete planes of the stack: (Y, X) int32 numbers, 0 background.
    marks
        (Z, Y, X) int32, the stack axis first, or None where there is none: paint beside these planes, and complete
        slices across them; 0 background, ``UNKNOWN`` elsewhere.
    ids
        (P,) int32, ascending: number n stands for ``ids[n - 1]``.
    """

    planes: dict[int, IntLabels]
    marks: IntLabels | None
    ids: IntLabels


def read_object_paint(slices: Slices, *, stack_axis: int) -> ObjectPaint:
    """Sort painted objects into whole planes along the stack and marks."""
    stack = np.moveaxis(slices.labels, stack_axis, 0)
    painted = [index for index in range(len(stack)) if stack[index].any()]
    ids = np.unique(np.concatenate([np.zeros(1, np.int32), *(np.unique(stack[plane]) for plane in painted)]))[1:]
    whole = complete_planes(slices, stack_axis)
    planes = {plane: _number(np.asarray(stack[plane]), ids) for plane in whole}
    across = [(axis, index) for axis, index in slices.annotated if axis != stack_axis]
    loose = [plane for plane in painted if plane not in planes]
    if not across and not loose:
        return ObjectPaint(planes, None, ids)
    marks = np.full(stack.shape, UNKNOWN, np.int32)
    for plane in loose:
        numbers = _number(stack[plane], ids)
        marks[plane] = np.where(numbers > 0, numbers, UNKNOWN)
    for axis, index in across:
        in_order = np.moveaxis(marks, 0, stack_axis)
        np.moveaxis(in_order, axis, 0)[index] = _number(np.moveaxis(slices.labels, axis, 0)[index], ids)
    for plane in whole:  # said by the planes already
        marks[plane] = UNKNOWN
    return ObjectPaint(planes, marks, ids)


def is_all_whole(slices: Slices, *, stack_axis: int) -> bool:
    """Whether all paint lies on complete planes of the stack, and no slice across them is complete."""
    whole = complete_planes(slices, stack_axis)
    stack = np.moveaxis(slices.labels, stack_axis, 0)
    loose = any(stack[plane].any() for plane in range(len(stack)) if plane not in whole)
    return not loose and all(axis == stack_axis for axis, _ in slices.annotated)


def name_objects(ids: IntLabels, *, count: int) -> IntLabels:
    """Give the id of each of ``count`` objects: painted ones first, new ones from the highest painted id on.

    Where these would not fit into int32, new ones get the lowest free ids.

    Returns
    -------
    (count + 1,) int32: the id of each number; 0 stays 0.
    """
    n_new = max(0, count - len(ids))
    highest = int(ids[-1]) if len(ids) else 0
    if highest + n_new <= np.iinfo(np.int32).max:
        new = np.arange(highest + 1, highest + 1 + n_new)
    else:
        new = np.setdiff1d(np.arange(1, len(ids) + n_new + 1), ids)[:n_new]
    return np.concatenate([[0], ids, new]).astype(np.int32)


def _number(plane: IntLabels, ids: IntLabels) -> IntLabels:
    """Numbers 1 to P of ids; 0 for 0."""
    return np.where(plane > 0, np.searchsorted(ids, plane) + 1, 0).astype(np.int32)
