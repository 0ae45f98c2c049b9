"""From the network to labels: boxes, masks, objects, uncertainty.

``Prediction.probabilities`` is the mask of the objects, on a scale where it was cut at 0.5.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from napari_weak3d.messages import Command, Stop
from napari_weak3d.methods.boxes.config import ObjectsFrom
from napari_weak3d.methods.boxes.detections import Detections
from napari_weak3d.methods.boxes.finding import Finder, Search
from napari_weak3d.methods.boxes.guessing import guess_masks
from napari_weak3d.methods.boxes.knowing import add_known, tell_unknown
from napari_weak3d.methods.boxes.scheme import KnownBoxes, Scheme
from napari_weak3d.methods.boxes.settling import Objects, settle, take_components
from napari_weak3d.nn.objects import list_objects
from napari_weak3d.nn.slabs import view_volume
from napari_weak3d.nn.voxels import compare_voxels
from napari_weak3d.types import Boxes, IntLabels, Prediction, Progress, Spacing, Volume

_ALIKE = 2.0
"""Voxels that differ more than this from those of training are worth a word: things look other than learned (ours)."""
_FAINT = 0.3
"""Boxes down to this part of the threshold are looked at: confirmed they are objects, else they count as doubt (ours).
"""
_GUESSED = "no masks were given: shapes are guessed from boxes and brightness, and the rows of objects hold their boxes"
_LOST = (
    "{n} of the drawn boxes have no voxel of their own, and so no object: others fill them, or nothing is seen there"
)
_UNSEEN = "{n} of the drawn boxes hold nothing that the model sees: their shapes are guessed from boxes and brightness"
_NO_MAPS = (
    "objects were told from boxes, not from voxel maps: these need one class, some masks, and a training that came as "
    "far as choosing thresholds"
)
_STOPPED = "stopped before the end: objects are missing"
_ABOVE_HALF = np.nextafter(np.float16(0.5), np.float16(1))


def segment_volume(
    finder: Finder, volume: Volume, *, known: KnownBoxes | None
) -> Generator[Progress, Command | None, Prediction]:
    """Segment a volume.

    Parameters
    ----------
    known
        What is known of this very volume, or None.

    Yields
    ------
    Progress
        Per tile, then per some objects. Send Stop to end early: tiles that were not searched have no objects.
    """
    scheme, notices, notes = finder.scheme, ["finding boxes"], []
    if (factor := compare_voxels(volume, spacing=scheme.spacing, unit=scheme.unit)) > _ALIKE:
        notes.append(f"voxels differ {factor:.2g} times from those of training: check the spacing")
        notices.append(f"finding boxes; {notes[-1]}")
    if finder.config.objects_from is ObjectsFrom.VOXELS and finder.rule is None:
        notes.append(_NO_MAPS)
    search = _begin(finder, view_volume(volume), spacing=volume.spacing, on_shrink=notices.append)
    objects, said = yield from _find(search, known=known, message=lambda: notices[-1])
    return replace(_make_prediction(objects, finder=finder, notes=(*notes, *said)), least_score=finder.threshold)


def find_objects(
    finder: Finder, image: NDArray[np.float32], *, spacing: Spacing
) -> tuple[IntLabels, NDArray[np.int64]]:
    """Find the objects of a volume or of a part of one, (C, Z, Y, X) normalised, for a look at it.

    Returns
    -------
    Labels (Z, Y, X) int32, and boxes (N, 2, 3) in whole voxels: row + 1 is the label.
    """
    objects, _ = _follow(_find(_begin(finder, image, spacing=spacing), known=None, message=str))
    return objects.labels, round_boxes(objects.found.boxes, shape=objects.labels.shape)


def _begin(finder: Finder, image: Any, *, spacing: Spacing, on_shrink: Callable[[str], None] | None = None) -> Search:
    least_score = _FAINT * min(finder.threshold, finder.splitting or finder.threshold)
    return Search(finder, image, spacing, least_score, on_shrink)


def _follow(job: Generator[Progress, Command | None, tuple[Objects, list[str]]]) -> tuple[Objects, list[str]]:
    """Do all of a job at once."""
    while True:
        try:
            next(job)
        except StopIteration as end:
            result: tuple[Objects, list[str]] = end.value
            return result


def _find(
    search: Search, *, known: KnownBoxes | None, message: Callable[[], str]
) -> Generator[Progress, Command | None, tuple[Objects, list[str]]]:
    """Find the objects of what is searched; gives them and what is to be said of them."""
    finder, notes = search.finder, []
    stopped = yield from _go_through(search.find_boxes(), half=0, message=message)
    found = search.merge()
    if search.splits and not stopped:
        told = search.tell_by_anchors()
        stopped = yield from _go_through(search.find_masks(told.boxes), half=1, message=lambda: "splitting objects")
        found = _split(told, search)
    drawn = None if known is None or stopped else known.boxes
    if search.labels is not None and drawn is None:
        return take_components(found, search), [_STOPPED] if stopped else []
    if known is not None and drawn is not None:
        found = add_known(found, known, scheme=finder.scheme, suppress_iou=finder.suppress_iou)
        notes += tell_unknown(known, scheme=finder.scheme)
    if not finder.has_masks:
        masks = _guess(search, found.boxes)
        notes.append(_GUESSED)
        if not stopped:
            yield Progress(2, 2, _GUESSED)
    else:
        looked_for = search.find_masks(found.boxes)
        if stopped:
            for _ in looked_for:  # of what was found, without a word more
                pass
        else:
            stopped = yield from _go_through(looked_for, half=1, message=lambda: "finding masks")
        masks = search.masks
        notes += [] if drawn is None or stopped else _guess_unseen(masks, found.boxes, search, drawn=drawn)
    objects = settle(found, masks, search, threshold=finder.threshold, drawn=drawn, components=search.witness())
    if n_lost := count_lost(objects.labels, n_drawn=0 if drawn is None else len(drawn.corners)):
        notes.append(_LOST.format(n=n_lost))
    return objects, [*notes, _STOPPED] if stopped else notes


def _split(told: Detections, search: Search) -> Detections:
    """Split components by the objects that anchors tell, whose masks were found; gives the boxes of all of them."""
    assert search.finder.splitting is not None
    split_by = settle(
        told, search.masks, search, threshold=search.finder.splitting, drawn=None, components=search.labels
    )
    return search.split(split_by.labels)


def _go_through(
    steps: Iterator[tuple[int, int]], *, half: int, message: Callable[[], str]
) -> Generator[Progress, Command | None, bool]:
    """Go through tiles or objects, in the first or second half of the bar (0 or 1); gives whether Stop ended it."""
    for done, total in steps:
        if isinstance((yield Progress(half * total + done, 2 * total, message())), Stop):
            return True
    return False


def _guess(search: Search, boxes: Tensor) -> Tensor:
    finder = search.finder
    everything = search.image[:, :, :, :]
    return guess_masks(everything, search.pad(boxes), size=2 * finder.net.roi_size, padding=finder.config.roi_padding)


def _guess_unseen(masks: Tensor, boxes: Tensor, search: Search, *, drawn: Boxes) -> list[str]:
    """Guess the masks of drawn boxes, the first, in which no object is seen, in place; a note if there are any."""
    highest = masks[: len(drawn.corners)].amax(dim=(1, 2, 3)).numpy()
    unseen = np.flatnonzero((highest <= search.finder.config.mask_threshold) & ~drawn.has_mask).tolist()
    if not unseen:
        return []
    masks[unseen] = _guess(search, boxes[unseen])
    return [_UNSEEN.format(n=len(unseen))]


def count_lost(labels: IntLabels, *, n_drawn: int) -> int:
    """Count the drawn boxes, objects 1 to ``n_drawn`` if they are any, that have no voxel."""
    return n_drawn - int(np.count_nonzero(np.bincount(labels.ravel(), minlength=n_drawn + 1)[1 : n_drawn + 1]))


def _make_prediction(objects: Objects, *, finder: Finder, notes: tuple[str, ...]) -> Prediction:
    scheme, config, found = finder.scheme, finder.config, objects.labels
    sizes = np.bincount(found.ravel(), minlength=len(objects.found) + 1)
    sizes[0] = 0
    rows = np.flatnonzero(sizes >= max(1, config.smallest_object))
    numbers = np.zeros(len(sizes), np.int32)
    numbers[rows] = np.arange(1, len(rows) + 1)
    labels = numbers[found]
    classes = scheme.class_values[objects.found.classes.numpy()[rows - 1]]
    scores = objects.found.scores.numpy()[rows - 1].clip(0, 1)
    listed = tuple(
        replace(row, score=float(score), class_value=int(value))
        for row, score, value in zip(list_objects(labels, classes=None), scores, classes, strict=True)
    )
    if not finder.has_masks:
        boxes = round_boxes(objects.found.boxes[rows - 1], shape=labels.shape)
        listed = tuple(replace(row, box=_as_corners(box)) for row, box in zip(listed, boxes, strict=True))
    probability = _rescale(objects.probability, cut=objects.cut)
    if len(scheme.classes) == 2:
        return Prediction(
            labels=labels,
            objects=listed,
            uncertainty=objects.uncertainty,
            notes=notes,
            probabilities=np.where(labels > 0, np.maximum(probability, 0.5), probability).astype(np.float16)[None],
        )
    of_voxel = np.concatenate([[0], classes]).astype(np.int32)[labels]
    return Prediction(
        labels=labels,
        classes=of_voxel,
        objects=listed,
        uncertainty=objects.uncertainty,
        notes=notes,
        probabilities=_share_out(probability, of_voxel, scheme=scheme),
    )


def round_boxes(boxes: Tensor, *, shape: Sequence[int]) -> NDArray[np.int64]:
    """Round found boxes (N, 2, 3) to whole voxels of a volume; each keeps one at least along every axis."""
    found = boxes.cpu().numpy().astype(np.float64)
    low = np.clip(np.rint(found[:, 0]), 0, np.subtract(shape, 1))
    high = np.clip(np.rint(found[:, 1]), low + 1, shape)
    return np.stack([low, high], axis=1).astype(np.int64)


def _as_corners(box: NDArray[np.int64]) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    (z0, y0, x0), (z1, y1, x1) = box.tolist()
    return (z0, y0, x0), (z1, y1, x1)


def _rescale(probability: NDArray[np.float32], *, cut: float) -> NDArray[np.float32]:
    """Bend a scale of 0 to 1 so that the cut lies at 0.5."""
    bent: NDArray[np.float32] = np.interp(probability, [0, cut, 1], [0, 0.5, 1]).astype(np.float32)
    return bent


def _share_out(probability: NDArray[np.float32], classes: IntLabels, *, scheme: Scheme) -> NDArray[np.float16]:
    """(K, Z, Y, X): each object's mask probability for its class, the rest for the background.

    What is no object is background for sure: of which class it nearly was is not known.
    """
    shares = np.zeros((len(scheme.classes), *classes.shape), np.float16)
    inside = classes > 0
    object_share = np.where(inside, np.maximum(probability, _ABOVE_HALF), 0)
    shares[0] = 1 - object_share
    for number, value in enumerate(scheme.class_values[1:], start=1):
        shares[number] = np.where(classes == value, object_share, 0)
    return shares
