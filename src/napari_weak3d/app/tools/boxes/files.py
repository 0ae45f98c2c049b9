"""Boxes of a session from files and into files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_weak3d.app.tools.boxes.crops import inside_of
from napari_weak3d.app.tools.boxes.session import BoxSession, Patch, count, join
from napari_weak3d.app.tools.boxes.steps import count_masks
from napari_weak3d.app.tools.boxes.table import BoxTable, Corners, boxes_of, clip_corners
from napari_weak3d.io.annotations import (
    count_named_masks,
    find_masks,
    find_repeated,
    find_spilled,
    masks_path,
    name_spilled,
    read_boxes,
    write_boxes,
)
from napari_weak3d.types import Boxes, Spacing, Volume


def import_boxes(session: BoxSession, path: Path) -> str:
    """Add the boxes of a CSV file, and masks if there is a label image beside it, in one step.

    A box that is there already, with the same corners and class, is not added again; it gets its mask from the file if
    it has none. Masks of which something is taken are done.

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
    clipped = clip_corners(boxes.corners, session.shape)
    ids = np.zeros(len(clipped), np.int64)
    ids[inside] = _find_known(session.table, clipped[inside], boxes.classes[inside])
    new = inside & (ids == 0)
    table = session.table.with_boxes(clipped[new], boxes.classes[new])
    ids[new] = table.ids[len(session.table) :]
    masks = _take_masks(session, boxes, clipped, ids)
    n_new, n_done = int(new.sum()), len(masks.done)
    name = f"import {count(n_new) if n_new or not n_done else count_masks(n_done)}"
    session.step(name, table.with_done(masks.done, True), voxels=masks.patch)
    remarks = {
        "there already, not added again": int((inside & ~new).sum()),
        "outside of the image left out": int((~inside).sum()),
        "cut at the faces of the image": int((clipped != boxes.corners)[new].any(axis=(1, 2)).sum()),
        "given twice": len(find_repeated(boxes.corners, boxes.classes)),
    }
    said = [f"{count(n)} {what}." for what, n in remarks.items() if n] + masks.said
    if beside is None and (n_named := count_named_masks(path)):
        said.append(f"Masks of {count(n_named)} are not there: put {masks_path(path).name} beside it and import again.")
    also = f", {count_masks(n_done)}" if n_done else ""
    return " ".join([f"{count(n_new)}{also} imported from {path.name}.", *said])


def export_boxes(session: BoxSession, path: Path, *, spacing: Spacing, unit: str) -> str:
    """Write all boxes as a CSV file, and masks that are done as a label image beside it.

    The file holds neither the region nor masks that are only begun: what is said names them.

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
    said = [f"{count(len(table))} in {path}{also}"]
    if n_begun := len(session.painted - set(table.ids[table.done].tolist())):
        said.append(f"{n_begun} begun {'mask is' if n_begun == 1 else 'masks are'} left out")
    if table.region is not None:
        region = ",".join(f"{low}:{high}" for low, high in table.region)
        said.append(f"The region is not in the file: note it, {region} (z, y, x)")
    return ". ".join(said)


@dataclass(frozen=True)
class _Masks:
    """What is taken of masks from a file: the boxes whose masks are done by it, their voxels, and what to say."""

    done: list[int]
    patch: Patch
    said: list[str]


def _take_masks(session: BoxSession, boxes: Boxes, corners: Corners, ids: NDArray[np.int64]) -> _Masks:
    """Take the masks of boxes that were read for the boxes of a session.

    A mask that somebody has begun or done stays as it is, and so do the masks of other boxes where they overlap.

    Parameters
    ----------
    boxes
        As they were read.
    corners
        (N, 2, 3) cut to the image.
    ids
        (N,) the id of each box in the session, of those to come too; 0: left out.
    """
    done: list[int] = []
    patches: list[Patch] = []
    n_kept = n_covered = n_hidden = 0
    for row in np.flatnonzero(boxes.has_mask & (ids > 0)).tolist():
        assert boxes.masks is not None
        box_id, where = int(ids[row]), inside_of(corners[row])
        mask, here = boxes.masks[where] == row + 1, session.masks[where]
        if box_id in session.painted:
            n_kept += not np.array_equal(mask, here == box_id)
            continue
        voxels = np.argwhere(mask & (here == 0))
        if len(voxels) == 0:
            n_covered += 1
            continue
        n_hidden += int(np.count_nonzero(mask)) - len(voxels)
        flat = np.ravel_multi_index(tuple((voxels + corners[row, 0]).T), session.shape)
        patches.append(Patch(flat.astype(np.int64), np.full(len(flat), box_id, np.int32)))
        done.append(box_id)
    said = []
    if n_kept:
        said.append(f"{count_masks(n_kept)} painted here already and kept.")
    if n_covered:
        said.append(f"{count_masks(n_covered)} left out: other masks fill the place.")
    if n_hidden:
        said.append(f"{_count_voxels(n_hidden)} of masks left out: other masks are there.")
    if spilled := [(int(ids[row]), share) for row, share in find_spilled(boxes) if ids[row] in done]:
        said.append(f"Masks cut where they reach out of their boxes: {name_spilled(spilled)}.")
    return _Masks(done, join(patches), said)


def _find_known(table: BoxTable, corners: Corners, classes: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) ids of the boxes of a table that are the same as these, each found once; 0: there is none."""
    there: dict[tuple[int, ...], list[int]] = {}
    for box_id, box, value in zip(table.ids.tolist(), table.corners, table.classes.tolist(), strict=True):
        there.setdefault((value, *box.ravel().tolist()), []).append(box_id)
    keys = [(value, *box.ravel().tolist()) for box, value in zip(corners, classes.tolist(), strict=True)]
    return np.array([there[key].pop(0) if there.get(key) else 0 for key in keys], np.int64)


def _count_voxels(n: int) -> str:
    """Say how many voxels: "1 voxel", "3 voxels"."""
    return f"{n} {'voxel' if n == 1 else 'voxels'}"
