"""3D boxes as CSV, with a label image of masks for a few of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_weak3d.errors import AnnotationError
from napari_weak3d.io.annotations.beside import CLASS, MASK
from napari_weak3d.io.annotations.tables import Table, read_table, write_table
from napari_weak3d.io.labels import read_labels, write_labels
from napari_weak3d.types import AXES, RELATIVE, Boxes, IntLabels, Region, Sample, Spacing, Volume

_CORNERS = ("z0", "y0", "x0", "z1", "y1", "x1")
_LENGTHS = ("depth", "height", "width")
_MOST_OUTSIDE = 0.5
"""Share of a mask that may lie outside its box: with more it is rather the mask of another (ours)."""
_MOST_NAMED = 5
"""Boxes that a message names."""


def read_boxes(
    path: str | os.PathLike[str], *, masks: str | os.PathLike[str] | None = None, like: Volume | None = None
) -> Boxes:
    """Read boxes from a CSV file with a header, and their masks from a label image.

    Parameters
    ----------
    path
        Columns z0, y0, x0, z1, y1, x1: voxels, half-open. Optional: class (>= 1, default 1) and mask_id, the value of
        the box's mask in ``masks`` (0 or nothing: no mask). Without a column mask_id the value is the row number,
        counted from 1, and rows whose number is not painted have no mask. Other columns are passed over.
    masks
        The label image. Without it no box has a mask, whatever mask_id says.
    like
        The image that the masks belong to: the shapes must be equal.

    Returns
    -------
    The boxes in the order of the file. The masks' ids are row numbers from 1, whatever they were in the file.

    Raises
    ------
    AnnotationError
        A column is missing, a cell is no whole number or beyond 2147483647, a box has no extent along an axis, two
        boxes share a mask, a mask_id is not painted, a painted value belongs to no box, more than half of a mask lies
        outside its box, or the masks have another shape than the image.
    VolumeError
        The label image cannot be read.
    """
    table = read_table(Path(path))
    columns = [table.whole_numbers(column) for column in _CORNERS]
    # six columns of N -> (N, 2, 3)
    corners = np.array(columns, dtype=np.int64).T.reshape(-1, 2, 3)
    _check_extent(corners, name=table.name)
    classes = _read_classes(table, len(corners))
    if masks is None:
        return Boxes(corners, classes, masks=None, has_mask=np.zeros(len(corners), dtype=bool))
    painted = read_labels(masks, like=like)
    mask_name = Path(masks).name
    ids = _read_mask_ids(table, painted)
    _check_mask_ids(ids, painted, name=table.name, mask_name=mask_name)
    renumbered = _renumber(painted, ids)
    boxes = Boxes(corners, classes, masks=renumbered, has_mask=ids > 0)
    _check_masks_inside(boxes, name=table.name, mask_name=mask_name)
    return boxes


def write_boxes(
    path: str | os.PathLike[str],
    boxes: Boxes,
    *,
    masks: str | os.PathLike[str] | None = None,
    spacing: Spacing = (1.0, 1.0, 1.0),
    unit: str = RELATIVE,
) -> None:
    """Write boxes as CSV, and their masks as a label image with the row number from 1 as value.

    Parameters
    ----------
    path
        The CSV, written whole or not at all.
    boxes
        The boxes.
    masks
        File of the label image (.tif or .zarr); needed where the boxes have masks.
    spacing, unit
        Of the label image.

    Raises
    ------
    AnnotationError
        The boxes have masks, and no file for them is given.
    StorageError
        A file cannot be written.
    """
    if boxes.masks is not None:
        if masks is None:
            raise AnnotationError(
                f"{Path(path).name}: these boxes have masks, give a file for the label image too", where=str(path)
            )
        write_labels(masks, boxes.masks, spacing=spacing, unit=unit)
    rows = [
        [*(int(c) for c in corner.reshape(6)), int(class_value), i + 1 if masked else 0]
        for i, (corner, class_value, masked) in enumerate(
            zip(boxes.corners, boxes.classes, boxes.has_mask, strict=True)
        )
    ]
    write_table(Path(path), [*_CORNERS, CLASS, MASK], rows=rows)


def check_boxes(boxes: Boxes, volume: Volume) -> None:
    """Make sure that there are boxes, that each lies within the volume, and that the masks have its shape.

    Raises
    ------
    AnnotationError
        There is none, they are no corners, one reaches outside (the first is named), or the masks have another shape.
    """
    if len(boxes.corners) == 0:
        raise AnnotationError(f"there are no boxes for {volume.name}: draw at least one", value=0)
    _check_corners(boxes, name=volume.name)
    outside = (boxes.corners[:, 0] < 0) | (boxes.corners[:, 1] > np.array(volume.shape))
    if outside.any():
        row, axis = (int(i) for i in np.argwhere(outside)[0])
        low, high = (int(c) for c in boxes.corners[row, :, axis])
        raise AnnotationError(
            f"box {row + 1} reaches outside {volume.name}: {AXES[axis]} {low} to {high}, the image has "
            f"{volume.shape[axis]}; remove or redraw it",
            value=(low, high),
        )
    if boxes.masks is not None and boxes.masks.shape != volume.shape:
        raise AnnotationError(
            f"the masks are {boxes.masks.shape}, the image {volume.name} is {volume.shape} (Z, Y, X): they must be "
            f"equal",
            value=boxes.masks.shape,
        )


def _check_corners(boxes: Boxes, *, name: str) -> None:
    n_boxes, shape = len(boxes.corners), getattr(boxes.corners, "shape", "of rows of different lengths")
    if shape[1:] != (2, len(AXES)):
        raise AnnotationError(
            f"the corners of the boxes of {name} have the shape {shape}: give (N, 2, 3), first corner (z, y, x) and "
            "end of each",
            value=shape,
        )
    for what, values in (("classes", boxes.classes), ("has_mask", boxes.has_mask)):
        if len(values) != n_boxes:
            raise AnnotationError(f"{n_boxes} boxes of {name} have {len(values)} {what}: give one each", where=what)


def check_drawn(samples: Sequence[Sample]) -> None:
    """Make sure that there is something to learn from, and that boxes and masks fit each other.

    Raises
    ------
    AnnotationError
        No box in a volume, or none with its middle in the region; one outside of the volume, a flat one, classes below
        1, a mask of no box, or a box whose mask is missing or lies outside of it by more than half.
    """
    for sample in samples:
        boxes, name = sample.annotation, sample.volume.name
        assert isinstance(boxes, Boxes)
        _check_extent(boxes.corners, name=name)
        check_boxes(boxes, sample.volume)
        _check_classes(boxes.classes, name=name)
        _check_region(boxes, sample)
        if boxes.masks is not None:
            _check_ids(boxes, name=name)
            _check_masks_inside(boxes, name=name, mask_name="the masks")
        elif boxes.has_mask.any():
            raise AnnotationError(
                f"box {int(boxes.has_mask.argmax()) + 1} of {name} is said to have a mask, and there are no masks: "
                "give the label image",
                where=name,
            )


def _check_ids(boxes: Boxes, *, name: str) -> None:
    """Each painted id is the number of a box that is said to have a mask."""
    assert boxes.masks is not None
    owners = np.flatnonzero(boxes.has_mask) + 1
    values = np.unique(boxes.masks)
    orphans = values[(values != 0) & ~np.isin(values, owners)]
    if len(orphans):
        raise AnnotationError(
            f"the masks of {name} hold the value {orphans[0]}, which is no box with a mask: boxes are numbered from 1, "
            f"there are {len(boxes.corners)}; add the box, or erase the mask",
            where=name,
            value=int(orphans[0]),
        )


def _check_region(boxes: Boxes, sample: Sample) -> None:
    """Some box lies in the region; those beside it are learned too, and say nothing of what lies around them."""
    if sample.region is None or lie_in_region(boxes.corners, sample.region).any():
        return
    raise AnnotationError(
        f"the middle of no box of {sample.volume.name} lies in the region "
        f"{', '.join(f'{lo}:{hi}' for lo, hi in sample.region)} (z, y, x): enlarge the region, or draw boxes in it",
        where="region",
        value=sample.region,
    )


def lie_in_region(corners: NDArray[np.int64], region: Region) -> NDArray[np.bool_]:
    """(N,) which boxes (N, 2, 3) have their middle in a region."""
    low, high = np.array(region).T
    middles = corners.mean(axis=1)
    return np.asarray(((middles >= low) & (middles < high)).all(axis=1))


def _check_extent(corners: NDArray[np.int64], *, name: str) -> None:
    flat = corners[:, 1] <= corners[:, 0]
    if flat.any():
        row, axis = (int(i) for i in np.argwhere(flat)[0])
        low, high = (int(c) for c in corners[row, :, axis])
        amount = "zero" if low == high else "negative"
        raise AnnotationError(
            f"box {row + 1} in {name} has {amount} {_LENGTHS[axis]} ({AXES[axis]} {low} to {high}): remove or "
            f"redraw it",
            where=name,
            value=(low, high),
        )


def _read_classes(table: Table, n_boxes: int) -> NDArray[np.int64]:
    if CLASS not in table.columns:
        return np.ones(n_boxes, dtype=np.int64)
    classes = np.array(table.whole_numbers(CLASS), dtype=np.int64)
    _check_classes(classes, name=table.name)
    return classes


def _check_classes(classes: NDArray[np.int64], *, name: str) -> None:
    if (classes < 1).any():
        row = int(np.flatnonzero(classes < 1)[0])
        raise AnnotationError(
            f"box {row + 1} in {name} has class {classes[row]}: classes are numbered from 1",
            where=name,
            value=int(classes[row]),
        )


def _read_mask_ids(table: Table, painted: IntLabels) -> NDArray[np.int64]:
    """The painted value of each row's mask, 0 for none."""
    n_boxes = len(table.lines)
    if MASK not in table.columns:
        numbers = np.arange(1, n_boxes + 1)
        return np.where(np.isin(numbers, painted), numbers, 0)
    cells = tuple(cell or "0" for cell in table.columns[MASK])
    filled = Table(table.name, {MASK: cells}, table.lines)
    return np.array(filled.whole_numbers(MASK), dtype=np.int64)


