"""From the three maps of every plane to objects in 3D: fragments of a landscape, joined where nothing parts them.

The maps are learned plane by plane, for no painted plane shows which sections belong together across planes. That is
settled here, in three steps:

1. The landscape is high in the middle of an object and low where two touch; smoothed a little along z, the middles of
   an object's sections form one ridge. A watershed from every local maximum cuts the foreground into fragments.
2. Two fragments are joined where the landscape falls less than ``depth`` from the lower one's top to the pass between
   them, highest pass first. (This equals a watershed from h-maxima, without its cost: another depth needs no other
   watershed.)
3. What is too small to be an object goes to the neighbour with the highest pass, or away.

Paint of the same volume wins throughout: each painted id is one fragment from the start, two of them are never joined,
and painted voxels come out as they were painted.

numpy, scipy and scikit-image only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.morphology import local_maxima
from skimage.segmentation import watershed

from napari_weak3d.errors import AnnotationError
from napari_weak3d.methods.slices.object_targets import make_object_maps
from napari_weak3d.metrics import instance_scores
from napari_weak3d.types import IntLabels, Spacing

Maps = NDArray[Any]
"""(3, Z, Y, X) foreground, touch, core: floats in 0..1."""

_SMALL = 0.1
"""Below this part of a typical painted object's volume a fragment is not an object."""
_SLAB_VOXELS = 2_000_000
"""Voxels that :func:`choose_settings` looks at, all planes together: about a second per watershed of them."""
_GRID: tuple[tuple[str, tuple[float, ...]], ...] = (
    ("foreground", (0.4, 0.6, 0.7)),
    ("depth", (0.05, 0.3)),
    ("touch_weight", (0.5, 2.0)),
    ("smooth_plane", (0.5, 2.0)),
    ("smooth_z", (0.0, 1.5)),
)
"""Which other values are tried, in this order."""
_CLEAR_GAIN = 0.02
"""Gain in SEG, mean and median of the planes, for which settings leave the default; on three planes, less is chance."""


@dataclass(frozen=True)
class InstanceSettings:
    """How maps become objects.

    Attributes
    ----------
    foreground
        Least value of the foreground map inside an object, 0..1.
    depth
        Fall of the landscape between two tops from which on they are two objects, 0..1.
    touch_weight
        The landscape is core - touch_weight * touch.
    smooth_plane, smooth_z
        Gaussian sigma of the landscape within planes and across them, both in voxels of the plane.
    min_top
        Least height of the landscape's top in an object without paint: haze beside objects is flat.
    min_volume
        Smallest object, in the unit of the spacing cubed. 0: any.
    """

    foreground: float = 0.5
    depth: float = 0.15
    touch_weight: float = 1.0
    smooth_plane: float = 1.0
    smooth_z: float = 0.5
    min_top: float = 0.3
    min_volume: float = 0.0


def find_instances(
    maps: Maps,
    *,
    spacing: Spacing,
    settings: InstanceSettings,
    painted: Mapping[int, IntLabels] | None = None,
    marks: IntLabels | None = None,
) -> IntLabels:
    """Find the objects that the maps of all planes show.

    Parameters
    ----------
    maps
        (3, Z, Y, X) float, 0..1: foreground, touch and core, as in :func:`.make_object_maps`.
    spacing
        Size of a voxel (z, y, x), in the unit that ``settings.min_volume`` has.
    settings
        Thresholds and weights.
    painted
        Completely painted planes of this very volume: z -> (Y, X) int32 ids, 0 background. On them the result is the
        paint; an id is one object wherever it is painted, and ids are kept.
    marks
        (Z, Y, X) int32, or None: further paint that is no whole plane; ids, 0 background, negative: nothing known.

    Returns
    -------
    IntLabels
        (Z, Y, X) int32; 0 is background. Objects without paint are numbered on from the highest painted id. Without
        foreground: all 0.

    Raises
    ------
    AnnotationError
        A painted plane lies outside the volume or has another shape.
    """
    paint = dict(painted or {})
    _check_paint(paint, shape=maps.shape[1:])
    foreground, landscape = _make_landscape(maps, spacing=spacing, settings=settings, paint=paint)
    if marks is not None:
        foreground = np.where(marks < 0, foreground, marks > 0)
    fragments, ids = _cut_fragments(landscape, foreground, paint=paint, marks=marks)
    groups = _Groups(fragments, landscape, ids=ids)
    contacts = _find_contacts(fragments, landscape)
    groups.join_shallow(contacts, depth=settings.depth)
    smallest = int(np.ceil(settings.min_volume / float(np.prod(spacing))))
    groups.join_small(contacts, smallest=smallest)
    return groups.number(smallest=smallest, lowest=settings.min_top)[fragments]


