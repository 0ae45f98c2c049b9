"""From the network to labels: boxes, masks, objects, uncertainty.

``Prediction.probabilities`` is the mask of the objects, on a scale where it was cut at 0.5.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_weak3d.messages import Command, Stop
from napari_weak3d.methods.boxes.config import BoxesConfig
from napari_weak3d.methods.boxes.detections import Detections
from napari_weak3d.methods.boxes.finding import Finder, Search
from napari_weak3d.methods.boxes.guessing import guess_masks
from napari_weak3d.methods.boxes.knowing import add_known
from napari_weak3d.methods.boxes.masks import Pasted, find_duplicates, paste_masks
from napari_weak3d.methods.boxes.scheme import KnownBoxes, Scheme
from napari_weak3d.methods.boxes.volumes import view_volume
from napari_weak3d.nn.objects import list_objects
from napari_weak3d.nn.voxels import compare_voxels
from napari_weak3d.types import Boxes, IntLabels, Prediction, Progress, Volume

_ALIKE = 2.0
"""Voxels that differ more than this from those of training are worth a word: things look other than learned (ours)."""
_FAINT = 0.5
"""Boxes down to this part of the threshold count as doubt, though they are no objects (ours)."""
_LEAST = 1e-6
_ABOVE_HALF = np.nextafter(np.float16(0.5), np.float16(1))


@dataclass(frozen=True, eq=False)
class _Objects:
    """Objects in a volume: labels (Z, Y, X) of rows + 1, highest mask probability, and doubt in 0..1."""

    found: Detections
    labels: IntLabels
    probability: NDArray[np.float32]
    uncertainty: NDArray[np.float32]


def segment_volume(
    finder: Finder, volume: Volume, *, threshold: float, known: KnownBoxes | None
) -> Generator[Progress, Command | None, Prediction]:
    """Segment a volume.

    Parameters
    ----------
    threshold
        Least score of an object.
    known
        What is known of this very volume, or None.

    Yields
    ------
    Progress
        Per tile, then per some objects. Send Stop to end early: tiles that were not searched have no objects.
    """
    view = view_volume(volume)
    scheme, notices = finder.scheme, ["finding boxes"]
    if (factor := compare_voxels(volume, spacing=scheme.spacing, unit=scheme.unit)) > _ALIKE:
        notices.append(f"finding boxes; voxels differ {factor:.2g} times from those of training, check the spacing")
    search = Search(finder, view, volume.spacing, _FAINT * threshold, notices.append)
    stopped = False
    for done, total in search.find_boxes():
        if isinstance((yield Progress(done, 2 * total, notices[-1])), Stop):
            stopped = True
            break
    found = search.merge()
    if known is not None and not stopped:
        found = add_known(found, known, scheme=scheme, suppress_iou=finder.suppress_iou)
    if not finder.has_masks:
        masks = _guess(search, found.boxes)
        message = "no masks were given: shapes are guessed from boxes and brightness"
        if not stopped:
            yield Progress(2, 2, message)
    else:
        for done, total in search.find_masks(found.boxes):
            if not stopped and isinstance((yield Progress(total + done, 2 * total, "finding masks")), Stop):
                break
        masks = search.masks
    drawn = None if known is None or stopped else known.boxes
    objects = _settle(found, masks, search, threshold=threshold, drawn=drawn)
    return _make_prediction(objects, scheme=scheme, config=finder.config)


def find_objects(search: Search, *, threshold: float) -> IntLabels:
    """Find the objects of a volume or of a part of one, for a look at it: (Z, Y, X) int32."""
    for _ in search.find_boxes():
        pass
    found = search.merge()
    sure = found.take(found.scores >= threshold)
    if search.finder.has_masks:
        for _ in search.find_masks(sure.boxes):
            pass
        masks = search.masks
    else:
        masks = _guess(search, sure.boxes)
    cut = search.finder.config.mask_threshold
    return paste_masks(masks, search.pad(sure.boxes), shape=search.shape, threshold=cut).labels


def _guess(search: Search, boxes: Tensor) -> Tensor:
    finder = search.finder
    everything = search.image[:, :, :, :]
    return guess_masks(everything, search.pad(boxes), size=2 * finder.net.roi_size, padding=finder.config.roi_padding)


def _settle(found: Detections, masks: Tensor, search: Search, *, threshold: float, drawn: Boxes | None) -> _Objects:
    """Give each voxel to the object that is most probable there; faint ones only raise doubt.

    Objects whose mask was drawn, which come first in the order of their boxes, are what was drawn.
    """
    cut = search.finder.config.mask_threshold
    again = find_duplicates(masks, search.pad(found.boxes), shape=search.shape, threshold=cut)
    again[: 0 if drawn is None else len(drawn.corners)] = False
    kept = torch.from_numpy(~again)
    found, masks = found.take(kept), masks[kept]
    rois = search.pad(found.boxes)
    sure = found.scores >= threshold
    pasted: Pasted = paste_masks(masks[sure], rois[sure], shape=search.shape, threshold=cut)
    score = found.scores
    trust = torch.where(sure, 0.5 + 0.5 * (score - threshold) / (1 - threshold), 0.5 * score / threshold)
    expected = paste_masks(masks * trust.clamp(0, 1)[:, None, None, None], rois, shape=search.shape).probability
    if drawn is not None and drawn.masks is not None:
        of_drawn = np.zeros(int(sure.sum()) + 1, np.bool_)
        of_drawn[1 : len(drawn.has_mask) + 1] = drawn.has_mask
        beside = of_drawn[pasted.labels] & (drawn.masks == 0)
        painted = drawn.masks > 0
        for image in (pasted.probability, expected):
            image[beside], image[painted] = 0, 1
        pasted.labels[beside] = 0
        pasted.labels[painted] = drawn.masks[painted]
    return _Objects(found.take(sure), pasted.labels, pasted.probability, _entropy(expected))


def _make_prediction(objects: _Objects, *, scheme: Scheme, config: BoxesConfig) -> Prediction:
    found = objects.labels
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
    probability = _rescale(objects.probability, cut=config.mask_threshold)
    if len(scheme.classes) == 2:
        return Prediction(
            labels=labels,
            objects=listed,
            uncertainty=objects.uncertainty,
            probabilities=np.where(labels > 0, np.maximum(probability, 0.5), probability).astype(np.float16)[None],
        )
    of_voxel = np.concatenate([[0], classes]).astype(np.int32)[labels]
    return Prediction(
        labels=labels,
        classes=of_voxel,
        objects=listed,
        uncertainty=objects.uncertainty,
        probabilities=_share_out(probability, of_voxel, scheme=scheme),
    )


def _rescale(probability: NDArray[np.float32], *, cut: float) -> NDArray[np.float32]:
    """Bend a scale of 0 to 1 so that the cut lies at 0.5."""
    bent: NDArray[np.float32] = np.interp(probability, [0, cut, 1], [0, 0.5, 1]).astype(np.float32)
    return bent


def _share_out(probability: NDArray[np.float32], classes: IntLabels, *, scheme: Scheme) -> NDArray[np.float16]:
    """(K, Z, Y, X): each voxel's mask probability for its class, the rest for the background."""
    shares = np.zeros((len(scheme.classes), *classes.shape), np.float16)
    inside = classes > 0
    object_share = np.where(inside, np.maximum(probability, _ABOVE_HALF), np.minimum(probability, 0.0))
    shares[0] = 1 - object_share
    for number, value in enumerate(scheme.class_values[1:], start=1):
        shares[number] = np.where(classes == value, object_share, 0)
    return shares


def _entropy(probability: NDArray[np.float32]) -> NDArray[np.float32]:
    """Entropy of yes and no, in bits: 0 sure, 1 no idea."""
    total = np.zeros(probability.shape, np.float32)
    for share in (probability, 1 - probability):
        total -= share * np.log2(np.maximum(share, _LEAST))
    return total.clip(0, 1)