def _check_mask_ids(ids: NDArray[np.int64], painted: IntLabels, *, name: str, mask_name: str) -> None:
    """Each value once, painted, and every painted value taken."""
    values = set(np.unique(painted).tolist()) - {0}
    taken: dict[int, int] = {}
    for row, mask_id in enumerate(ids.tolist(), start=1):
        if mask_id == 0:
            continue
        if mask_id in taken:
            raise AnnotationError(
                f"boxes {taken[mask_id]} and {row} in {name} both have mask_id {mask_id}: each mask has one box",
                where=name,
                value=mask_id,
            )
        if mask_id not in values:
            raise AnnotationError(
                f"box {row} in {name} has mask_id {mask_id}, which {mask_name} does not hold: correct it, or use 0",
                where=name,
                value=mask_id,
            )
        taken[mask_id] = row
    orphans = sorted(values - set(taken))
    if orphans:
        raise AnnotationError(
            f"{mask_name} holds the value {orphans[0]}, which is the mask_id of no box in {name}: add the box, or "
            f"erase the mask",
            where=mask_name,
            value=orphans[0],
        )


def _renumber(painted: IntLabels, ids: NDArray[np.int64]) -> IntLabels:
    """Values of the file -> row numbers from 1. All painted values are in ``ids``."""
    rows = np.flatnonzero(ids > 0)
    if len(rows) == 0:
        return painted
    by_value = rows[np.argsort(ids[rows])]
    # a sorted search, not a table: values may be as large as 2**31
    at = np.searchsorted(ids[by_value], painted)
    numbers = (by_value + 1)[np.minimum(at, len(by_value) - 1)]
    return np.where(painted > 0, numbers, 0).astype(np.int32)


