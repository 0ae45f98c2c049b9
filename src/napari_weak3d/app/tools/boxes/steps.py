"""Steps on boxes: each can be undone. Functions on a session; they know no layer and no panel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_weak3d.app.tools.boxes.crossing import crosses
from napari_weak3d.app.tools.boxes.depth import give_depth, learned_depth, set_end, set_start
from napari_weak3d.app.tools.boxes.session import BoxSession, count, join
from napari_weak3d.app.tools.boxes.table import BoxTable, Corners, push_inside
from napari_weak3d.types import Region, SliceIndex, Spacing

_SAME = 0.5
"""IoU from which two boxes are of the same object."""


def draw(session: BoxSession, flat: Corners, *, which: SliceIndex, value: int, spacing: Spacing) -> list[int]:
    """Make boxes of rectangles (N, 2, 3) that were drawn in a slice, as deep as earlier ones; gives their ids."""
    table = session.table
    depth = learned_depth(table.corners, table.classes, value=value, axis=which[0], spacing=spacing)
    boxes = [give_depth(each, which, depth=depth, spacing=spacing, shape=session.shape) for each in flat]
    return session.add(np.array(boxes), [value] * len(boxes), name=f"draw {count(len(boxes))}")


def reshape_flat(session: BoxSession, ids: Sequence[int], flat: Corners, *, axis: int) -> None:
    """Move or resize boxes in the plane across an axis; along it they stay."""
    corners = np.asarray(flat).copy()
    corners[:, :, axis] = _corners(session, ids)[:, :, axis]
    session.reshape(ids, corners, name=f"move {count(len(ids))}")


def start_on(session: BoxSession, ids: Sequence[int], which: SliceIndex) -> None:
    """Let boxes start on a slice."""
    _move_face(session, ids, which, set_start, verb="start")


def end_on(session: BoxSession, ids: Sequence[int], which: SliceIndex) -> None:
    """Let boxes end on a slice, which is their last."""
    _move_face(session, ids, which, set_end, verb="end")


def set_face(session: BoxSession, box_id: int, *, axis: int, end: int, value: int) -> None:
    """Set the first voxel (``end`` 0) or the last one (1) of a box along an axis."""
    (start_on, end_on)[end](session, [box_id], (axis, value))


def paste(session: BoxSession, corners: Corners, classes: Sequence[int], *, which: SliceIndex) -> list[int]:
    """Add copies of boxes (N, 2, 3), with the slice in their middle; where they lie on others, a little beside."""
    axis, index = which
    copies = corners.copy()
    middles = (corners[:, 0, axis] + corners[:, 1, axis] - 1) // 2
    copies[:, :, axis] += (index - middles)[:, None]
    copies = push_inside(copies, session.shape)
    taken = {tuple(each.ravel()) for each in session.table.corners}
    across = [each for each in range(3) if each != axis]
    while any(tuple(each.ravel()) in taken for each in copies):
        sizes = copies[:, 1] - copies[:, 0]
        shifted = copies.copy()
        shifted[:, :, across] += np.maximum(1, sizes[:, across] // 4)[:, None]
        shifted = push_inside(shifted, session.shape)
        if np.array_equal(shifted, copies):
            break  # the corner of the volume
        copies = shifted
    return session.add(copies, classes, name=f"paste {count(len(copies))}")


def snap(session: BoxSession, ids: Sequence[int], *, read: Callable[[tuple[slice, ...]], NDArray[Any]]) -> list[int]:
    """Fit boxes to what stands out in the image; gives the ids of those where nothing does."""
    from napari_weak3d.app.tools.boxes.snapping import snap_box  # noqa: PLC0415  # scipy, which the dock opens without

    found = {
        each: snap_box(box, session.shape, read=read) for each, box in zip(ids, _corners(session, ids), strict=True)
    }
    fitted = {each: box for each, box in found.items() if box is not None}
    if fitted:
        session.reshape(list(fitted), np.array(list(fitted.values())), name=f"snap {count(len(fitted))}")
    return [each for each in ids if each not in fitted]


# ---- classes and region


def give_class(session: BoxSession, ids: Sequence[int], *, value: int) -> None:
    """Make boxes members of a class."""
    session.step(f"class {value} for {count(len(ids))}", session.table.with_class(ids, value))


def add_class(session: BoxSession) -> int:
    """Add a class; gives its value."""
    known = {row.value for row in session.table.rows}
    session.step("add class", session.table.with_new_class())
    return next(row.value for row in session.table.rows if row.value not in known)


def rename_class(session: BoxSession, value: int, *, name: str) -> None:
    """Name a class."""
    row = session.table.row(value)
    if row is not None:
        session.step(f"rename class {value}", session.table.with_row(replace(row, name=name)))


def recolour_class(session: BoxSession, value: int, *, color: str) -> None:
    """Give a class another colour, "#rrggbb"."""
    row = session.table.row(value)
    if row is not None:
        session.step(f"recolour class {value}", session.table.with_row(replace(row, color=color)))


def remove_class(session: BoxSession, value: int) -> None:
    """Remove a class with its boxes and their masks; the last class stays."""
    gone = session.table.ids[session.table.classes == value].tolist()
    if len(session.table.rows) > 1:
        session.step(f"remove class {value}", session.table.without_class(value), voxels=session.clearing(gone))


def set_region(session: BoxSession, box_id: int) -> None:
    """Make a box the region in which every object has a box."""
    box = session.table.corners_of(box_id)
    assert box is not None
    (z0, y0, x0), (z1, y1, x1) = box.tolist()
    region: Region = ((z0, z1), (y0, y1), (x0, x1))
    table = session.table.without([box_id]).with_region(region)
    session.step("set region", table, voxels=session.clearing([box_id]))


def clear_region(session: BoxSession) -> None:
    """Let every object of the image have a box."""
    session.step("no region", session.table.with_region(None))


# ---- masks


def finish(session: BoxSession, ids: Sequence[int]) -> None:
    """Mark masks as done."""
    session.step(f"done: {count_masks(len(ids))}", session.table.with_done(ids, True))


def next_without_mask(
    table: BoxTable, slices: Sequence[SliceIndex], *, ids: Sequence[int] = (), after: int
) -> int | None:
    """Choose the next box to mask.

    The first of ``ids`` without a mask; else the largest without one in the first of ``slices`` that has any; else the
    next one.

    Parameters
    ----------
    slices, ids
        Suggested slices and boxes, best first.
    after
        Id of the box after which to look in the list; at its end from the beginning.
    """
    rows = np.flatnonzero(~table.done)
    bare = table.ids[rows].tolist()
    for box_id in ids:
        if box_id in bare:
            return box_id
    for which in slices:
        here = rows[crosses(table.corners[rows], which)]
        if len(here):
            sizes = (table.corners[here, 1] - table.corners[here, 0]).prod(axis=1)
            return int(table.ids[here[sizes.argmax()]])
    return next((each for each in bare if each > after), bare[0] if bare else None)


def take_masks(session: BoxSession, labels: NDArray[Any], ids: Sequence[int]) -> int:
    """Take masks of boxes from labels (Z, Y, X), and mark them as done; gives how many were found.

    Masks that are done already stay. What a begun mask holds of the object already is as good as taken.
    """
    from napari_weak3d.app.tools.boxes.masks import masks_from  # noqa: PLC0415  # scipy

    table = session.table
    wanted = [each for each in ids if not table.done[table.find([each])[0]]]
    found = masks_from(labels, _corners(session, wanted))
    masks = {each: mask for each, mask in zip(wanted, found, strict=True) if mask is not None}
    patches = [session.painting(each, mask) for each, mask in masks.items()]
    kept = [
        each
        for (each, mask), patch in zip(masks.items(), patches, strict=True)
        if len(patch.where) or (mask & session.mask_of(each)).any()
    ]
    session.step(f"take {count_masks(len(kept))}", table.with_done(kept, True), voxels=join(patches))
    return len(kept)


def take_boxes(session: BoxSession, labels: NDArray[Any], *, value: int, which: SliceIndex | None = None) -> list[int]:
    """Draw the box of each object of labels (Z, Y, X) that has none yet; gives their ids.

    With ``which`` only of the objects that this slice shows.
    """
    from napari_weak3d.app.tools.boxes.masks import boxes_from  # noqa: PLC0415  # scipy

    if which is not None:
        labels = np.where(np.isin(labels, np.unique(labels.take(which[1], axis=which[0]))), labels, 0)
    found = boxes_from(labels)
    new = found[~_are_known(found, session.table.corners)]
    return session.add(new, [value] * len(new), name=f"take {count(len(new))}")


def _are_known(boxes: Corners, others: Corners) -> NDArray[np.bool_]:
    """Which boxes (N, 2, 3) are those of the same objects as others (M, 2, 3)."""
    known = np.zeros(len(boxes), bool)
    for number, box in enumerate(boxes):
        common = np.maximum(0, np.minimum(box[1], others[:, 1]) - np.maximum(box[0], others[:, 0])).prod(axis=1)
        union = np.prod(box[1] - box[0]) + (others[:, 1] - others[:, 0]).prod(axis=1) - common
        known[number] = bool((common > _SAME * union).any())
    return known


def _move_face(
    session: BoxSession,
    ids: Sequence[int],
    which: SliceIndex,
    move: Callable[[Corners, SliceIndex], Corners],
    *,
    verb: str,
) -> None:
    corners = np.array([move(box, which) for box in _corners(session, ids)])
    session.reshape(ids, corners, name=f"{verb} {count(len(ids))}")


def _corners(session: BoxSession, ids: Sequence[int]) -> Corners:
    """(M, 2, 3) in the order of ``ids``."""
    table = session.table
    return np.array([table.corners_of(each) for each in ids], np.int64).reshape(-1, 2, 3)


def count_masks(n: int) -> str:
    """Say how many masks: "1 mask", "3 masks"."""
    return f"{n} {'mask' if n == 1 else 'masks'}"
