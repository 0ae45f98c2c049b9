"""What a user has without us for instances: a foreground cut slice by slice by a watershed, linked by overlap.

Its few settings are chosen on the painted slices, as a user would by looking at them: what the watershed floods and
how smooth that is, by the paint of slices that the forest was not shown; how much neighbours must overlap, and over how
many slices an object must reach, by which painted objects come out as one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi
from skimage.segmentation import watershed

from napari_weak3d import instance_scores
from napari_weak3d.metrics import compact_ids, match_pairs, overlap_table
from napari_weak3d.types import IntLabels

LANDSCAPES = ("distance", "bright borders", "bright objects")
SIGMAS = (1.0, 2.0, 3.0, 5.0)
"""Pixels."""
OVERLAPS = (0.1, 0.3, 0.5)
SHORTEST = (4, 2, 1)
"""Slices; the first of equals is taken, since specks between painted slices cost nothing on the painted ones."""


@dataclass(frozen=True)
class Cut:
    """How a slice is cut: what is flooded, and the standard deviation (pixels) by which that is smoothed."""

    landscape: str = "distance"
    sigma: float = 2.0


@dataclass(frozen=True)
class Link:
    """How slices are linked: the smallest IoU of neighbours, and the fewest slices of an object."""

    overlap: float = 0.3
    shortest: int = 1


def segment_by_stitching(
    probability: NDArray[np.float32],
    left_out: NDArray[np.float32] | None,
    *,
    image: NDArray[np.float32],
    ids: IntLabels,
    slices: Sequence[int],
) -> tuple[IntLabels, dict[str, Any]]:
    """Turn a foreground into objects.

    Parameters
    ----------
    probability
        (Z, Y, X) of the foreground.
    left_out
        (Z', Y, X) the same of the painted slices, by models that were not shown them; None: the defaults are taken.
    image
        (Z, Y, X).
    ids
        (Z, Y, X) painted object ids; only ``slices`` are looked at.
    slices
        The painted z slices, ascending.

    Returns
    -------
    Labels (Z, Y, X), and the settings that were chosen. Painted slices are taken as they were painted.
    """
    cut = Cut() if left_out is None else _choose_cut(left_out > 0.5, image[list(slices)], ids[list(slices)])
    planes = np.stack([cut_plane(one > 0.5, grey, cut=cut) for one, grey in zip(probability, image, strict=True)])
    for z in slices:
        planes[z] = compact_ids(ids[z])[0]
    links = [Link(*values) for values in product(OVERLAPS, SHORTEST)]
    results = {link: link_planes(planes, link=link) for link in links}
    unpainted = np.ones(ids.shape, dtype=np.bool_)
    unpainted[list(slices)] = False
    best = max(links, key=lambda link: _quality(results[link], ids, ignore=unpainted))
    return results[best], asdict(cut) | asdict(best)


def cut_plane(foreground: NDArray[np.bool_], image: NDArray[np.float32], *, cut: Cut) -> IntLabels:
    """Cut a foreground (Y, X) into objects, one per minimum of the landscape."""
    if not foreground.any():
        return np.zeros(foreground.shape, dtype=np.int32)
    if cut.landscape == "distance":
        # Beyond the border there is nothing: objects that leave the picture are not narrow there.
        inside = ndi.distance_transform_edt(np.pad(foreground, 1, mode="edge"))[1:-1, 1:-1]
        height = -ndi.gaussian_filter(inside, cut.sigma)
    else:
        sign = 1 if cut.landscape == "bright borders" else -1
        height = sign * ndi.gaussian_filter(image, cut.sigma)
    # Raised outside, each component has a minimum of its own.
    height = np.where(foreground, height, height.max() + 1)
    return watershed(height, mask=foreground).astype(np.int32)


def link_planes(planes: IntLabels, *, link: Link) -> IntLabels:
    """Give objects of neighbouring slices (Z, Y, X) the same id where they match one to one by IoU."""
    linked = np.zeros_like(planes)
    n_ids = 0
    for z, plane in enumerate(planes):
        new_id = np.zeros(int(plane.max(initial=0)) + 1, dtype=np.int32)
        if z > 0:
            overlaps = overlap_table(plane, linked[z - 1])
            found = match_pairs(
                overlaps.predicted, overlaps.true, gain=overlaps.iou, where=overlaps.iou >= link.overlap
            )
            new_id[overlaps.predicted_ids[overlaps.predicted[found]]] = overlaps.true_ids[overlaps.true[found]]
        unseen = np.setdiff1d(plane[plane > 0], np.flatnonzero(new_id))
        new_id[unseen] = n_ids + 1 + np.arange(len(unseen))
        n_ids += len(unseen)
        linked[z] = new_id[plane]
    return _drop_short(linked, shortest=link.shortest)


def _drop_short(labels: IntLabels, *, shortest: int) -> IntLabels:
    """Remove objects of fewer slices."""
    spans = ndi.find_objects(labels)
    depths = np.array([0, *(0 if span is None else span[0].stop - span[0].start for span in spans)])
    return np.where(depths[labels] >= shortest, labels, 0).astype(np.int32)


def _choose_cut(foreground: NDArray[np.bool_], image: NDArray[np.float32], ids: IntLabels) -> Cut:
    """Choose the cut whose slices are most like the painted ones."""

    def quality(cut: Cut) -> float:
        pairs = zip(foreground, image, ids, strict=True)
        return float(np.mean([_quality(cut_plane(front, grey, cut=cut), true) for front, grey, true in pairs]))

    return max((Cut(*values) for values in product(LANDSCAPES, SIGMAS)), key=quality)


def _quality(labels: IntLabels, ids: IntLabels, *, ignore: NDArray[np.bool_] | None = None) -> float:
    scores = instance_scores(labels, ids, ignore=ignore)
    return scores.seg + scores.f1
