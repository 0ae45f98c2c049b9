"""Masks of objects of which only boxes are known, out of what the network has learned so far.

Few masks show few looks of objects. What the network says of the others is a guess, but boxes say how far each reaches,
and given masks how fat guesses are, and whether they are any good: where cells fill a tissue, what reaches through a
box is not one of them.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_weak3d.methods.boxes.components import Rule, grow_components
from napari_weak3d.methods.boxes.volumes import Annotated
from napari_weak3d.types import IntLabels

Slices: TypeAlias = tuple[slice, slice, slice]
Filling: TypeAlias = tuple[float, ...]
"""IoU of an object with the foreground around its box, at each of ``FOREGROUND``."""

FOREGROUND = (0.33, 0.5, 0.67, 0.8, 0.89, 0.94, 0.97, 0.985, 0.992)
"""Thresholds of the foreground in question, each of twice the odds: the loss weighs rare voxels up, so that maps are
fat (ours)."""
_USUAL = 0.5
_INSIDE = (0.3, 0.5, 0.7, 0.9)
"""Thresholds of the inside in question, object by object (ours)."""
_LEAST_IOU = 0.6
"""Of a box with the box around what was found in it: less is not believed (ours)."""
_LEAST_GAIN = 0.3
"""How much of what full boxes lack to given masks must be gained by what is found in the boxes, to believe what is
found in others (measured: 0.4 to 0.5 of long objects that lie apart; 0.1 of packed cells, which completing harms)."""
_MOST_CHECKED = 24
"""Objects that this is told by, at most: each is flooded a few times (ours)."""
_MARGIN = 0.25
"""Of its sides, by which a box is grown to compare its object with the foreground (ours)."""


@dataclass(frozen=True, eq=False)
class Shown:
    """A part of a volume as the network sees it.

    Attributes
    ----------
    annotated
        The volume.
    low
        Voxel (z, y, x) of it at which the part begins.
    maps
        (2, Z, Y, X) probability of inside and of foreground in the part.
    """

    annotated: Annotated
    low: tuple[int, int, int]
    maps: NDArray[np.float32]

    @property
    def masks(self) -> IntLabels:
        """(Z, Y, X) the ids of given masks in the part."""
        z, y, x = (slice(low, low + size) for low, size in zip(self.low, self.maps.shape[1:], strict=True))
        return self.annotated.masks[z, y, x]

    def holds(self, row: int) -> bool:
        """Whether the part shows all of a box."""
        low, high = self.annotated.boxes[row] - self.low
        return bool((low >= 0).all() and (high <= self.maps.shape[1:]).all())

    def cut(self, row: int, *, margin: float = 0.0) -> Slices:
        """Give the voxels of the part that a box, grown by a share of its sides, lies in."""
        box = self.annotated.boxes[row] - self.low
        more = margin * (box[1] - box[0])
        low = np.floor(box[0] - more).astype(int).clip(0)
        high = np.maximum(np.ceil(box[1] + more).astype(int), low)
        z, y, x = (slice(start, stop) for start, stop in zip(low.tolist(), high.tolist(), strict=True))
        return z, y, x


def measure_filling(shown: Shown) -> list[Filling]:
    """Compare each object whose mask was given with the foreground, where it is known what is foreground."""
    masks, foreground, has_mask = shown.masks, shown.maps[1], shown.annotated.has_mask
    open_boxes = np.zeros(masks.shape, np.bool_)
    for row in np.flatnonzero(~has_mask).tolist():
        open_boxes[shown.cut(row)] = True
    filling = []
    for row in filter(shown.holds, np.flatnonzero(has_mask).tolist()):
        where = shown.cut(row, margin=_MARGIN)
        own = masks[where] == row + 1
        beside = ~own & ~open_boxes[where] & (masks[where] == 0)
        found = [foreground[where] > threshold for threshold in FOREGROUND]
        filling.append(tuple(float((own & each).sum() / (own.sum() + (beside & each).sum())) for each in found))
    return filling


def choose_foreground(filling: Sequence[Filling]) -> float:
    """Choose the threshold at which objects are filled best on the mean; the usual one where none was measured."""
    return FOREGROUND[int(np.mean(filling, axis=0).argmax())] if filling else _USUAL


def are_trusted(shown: Sequence[Shown], *, foreground: float) -> bool:
    """Tell whether what is found in boxes is good enough to learn from: where masks are given, they say so.

    Full boxes are what a network finds that calls everything an object. How good these already are hangs on the shape
    of objects; what is found has to be clearly better.
    """
    given = [
        (each, row) for each in shown for row in np.flatnonzero(each.annotated.has_mask).tolist() if each.holds(row)
    ]
    checked = given[:: max(1, -(-len(given) // _MOST_CHECKED))]
    if not checked:
        return False
    found, full = np.mean([_check_object(each, row, foreground=foreground) for each, row in checked], axis=0)
    return bool(found - full >= _LEAST_GAIN * (1 - full) and found > full)


def _check_object(shown: Shown, row: int, *, foreground: float) -> tuple[float, float]:
    """IoU of a given mask with what would be found in its box without it, and with the full box."""
    where = shown.cut(row)
    masks = shown.masks[where]
    own = masks == row + 1
    found = _find_object(np.where((masks > 0) & ~own, 0, shown.maps[(slice(None), *where)]), foreground=foreground)
    return 0.0 if found is None else float((found & own).sum() / (found | own).sum()), float(own.mean())


def complete_masks(shown: Shown, *, foreground: float) -> Generator[None, None, Annotated]:
    """Give boxes without a mask the object that is found in them.

    That is the component of the inside, grown to the foreground within the box, which reaches through most of it;
    where none reaches through enough, there is no mask. Given masks stay; of two found objects that overlap, the voxels
    belong to the one in the smaller box.

    Parameters
    ----------
    foreground
        The threshold, as :func:`choose_foreground` gives it.

    Yields
    ------
    After each box.

    References
    ----------
    That networks which learn from their own answers in boxes become better: Khoreva et al. 2017 (Simple Does It).
    """
    annotated = shown.annotated
    masks = annotated.masks.copy()
    given = shown.masks > 0
    z, y, x = (slice(low, low + size) for low, size in zip(shown.low, given.shape, strict=True))
    into = masks[z, y, x]
    sizes = (annotated.boxes[:, 1] - annotated.boxes[:, 0]).prod(axis=1)
    told = [row for row in np.argsort(-sizes).tolist() if shown.holds(row) and not annotated.has_mask[row]]
    for row in told:
        where = shown.cut(row)
        found = _find_object(np.where(given[where], 0, shown.maps[(slice(None), *where)]), foreground=foreground)
        if found is not None:
            into[where][found] = row + 1
        yield
    has_mask = annotated.has_mask.copy()
    for row in told:  # only now: smaller boxes may have taken most of what was found
        own = into[shown.cut(row)] == row + 1
        has_mask[row] = _reach_through(own) > _LEAST_IOU
        if not has_mask[row]:
            into[shown.cut(row)][own] = 0
    return replace(annotated, masks=masks, has_mask=has_mask)


def keep_completed(now: Annotated, completed: Annotated, *, given: NDArray[np.bool_]) -> Annotated:
    """Let boxes that did not change keep the masks that were found for them before others did.

    Parameters
    ----------
    now
        The boxes there are now, with the masks that are given now.
    completed
        The boxes before, with given and found masks.
    given
        (N,) bool: which of these were given: what was erased since does not come back.
    """
    found = {completed.boxes[row].tobytes(): row for row in np.flatnonzero(completed.has_mask & ~given).tolist()}
    numbers, has_mask = np.zeros(len(completed.boxes) + 1, np.int32), now.has_mask.copy()
    for row in np.flatnonzero(~now.has_mask).tolist():
        if (before := found.get(now.boxes[row].tobytes())) is not None:
            numbers[before + 1], has_mask[row] = row + 1, True
    return replace(now, masks=np.where(now.masks > 0, now.masks, numbers[completed.masks]), has_mask=has_mask)


def _reach_through(own: NDArray[np.bool_]) -> float:
    """IoU of a box with the box around what is in it."""
    found = ndimage.find_objects(own.astype(np.int8))
    return float(np.prod([along.stop - along.start for along in found[0]])) / own.size if found else 0.0


def _find_object(maps: NDArray[np.float32], *, foreground: float) -> NDArray[np.bool_] | None:
    """Find what reaches through a box, of the maps (2, Z, Y, X) in it."""
    best, best_iou = None, _LEAST_IOU
    for inside in _INSIDE:
        labels = grow_components(maps, Rule(inside, speck=0.0, typical_vox=1.0, foreground=foreground))
        for number, box in enumerate(ndimage.find_objects(labels), start=1):
            iou = float(np.prod([along.stop - along.start for along in box])) / labels.size
            if iou > best_iou:
                best, best_iou = labels == number, iou
    return best
