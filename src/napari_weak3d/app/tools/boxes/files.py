"""Boxes of a session from files and into files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_weak3d.app.tools.boxes.crops import inside_of
from napari_weak3d.app.tools.boxes.session import BoxSession, Patch, count
from napari_weak3d.app.tools.boxes.steps import count_masks
from napari_weak3d.app.tools.boxes.table import boxes_of, clip_corners
from napari_weak3d.io.annotations import (
    count_named_masks,
    find_masks,
    find_repeated,
    masks_path,
    read_boxes,
    write_boxes,
)
from napari_weak3d.types import Boxes, Spacing, Volume


def import_boxes(session: BoxSession, path: Path) -> str:
    """Add the boxes of a CSV file, and masks if there is a label image beside it, in one step.

    Returns
    -------
    What to tell the user.

    Raises
    ------
    Weak3DError
        A file cannot be read, says nonsense, or the masks are not of the image's shape.
    """
    beside = find_masks(path)
    like = Volume(np.broadcast_to(np.zeros((), np.uint8), (1, *session.shape)), name="the image")
    boxes = read_boxes(path, masks=beside, like=like)
    inside = (boxes.corners[:, 1] > 0).all(axis=1) & (boxes.corners[:, 0] < session.shape).all(axis=1)
    clipped = clip_corners(boxes.corners[inside], session.shape)
    table = session.table.with_boxes(clipped, boxes.classes[inside])
    ids = dict(zip((np.flatnonzero(inside) + 1).tolist(), table.ids[len(session.table) :].tolist(), strict=True))
    voxels = _painted(session, boxes, ids)
    done = [ids[row] for row in (np.flatnonzero(boxes.has_mask) + 1).tolist() if row in ids]
    session.step(f"import {count(len(ids))}", table.with_done(done, True), voxels=voxels)
    remarks = {
        "outside of the image left out": int((~inside).sum()),
        "cut at the faces of the image": int((clipped != boxes.corners[inside]).any(axis=(1, 2)).sum()),
        "given twice": len(find_repeated(boxes.corners, boxes.classes)),
    }
    said = [f"{count(n)} {what}." for what, n in remarks.items() if n]
    if beside is None and (n_named := count_named_masks(path)):
        said.append(f"Masks of {count(n_named)} are not there: put {masks_path(path).name} beside it and import again.")
    masks = f", {count_masks(len(done))}" if done else ""
    return " ".join([f"{count(len(ids))}{masks} imported from {path.name}.", *said])


def export_boxes(session: BoxSession, path: Path, *, spacing: Spacing, unit: str) -> str:
    """Write all boxes as a CSV file, and masks that are done as a label image beside it.

    Returns
    -------
    What to tell the user.

    Raises
    ------
    StorageError
        A file cannot be written.
    """
    table = session.table
    boxes = boxes_of(table, session.masks)
    if table.done.any() and boxes.masks is not None:
        kept = np.concatenate([[False], table.done])[boxes.masks]
        boxes = Boxes(boxes.corners, boxes.classes, np.where(kept, boxes.masks, 0).astype(np.int32), boxes.has_mask)
    else:
        boxes = Boxes(boxes.corners, boxes.classes, masks=None, has_mask=boxes.has_mask)
    beside = masks_path(path)
    write_boxes(path, boxes, masks=beside, spacing=spacing, unit=unit)
    also = f", masks in {beside.name}" if boxes.masks is not None else ""
    return f"{count(len(table))} in {path}{also}"


def _painted(session: BoxSession, boxes: Boxes, ids: dict[int, int]) -> Patch | None:
    """Say what paints the masks of boxes that were read, numbered by row, for boxes that get these ids."""
    if boxes.masks is None:
        return None
    where = []
    values = []
    for row, box_id in ids.items():
        corners = clip_corners(boxes.corners[row - 1][None], session.shape)[0]
        inside = inside_of(corners)
        voxels = np.argwhere((boxes.masks[inside] == row) & (session.masks[inside] == 0)) + corners[0]
        where.append(np.ravel_multi_index(tuple(voxels.T), session.shape))
        values.append(np.full(len(voxels), box_id, np.int32))
    return Patch(np.concatenate([*where, []]).astype(np.int64), np.concatenate([*values, []]).astype(np.int32))