def _check_masks_inside(boxes: Boxes, *, name: str, mask_name: str) -> None:
    """A mask that lies mostly outside its box belongs to another one; a little paint outside is only untidy."""
    for row, share in find_spilled(boxes):
        if share <= _MOST_OUTSIDE:
            continue
        (z0, y0, x0), (z1, y1, x1) = boxes.corners[row].tolist()
        much = "the mask" if share == 1 else f"{_tell_share(share)} of the mask"
        raise AnnotationError(
            f"{much} of box {row + 1} in {name} lies outside of it (z {z0} to {z1}, y {y0} to {y1}, x {x0} to {x1}): "
            f"check its mask_id and {mask_name}",
            where=name,
            value=row + 1,
        )


def find_spilled(boxes: Boxes) -> list[tuple[int, float]]:
    """Find the boxes whose masks reach out of them.

    Parameters
    ----------
    boxes
        With masks whose values are row numbers from 1. Only boxes that are said to have a mask count.

    Returns
    -------
    Row, counted from 0, and the share of the mask's voxels that lie outside, above 0 to 1; 1 too for an empty mask.
    """
    if boxes.masks is None:
        return []
    # plane by plane: bincount makes int64 of what it counts
    sizes = np.zeros(len(boxes.corners) + 1, np.int64)
    for plane in boxes.masks:
        sizes += np.bincount(plane.ravel(), minlength=len(sizes))
    found: list[tuple[int, float]] = []
    for row in np.flatnonzero(boxes.has_mask).tolist():
        (z0, y0, x0), (z1, y1, x1) = np.maximum(boxes.corners[row], 0).tolist()
        n_inside = np.count_nonzero(boxes.masks[z0:z1, y0:y1, x0:x1] == row + 1)
        if n_inside == 0 or n_inside < sizes[row + 1]:
            found.append((row, 1 - n_inside / max(1, int(sizes[row + 1]))))
    return found


def name_spilled(spilled: Sequence[tuple[int, float]]) -> str:
    """Name boxes and the shares of their masks that lie outside, the first few: "2 (12 %), 7 (less than 1 %)"."""
    named = [f"{box} ({_tell_share(share)})" for box, share in spilled[:_MOST_NAMED]]
    return ", ".join([*named, "..."] if len(spilled) > _MOST_NAMED else named)


def _tell_share(share: float) -> str:
    """Say which part of something: "12 %", "less than 1 %"."""
    return f"{share:.0%}".replace("%", " %") if share >= 0.01 else "less than 1 %"
