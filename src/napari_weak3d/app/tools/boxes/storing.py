"""Boxes between the project and the table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_weak3d.app.tools.boxes.table import FIRST_CLASS, BoxTable, empty_table
from napari_weak3d.errors import AnnotationError
from napari_weak3d.io.project import BoxEntry, BoxesState
from napari_weak3d.types import Boxes, IntLabels


def entries_of(table: BoxTable) -> tuple[BoxEntry, ...]:
    """Write boxes as the project keeps them."""
    return tuple(
        BoxEntry(box_id, ((z0, y0, x0), (z1, y1, x1)), class_value, done)
        for box_id, ((z0, y0, x0), (z1, y1, x1)), class_value, done in zip(
            table.ids.tolist(), table.corners.tolist(), table.classes.tolist(), table.done.tolist(), strict=True
        )
    )


def table_of(state: BoxesState) -> BoxTable:
    """Read boxes that the project has kept."""
    entries = state.boxes
    ids = [entry.id for entry in entries]
    table = BoxTable(
        ids=np.array(ids, np.int64),
        corners=np.array([entry.corners for entry in entries], np.int64).reshape(-1, 2, 3),
        classes=np.array([entry.class_value for entry in entries], np.int64),
        done=np.array([entry.done for entry in entries], bool),
        rows=state.classes or (FIRST_CLASS,),
        region=state.region,
        next_id=max([state.next_id, *(each + 1 for each in ids)]),
    )
    return table.with_values(table.classes.tolist())


def begin_with(
    boxes: Boxes | None, state: BoxesState | None, *, shape: Sequence[int], name: str
) -> tuple[BoxTable, IntLabels]:
    """Make table and masks (Z, Y, X) of box ids out of what the project has kept, or what was read from elsewhere.

    Parameters
    ----------
    boxes
        Whose masks are numbered by row; None: no masks.
    state
        The boxes with their ids; None: those of ``boxes`` are numbered from 1.
    shape, name
        Of the image.

    Raises
    ------
    AnnotationError
        The masks have another shape than the image.
    """
    masks = np.zeros(tuple(shape), np.int32)
    if boxes is not None and boxes.masks is not None and boxes.masks.shape != masks.shape:
        theirs, ours = (" x ".join(map(str, each)) for each in (boxes.masks.shape, shape))
        raise AnnotationError(
            f"the masks of the boxes have shape {theirs}, image {name!r} has {ours} (z, y, x)", where=name
        )
    if state is not None:
        table = table_of(state)
    elif boxes is not None:
        table = empty_table().with_boxes(boxes.corners, boxes.classes)
        table = table.with_done(table.ids[boxes.has_mask].tolist(), True)
    else:
        table = empty_table()
    if boxes is not None and boxes.masks is not None:
        masks[...] = np.concatenate([[0], table.ids]).astype(np.int32)[boxes.masks]
    return table, masks