@dataclass(frozen=True, eq=False)
class PaintedView:
    """A painted plane, and maps around it by networks that did not learn from it.

    Attributes
    ----------
    maps
        (3, Z, Y, X); planes far from the painted one may be left out.
    plane
        Which of them is painted.
    paint
        (Y, X) int32 ids, complete.
    """

    maps: Maps
    plane: int
    paint: IntLabels


def choose_settings(held_out: Sequence[PaintedView], *, spacing: Spacing) -> InstanceSettings:
    """Choose settings by how well planes come out that the network had not seen.

    One setting at a time is moved away from the default, and kept moved only for a clear gain: mean and median SEG of
    the planes both better by 0.02. So three planes suffice, and no single one decides. What a plane cannot show, wrong
    joins along z, has no part in it. Deterministic; the time is bounded by looking at a window around the middle of
    each painted plane.

    Parameters
    ----------
    held_out
        Painted planes; those without any object do not count.
    spacing
        Size of a voxel (z, y, x).

    Returns
    -------
    InstanceSettings
        With ``min_volume`` set from the sizes of the painted sections.
    """
    settings = InstanceSettings(min_volume=_SMALL * typical_volume((view.paint for view in held_out), spacing=spacing))
    views = _crop_views([view for view in held_out if view.paint.any()], spacing=spacing)
    if not views:
        return settings
    scores = _score_planes(views, spacing=spacing, settings=settings)
    for name, values in _GRID:
        for value in values:
            moved = replace(settings, **{name: value})
            moved_scores = _score_planes(views, spacing=spacing, settings=moved)
            gains = moved_scores - scores
            if min(gains.mean(), np.median(gains)) >= _CLEAR_GAIN:
                settings, scores = moved, moved_scores
    return settings


def typical_volume(planes: Iterable[IntLabels], *, spacing: Spacing) -> float:
    """Volume of a ball whose sections are, in the mean, as large as the median painted one.

    A plane cuts a ball of radius R, anywhere, in discs of mean area 2/3 pi R^2.

    Parameters
    ----------
    planes
        (Y, X) int32 ids each.
    spacing
        Size of a voxel (z, y, x).

    Returns
    -------
    float
        In the unit of the spacing cubed; 0 if nothing is painted.
    """
    sizes = [np.unique(plane[plane > 0], return_counts=True)[1] for plane in planes]
    areas = np.concatenate(sizes) if sizes else np.zeros(0)
    if not len(areas):
        return 0.0
    radius = np.sqrt(1.5 * np.median(areas) * spacing[1] * spacing[2] / np.pi)
    return float(4 / 3 * np.pi * radius**3)


def _check_paint(paint: Mapping[int, IntLabels], *, shape: tuple[int, ...]) -> None:
    for z, plane in paint.items():
        if not 0 <= z < shape[0] or plane.shape != shape[1:]:
            raise AnnotationError(
                f"painted plane z {z} of shape {plane.shape} does not fit a volume of {shape[0]} planes of shape "
                f"{shape[1:]}: paint on the image that is segmented",
                where=f"z {z}",
                value=plane.shape,
            )


