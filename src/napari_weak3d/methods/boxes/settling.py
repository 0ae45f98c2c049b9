"""Which voxel belongs to which object, where several claim it, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_weak3d.methods.boxes.confirming import confirm
from napari_weak3d.methods.boxes.detections import Detections
from napari_weak3d.methods.boxes.finding import Search
from napari_weak3d.methods.boxes.geometry import measure_volumes
from napari_weak3d.methods.boxes.masks import Pasted, find_duplicates, paste_masks
from napari_weak3d.nn.uncertainty import binary_entropy
from napari_weak3d.types import Boxes, IntLabels

_ROUNDS = 8
"""How deep boxes may be nested in each other so that each still gets voxels (ours)."""


@dataclass(frozen=True, eq=False)
class Objects:
    """Objects in a volume: labels (Z, Y, X) of rows + 1, highest mask probability, doubt in 0..1, and the probability
    from which on a voxel is of an object.
    """

    found: Detections
    labels: IntLabels
    probability: NDArray[np.float32]
    uncertainty: NDArray[np.float32]
    cut: float


def settle(
    found: Detections,
    masks: Tensor,
    search: Search,
    *,
    threshold: float,
    drawn: Boxes | None,
    components: IntLabels | None = None,
) -> Objects:
    """Give each voxel to the object that is most probable there; faint ones that nothing confirms only raise doubt.

    Objects whose mask was drawn, which come first in the order of their boxes, are what was drawn. Of other boxes that
    were drawn the smaller one wins where two are equally probable, and one inside a larger one is not swallowed whole.

    Parameters
    ----------
    found, masks
        Boxes, those of ``drawn`` first, and their masks (N, S, S, S) on padded boxes.
    threshold
        Least score of an object.
    drawn
        What is known of this very volume, or None.
    components
        (Z, Y, X) of the voxel maps, which confirm faint objects; None: nothing does.
    """
    cut = search.finder.config.mask_threshold
    n_drawn = 0 if drawn is None else len(drawn.corners)
    again = find_duplicates(
        masks, search.pad(found.boxes), classes=found.classes.tolist(), shape=search.shape, threshold=cut
    )
    again[:n_drawn] = False
    kept = torch.from_numpy(~again)
    found, masks = found.take(kept), masks[kept]
    rois = search.pad(found.boxes)
    if components is not None:
        scores = confirm(found, masks, rois, components, threshold=threshold, cut=cut)
        found = replace(found, scores=scores)
    sure = found.scores >= threshold
    pasted = paste_drawn(masks[sure], rois[sure], n_drawn=n_drawn, shape=search.shape, threshold=cut)
    score = found.scores
    trust = torch.where(sure, 0.5 + 0.5 * (score - threshold) / (1 - threshold), 0.5 * score / threshold)
    expected = paste_masks(masks * trust.clamp(0, 1)[:, None, None, None], rois, shape=search.shape).probability
    painted, bare = np.zeros(search.shape, np.bool_), list(range(n_drawn))
    # An object may lie in one of another class, whose mask then covers it.
    nested = range(n_drawn, int(sure.sum())) if len(set(found.classes[sure].tolist())) > 1 else range(0)
    if drawn is not None and drawn.masks is not None:
        bare = np.flatnonzero(~drawn.has_mask).tolist()
        of_drawn = np.zeros(int(sure.sum()) + 1, np.bool_)
        of_drawn[1 : n_drawn + 1] = drawn.has_mask
        painted = drawn.masks > 0
        beside = of_drawn[pasted.labels] & ~painted
        for image in (pasted.probability, expected):
            image[beside], image[painted] = 0, 1
        pasted.labels[beside] = 0
        pasted.labels[painted] = drawn.masks[painted]
    labels = give_back(pasted.labels, masks[sure], rois[sure], rows=[*bare, *nested], fixed=painted, threshold=cut)
    return Objects(found.take(sure), labels, pasted.probability, binary_entropy(expected), cut)


def take_components(found: Detections, search: Search) -> Objects:
    """Let the components that a search found be the objects, those of at least a score.

    Parameters
    ----------
    found
        The box of each component, in the order of ``search.labels``.
    """
    assert search.labels is not None
    assert search.maps is not None
    sure = found.scores >= search.finder.threshold
    numbers = np.zeros(len(found) + 1, np.int32)
    numbers[1:][sure.numpy()] = np.arange(1, int(sure.sum()) + 1)
    assert search.finder.rule is not None
    foreground = search.maps[1]
    cut = search.finder.rule.foreground
    return Objects(found.take(sure), numbers[search.labels], foreground, binary_entropy(foreground), cut)


def paste_drawn(masks: Tensor, rois: Tensor, *, n_drawn: int, shape: tuple[int, int, int], threshold: float) -> Pasted:
    """Paste masks as :func:`paste_masks` does; of the first ``n_drawn`` the smaller one wins a tie."""
    by_size = measure_volumes(rois[:n_drawn]).argsort(stable=True)
    order = torch.cat([by_size, torch.arange(n_drawn, len(rois))])
    pasted = paste_masks(masks[order], rois[order], shape=shape, threshold=threshold)
    numbers = np.concatenate([[0], order.numpy() + 1]).astype(np.int32)
    return replace(pasted, labels=numbers[pasted.labels])


def give_back(
    labels: IntLabels,
    masks: Tensor,
    rois: Tensor,
    *,
    rows: Sequence[int],
    fixed: NDArray[np.bool_],
    threshold: float,
) -> IntLabels:
    """Let objects that won no voxel have those of their own mask, as long as no other is left without any.

    Parameters
    ----------
    labels
        (Z, Y, X) rows + 1.
    masks, rois
        Of all objects.
    rows
        The objects in question.
    fixed
        (Z, Y, X) voxels that stay whose they are.

    Returns
    -------
    Labels; two boxes that are the same still have one object.
    """
    z, y, x = labels.shape
    for _ in range(_ROUNDS):
        counts = np.bincount(labels.ravel(), minlength=len(rois) + 1)
        lost = torch.tensor([row for row in rows if counts[row + 1] == 0], dtype=torch.int64)
        if not len(lost):
            break
        own = paste_drawn(masks[lost], rois[lost], n_drawn=len(lost), shape=(z, y, x), threshold=threshold).labels
        wanted = np.concatenate([[0], lost.numpy() + 1]).astype(np.int32)[own]
        given = np.where((wanted > 0) & ~fixed, wanted, labels)
        emptied = (counts > 0) & (np.bincount(given.ravel(), minlength=len(counts)) == 0)
        given = np.where(emptied[labels], labels, given)
        if np.array_equal(given, labels):
            break
        labels = given
    return labels
