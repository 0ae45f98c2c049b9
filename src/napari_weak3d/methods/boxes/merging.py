"""Boxes of overlapping tiles, merged: an object on a tile's border comes out once and whole.

A tile sees of an object what lies inside the tile. So a box that ends at a tile's face may be a part of an object: if
another tile found a box that, cut down to this tile, is the same, this one is dropped; if none did, parts that agree
where two tiles overlap are joined.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from napari_weak3d.methods.boxes.detections import Detections, concatenate
from napari_weak3d.methods.boxes.geometry import (
    box_iou,
    clip_boxes,
    intersect_volumes,
    measure_sizes,
    measure_volumes,
)
from napari_weak3d.types import Region

_SAME = 0.4
"""IoU of what two tiles saw of one object (ours; also what counts as found)."""
_WITHIN = 0.7
"""A part of which this share lies in a whole box, or a margin around it, is of that object, however roughly it was seen
(ours)."""
_MARGIN = 0.1
"""Boxes that end this near a face, over their size, may go on beyond it (ours)."""
_LEAST_MARGIN = 1.0
"""The same in voxels, for small boxes; and the margin around a whole box."""


def merge_tiles(
    found: Sequence[Detections], *, tiles: Sequence[Region], shape: tuple[int, int, int], threshold: float
) -> Detections:
    """Merge what overlapping tiles of a volume found.

    Parameters
    ----------
    found
        Of each tile, in the frame of the volume; at least one tile.
    tiles
        The regions of the tiles. Any overlap is well; with one as large as an object, it is seen whole somewhere.
    shape
        (Z, Y, X) of the volume: its own faces cut nothing.
    threshold
        IoU above which boxes of one class suppress each other.

    Returns
    -------
    Detections, cut down to the volume, the highest score first.
    """
    wholes, parts = [], []
    for boxes, tile in zip(found, tiles, strict=True):
        inside = _clip(boxes, tile)
        cut = _ends_at_face(inside.boxes, tile, shape=shape)
        wholes.append(inside.take(~cut))
        parts.append(inside.take(cut).suppressed(threshold=threshold))
    whole = concatenate(wholes).suppressed(threshold=threshold)
    left = [part.take(~_told_by(part, whole, tile=tile)) for part, tile in zip(parts, tiles, strict=True)]
    joined = _join(left, tiles).suppressed(threshold=threshold)
    joined = joined.take(~_find_same(joined, whole, threshold=threshold).any(dim=1))
    merged = concatenate([whole, joined])
    return merged.take(merged.scores.argsort(descending=True, stable=True))


def choose_tiles(boxes: Tensor, *, tiles: Sequence[Region]) -> Tensor:
    """Choose the tile (N,) int64 to find the mask of each box (N, 2, 3) in.

    It is the one with most of the box; of equal ones the one where the box lies deepest.
    """
    faces = boxes.new_tensor(np.asarray(tiles)).movedim(2, 1)  # (T, 2, 3)
    shares = intersect_volumes(boxes, faces) / measure_volumes(boxes).clamp(min=1e-6)[:, None]
    room = torch.minimum(boxes[:, None, 0] - faces[None, :, 0], faces[None, :, 1] - boxes[:, None, 1]).amin(dim=2)
    best = shares >= shares.amax(dim=1, keepdim=True) - 1e-6
    return room.masked_fill(~best, -torch.inf).argmax(dim=1)


def _clip(found: Detections, tile: Region) -> Detections:
    """Cut boxes down to a tile; those outside go."""
    boxes = clip_boxes(found.boxes, tile)
    left = measure_volumes(boxes) > 0
    return Detections(boxes[left], found.scores[left], found.classes[left])


def _ends_at_face(boxes: Tensor, tile: Region, *, shape: tuple[int, int, int]) -> Tensor:
    """(N,) whether a box may go on beyond its tile, inside the volume."""
    margin = (_MARGIN * measure_sizes(boxes)).clamp(min=_LEAST_MARGIN)
    low, high = boxes.new_tensor(tile).unbind(1)
    more_below = low > 0
    more_above = high < boxes.new_tensor(shape)
    below = (boxes[:, 0] <= low + margin) & more_below
    above = (boxes[:, 1] >= high - margin) & more_above
    return (below | above).any(dim=1)


def _told_by(parts: Detections, whole: Detections, *, tile: Region) -> Tensor:
    """(N,) whether a part of a tile is what the tile sees of some whole box."""
    seen = Detections(clip_boxes(whole.boxes, tile), whole.scores, whole.classes)
    same = _find_same(parts, seen, threshold=_SAME)
    around = whole.boxes + whole.boxes.new_tensor([-_LEAST_MARGIN, _LEAST_MARGIN])[:, None]
    within = intersect_volumes(parts.boxes, around) > _WITHIN * measure_volumes(parts.boxes)[:, None]
    return (same | (within & _of_one_class(parts, whole))).any(dim=1)


def _join(parts: Sequence[Detections], tiles: Sequence[Region]) -> Detections:
    """Join the parts of neighbouring tiles that agree where these overlap, over any number of tiles."""
    starts = np.cumsum([0, *map(len, parts)])
    links = [np.zeros((0, 2), np.int64)]
    for first, second in combinations(range(len(tiles)), 2):
        shared = _intersect(tiles[first], tiles[second])
        if shared is None or not len(parts[first]) or not len(parts[second]):
            continue
        one, other = (
            Detections(clip_boxes(p.boxes, shared), p.scores, p.classes) for p in (parts[first], parts[second])
        )
        same = _find_same(one, other, threshold=_SAME)
        links.append(same.nonzero().cpu().numpy() + starts[[first, second]])
    together = concatenate(parts)
    return _unite(together, np.concatenate(links))


def _unite(found: Detections, links: np.ndarray) -> Detections:
    """Replace linked boxes by the smallest box around them, with the highest of their scores."""
    count = len(found)
    graph = coo_array((np.ones(len(links)), (links[:, 0], links[:, 1])), shape=(count, count))
    n_groups, groups = connected_components(graph, directed=False) if count else (0, np.zeros(0))
    group = torch.from_numpy(groups.astype(np.int64)).to(found.scores.device)
    rows = group[:, None].expand(-1, 3)
    empty = found.boxes.new_zeros(n_groups, 3)
    low = empty.scatter_reduce(0, rows, found.boxes[:, 0], "amin", include_self=False)
    high = empty.scatter_reduce(0, rows, found.boxes[:, 1], "amax", include_self=False)
    scores = found.scores.new_zeros(n_groups).scatter_reduce(0, group, found.scores, "amax", include_self=False)
    classes = found.classes.new_zeros(n_groups).scatter_(0, group, found.classes)  # one class in a group
    return Detections(torch.stack([low, high], dim=1), scores, classes)


def _find_same(found: Detections, others: Detections, *, threshold: float) -> Tensor:
    """(N, M) which boxes of one class overlap by more than the threshold."""
    return (box_iou(found.boxes, others.boxes) > threshold) & _of_one_class(found, others)


def _of_one_class(found: Detections, others: Detections) -> Tensor:
    """(N, M)."""
    return found.classes[:, None] == others.classes[None]


def _intersect(first: Region, second: Region) -> Region | None:
    """Give the region that two have in common, if any."""
    (z0, z1), (y0, y1), (x0, x1) = ((max(a[0], b[0]), min(a[1], b[1])) for a, b in zip(first, second, strict=True))
    return ((z0, z1), (y0, y1), (x0, x1)) if z0 < z1 and y0 < y1 and x0 < x1 else None