def _make_landscape(
    maps: Maps, *, spacing: Spacing, settings: InstanceSettings, paint: Mapping[int, IntLabels]
) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Foreground, and the landscape to flood; on painted planes from the paint's own maps."""
    foreground = maps[0] > settings.foreground
    landscape = maps[2].astype(np.float32) - np.float32(settings.touch_weight) * maps[1].astype(np.float32)
    for z, plane in paint.items():
        known = make_object_maps(plane, spacing=spacing[1:])
        foreground[z] = plane > 0
        landscape[z] = known[2] - settings.touch_weight * known[1]
    in_plane = min(spacing[1:])
    sigma = [settings.smooth_z * in_plane / spacing[0], *(settings.smooth_plane * in_plane / s for s in spacing[1:])]
    return foreground, ndimage.gaussian_filter(landscape, sigma, truncate=3.0)


def _cut_fragments(
    landscape: NDArray[np.float32],
    foreground: NDArray[np.bool_],
    *,
    paint: Mapping[int, IntLabels],
    marks: IntLabels | None,
) -> tuple[IntLabels, IntLabels]:
    """Flood from each local maximum outside the paint, and from each painted id as a whole.

    Returns the fragments (Z, Y, X), and the painted id (0: none) of fragment number 0, 1, 2 ...
    """
    # Low ground all around: every piece of foreground has a top then, even a flat one that fills the volume.
    lowest = landscape.min(initial=0.0) - 1
    island = np.pad(np.where(foreground, landscape, lowest), 1, constant_values=lowest)
    tops = local_maxima(island, connectivity=1)[1:-1, 1:-1, 1:-1] & foreground
    tops[list(paint)] = False
    marked = None if marks is None else np.nonzero(marks > 0)
    if marked is not None:
        tops[marked] = False
    seeds, n_tops = ndimage.label(tops)  # neighbours share a face: here, in the flood and in the passes
    values = [np.unique(plane) for plane in paint.values()]
    if marks is not None and marked is not None:
        values.append(np.unique(marks[marked]))
    painted_ids = np.unique(np.concatenate([np.zeros(1, np.int32), *values]))
    painted_ids = painted_ids[painted_ids > 0]
    for z, plane in paint.items():
        seeds[z] = np.where(plane > 0, n_tops + 1 + np.searchsorted(painted_ids, plane), 0)
    if marks is not None and marked is not None:
        seeds[marked] = n_tops + 1 + np.searchsorted(painted_ids, marks[marked])
    ids = np.concatenate([np.zeros(n_tops + 1, dtype=np.int32), painted_ids.astype(np.int32)])
    return watershed(-landscape, seeds, mask=foreground).astype(np.int32, copy=False), ids


@dataclass(frozen=True)
class _Contacts:
    """Pairs of fragments with a common face, highest pass first: their numbers and the height of the pass."""

    first: IntLabels
    second: IntLabels
    height: NDArray[np.float32]


def _find_contacts(fragments: IntLabels, landscape: NDArray[np.float32]) -> _Contacts:
    """The pass between two fragments is the highest of their common faces; a face is as high as its lower voxel."""
    firsts, seconds, heights = [], [], []
    for axis in range(fragments.ndim):
        number, height = np.moveaxis(fragments, axis, 0), np.moveaxis(landscape, axis, 0)
        face = (number[1:] != number[:-1]) & (number[1:] > 0) & (number[:-1] > 0)
        one, other = number[1:][face], number[:-1][face]
        firsts.append(np.minimum(one, other))
        seconds.append(np.maximum(one, other))
        heights.append(np.minimum(height[1:][face], height[:-1][face]))
    first, second, height = np.concatenate(firsts), np.concatenate(seconds), np.concatenate(heights)
    order = np.lexsort((-height, second, first))
    first, second, height = first[order], second[order], height[order]
    is_highest = np.ones(len(first), dtype=np.bool_)
    is_highest[1:] = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
    first, second, height = first[is_highest], second[is_highest], height[is_highest]
    order = np.argsort(-height, kind="stable")
    return _Contacts(first=first[order], second=second[order], height=height[order])


class _Groups:
    """Which fragments are one object: a forest of parents, and what is known of each root."""

    def __init__(self, fragments: IntLabels, landscape: NDArray[np.float32], *, ids: IntLabels) -> None:
        n = len(ids)
        self._parent = list(range(n))
        self._id = ids.tolist()
        self._size = np.bincount(fragments.ravel(), minlength=n).tolist()
        self._top = np.atleast_1d(ndimage.maximum(landscape, fragments, index=np.arange(n))).tolist()

    def join_shallow(self, contacts: _Contacts, *, depth: float) -> None:
        """Join over every pass that lies less than ``depth`` below the lower of the two tops."""
        for one, other, height in self._open(contacts):
            if min(self._top[one], self._top[other]) - height < depth:
                self._join(one, other)

    def join_small(self, contacts: _Contacts, *, smallest: int) -> None:
        """Give groups below ``smallest`` voxels to the neighbour with the highest pass."""
        for one, other, _ in self._open(contacts):
            if any(self._size[root] < smallest and not self._id[root] for root in (one, other)):
                self._join(one, other)

    def number(self, *, smallest: int, lowest: float) -> IntLabels:
        """Final label of each fragment: its painted id, else a new one; 0 in what is too small or too flat."""
        roots = [self._find(fragment) for fragment in range(len(self._parent))]
        kept = {root: self._id[root] for root in roots[1:]}
        new = max(self._id)
        for root, painted_id in kept.items():
            if not painted_id and self._size[root] >= smallest and self._top[root] >= lowest:
                new += 1
                kept[root] = new
        return np.array([0, *(kept[root] for root in roots[1:])], dtype=np.int32)

    def _open(self, contacts: _Contacts) -> Iterator[tuple[int, int, float]]:
        """Contacts between two groups, as they are by then, that paint does not keep apart."""
        triples = zip(contacts.first.tolist(), contacts.second.tolist(), contacts.height.tolist(), strict=True)
        for first, second, height in triples:
            one, other = self._find(first), self._find(second)
            if one != other and not (self._id[one] and self._id[other]):
                yield one, other, height

    def _find(self, fragment: int) -> int:
        parent = self._parent
        while parent[fragment] != fragment:
            parent[fragment] = parent[parent[fragment]]
            fragment = parent[fragment]
        return fragment

    def _join(self, one: int, other: int) -> None:
        self._parent[other] = one
        self._id[one] = self._id[one] or self._id[other]
        self._size[one] += self._size[other]
        self._top[one] = max(self._top[one], self._top[other])


def _crop_views(views: Sequence[PaintedView], *, spacing: Spacing) -> list[PaintedView]:
    """Cut a window around each painted plane: as deep as an object is high, as wide as the voxels allow."""
    if not views:
        return []
    height = np.cbrt(typical_volume((view.paint for view in views), spacing=spacing) * 6 / np.pi)
    reach = max(2, round(height / spacing[0]))
    side = int(np.sqrt(_SLAB_VOXELS / len(views) / (2 * reach + 1)))
    cropped = []
    for view in views:
        low, high = max(view.plane - reach, 0), view.plane + reach + 1
        rows, columns = (_window(np.any(view.paint, axis=axis), side) for axis in (1, 0))
        cropped.append(PaintedView(view.maps[:, low:high, rows, columns], view.plane - low, view.paint[rows, columns]))
    return cropped


def _window(occupied: NDArray[np.bool_], side: int) -> slice:
    """The ``side`` voxels around the middle of what is occupied, within the axis."""
    middle = int(np.median(np.flatnonzero(occupied)))
    start = min(max(middle - side // 2, 0), max(len(occupied) - side, 0))
    return slice(start, start + side)


def _score_planes(views: Sequence[PaintedView], *, spacing: Spacing, settings: InstanceSettings) -> NDArray[np.float64]:
    """SEG of each view's plane."""
    return np.array(
        [
            instance_scores(find_instances(view.maps, spacing=spacing, settings=settings)[view.plane], view.paint).seg
            for view in views
        ]
    )
