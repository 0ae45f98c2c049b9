"""A training volume with all that is made of its clicks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from napari_weak3d.methods.centroids.config import CentroidsConfig, Refinement, Stain
from napari_weak3d.methods.centroids.peaks import Peaks
from napari_weak3d.methods.centroids.pseudo import make_mask_targets, make_pseudo_labels
from napari_weak3d.methods.centroids.refine import edge_strength
from napari_weak3d.methods.centroids.rings import LEAST_DARKNESS, find_rings, is_transmitted
from napari_weak3d.methods.centroids.scale import CellLook, fill_room, list_radii, measure_cells
from napari_weak3d.methods.centroids.targets import (
    VoronoiCells,
    choose_reach,
    find_voronoi_cells,
    make_centre_map,
    nearest_neighbours,
    region_mask,
)
from napari_weak3d.nn.slabs import SlabView
from napari_weak3d.nn.warp import UNLABELLED
from napari_weak3d.types import Centroids, Region, Sample, Spacing, nearest_voxels

_FARTHEST = 1.0
"""A peak farther than this from every click, in cell radii, has none (ours)."""
_MOST_UNCLICKED = 0.15
"""Peaks without click that count as cells forgotten, as a share of the clicks: more is a network that errs (ours)."""
_MERGE_SHARE = 0.4
"""Peaks are merged below this part of the distance at which the closest clicks lie (ours)."""
_CLOSEST_PERCENTILE = 5
_SIGNS = {Stain.AUTO: (1, -1), Stain.INSIDE: (1,), Stain.BORDER: (-1,)}


@dataclass(frozen=True, eq=False)
class Annotated:
    """A volume with its clicks.

    Attributes
    ----------
    view
        The normalised image.
    points_vox
        (N, 3) clicks.
    cells
        Their Voronoi cells.
    look
        What its cells look like.
    known
        (Z, Y, X) bool: where clicks are complete.
    forgotten
        Where there seem to be cells without a click; nothing is learned around them.
    """

    view: SlabView
    spacing: Spacing
    points_vox: NDArray[np.float64]
    cells: VoronoiCells
    look: CellLook
    known: NDArray[np.bool_]
    region: Region | None
    forgotten: Peaks = field(default_factory=lambda: Peaks(np.zeros((0, 3)), np.zeros(0)))

    @property
    def shape(self) -> tuple[int, int, int]:
        """(Z, Y, X)."""
        z, y, x = self.known.shape
        return z, y, x

    @property
    def image(self) -> NDArray[np.float32]:
        """(Z, Y, X): the brightness that shows cells best."""
        values: NDArray[np.float32] = self.view.image[2 * self.look.channel]
        return values

    def centre_map(self, config: CentroidsConfig) -> NDArray[np.float32]:
        """(Z, Y, X) float32: the target of the first network."""
        reach = choose_reach(self.points_vox, radius=self.look.radius, spacing=self.spacing)
        return make_centre_map(self.cells, reach=reach, sharpness=config.sharpness, spacing=self.spacing)

    def mark_clicks(self, labels: NDArray[np.int16]) -> NDArray[np.int16]:
        """(Z, Y, X) int16: 1 at the voxels that hold a click, else 0; ``UNLABELLED`` where ``labels`` is."""
        marks = np.where(labels == UNLABELLED, UNLABELLED, 0).astype(np.int16)
        at = tuple(nearest_voxels(self.points_vox, shape=self.shape).T)
        marks[at] = np.where(marks[at] == UNLABELLED, UNLABELLED, 1)
        return marks

    def learnable(self) -> NDArray[np.bool_]:
        """(Z, Y, X) bool: known, and not around a cell that seems forgotten."""
        if not len(self.forgotten):
            return self.known
        around = find_voronoi_cells(
            self.forgotten.points_vox, shape=self.shape, spacing=self.spacing, within=1.5 * self.look.radius
        )
        return self.known & ((around.owner < 0) | (around.distance > self.cells.distance))

    def mask_targets(
        self, *, responses: NDArray[np.float32] | None = None, response_share: float = 1.0
    ) -> NDArray[np.int16]:
        """(Z, Y, X) int16: what the second network learns; by the image, or by responses (Z, Y, X) too."""
        pseudo = make_pseudo_labels(
            self.image,
            self.points_vox,
            cells=self.cells,
            look=self.look,
            spacing=self.spacing,
            responses=responses,
            response_share=response_share,
        )
        return make_mask_targets(pseudo, known=self.learnable())

    def edges(self, config: CentroidsConfig) -> NDArray[np.float32]:
        """(Z, Y, X) float32: edges of the image, for the refinement loss."""
        by_look = Refinement.BRIGHT_FIELD if self.look.transmitted else Refinement.FLUORESCENCE
        kind = by_look if config.refinement is Refinement.AUTO else config.refinement
        part = ... if self.region is None else tuple(slice(lo, hi) for lo, hi in self.region)
        return edge_strength(
            self.image, kind=kind, spacing=self.spacing, sigma_vox=config.refinement_sigma, region=part
        )


def annotate(sample: Sample, view: SlabView, *, config: CentroidsConfig, look: CellLook | None = None) -> Annotated:
    """Put together what clicks and image say of each other; ``look`` of the cells: None, it is measured, which takes
    seconds."""
    assert isinstance(sample.annotation, Centroids)
    points, spacing = sample.annotation.points_vox, sample.volume.spacing
    known = region_mask(sample.region, shape=view.shape[1:])
    cells = find_cells_of_voxels(points, shape=known.shape, spacing=spacing)
    measured = look or look_at(view.image[::2], points, spacing=spacing, region=sample.region, stain=config.stain)
    annotated = Annotated(view, spacing, points, cells, measured, known, sample.region)
    if not (config.centre_clicks and measured.bright_inside):
        return annotated
    middles = find_middles(annotated)
    cells = find_cells_of_voxels(middles, shape=known.shape, spacing=spacing)
    return replace(
        annotated, points_vox=middles, cells=cells, look=look or look_again(annotated, middles, config=config)
    )


def find_cells_of_voxels(points_vox: NDArray[np.float64], *, shape: tuple[int, ...], spacing: Spacing) -> VoronoiCells:
    """Find the cells of the voxels that hold clicks: else one between two voxels would be the centre of nothing."""
    return find_voronoi_cells(nearest_voxels(points_vox).astype(np.float64), shape=shape, spacing=spacing)


def find_middles(annotated: Annotated) -> NDArray[np.float64]:
    """Find the middle of what is bright around each click (ours).

    Returns
    -------
    (N, 3), voxels; never farther from the click than a cell's radius.

    Notes
    -----
    A hand misses the middle of a cell by a third of its radius and more, which a network that is to find middles
    cannot learn; masks of the image alone miss it by less (measured).
    """
    points, spacing = annotated.points_vox, np.array(annotated.spacing)
    pseudo = make_pseudo_labels(
        annotated.image, points, cells=annotated.cells, look=annotated.look, spacing=annotated.spacing
    )
    middles = points.copy()
    for row, box in enumerate(ndimage.find_objects(pseudo.labels, max_label=len(points))):
        if box is not None:
            own = np.argwhere(pseudo.labels[box] == row + 1)
            middles[row] = own.mean(axis=0) + [along.start for along in box]
    way = (middles - points) * spacing
    lengths = np.linalg.norm(way, axis=1, keepdims=True)
    way *= np.minimum(1, annotated.look.radius / np.maximum(lengths, 1e-9))
    moved: NDArray[np.float64] = points + way / spacing
    return moved


def look_at(
    image: NDArray[np.float32],
    points_vox: NDArray[np.float64],
    *,
    spacing: Spacing,
    region: Region | None = None,
    stain: Stain = Stain.AUTO,
) -> CellLook:
    """Tell what clicked cells look like.

    Parameters
    ----------
    image
        (C, Z, Y, X), one channel per stain, normalised.
    points_vox
        (N, 3) clicks, at least one.
    spacing
        (z, y, x).
    region
        Where all cells are clicked.
    stain
        What is bright; "auto" asks the image. Transmitted light is only recognised where it is all there is.
    """
    part = tuple(slice(lo, hi) for lo, hi in region or [(0, size) for size in image.shape[1:]])
    low = [along.start for along in part]
    asked = stain is Stain.NEITHER
    if asked or (stain is Stain.AUTO and all(is_transmitted(each[part], points_vox - low) for each in image)):
        radii = list_radii(points_vox, shape=image.shape[1:], spacing=spacing)
        found = [find_rings(each, points_vox, radii=(radii[0], radii[-1]), spacing=spacing) for each in image]
        channel = int(np.argmax([each.darkness for each in found]))
        if asked or found[channel].darkness >= LEAST_DARKNESS:
            return CellLook(found[channel].radius, bright_inside=False, channel=channel, transmitted=True)
    look = measure_cells(image, points_vox, spacing=spacing, signs=_SIGNS[stain])
    return fill_room(look, image, points_vox, spacing=spacing)


def settle_clicks(
    annotated: Annotated, peaks: Peaks, *, config: CentroidsConfig, look: CellLook | None = None
) -> Annotated:
    """Move each click to the middle of its cell, as the first network sees it (ours).

    Masks are first made of what lies around clicks; a click of a human hand may lie on a membrane. The paper's pseudo
    labels come from the network's maxima too (section 3.2).

    Parameters
    ----------
    peaks
        Sure ones of the whole volume. A click takes the highest of those that are nearer to it than to others and
        within a cell's radius; without one it stays.
    look
        Of the cells; None: it is measured there.
    """
    points, spacing = annotated.points_vox.copy(), np.array(annotated.spacing)
    if len(peaks):
        apart, nearest = cKDTree(points * spacing).query(peaks.points_vox * spacing)
        for row in np.argsort(peaks.scores, kind="stable"):  # the highest comes last, and stays
            if apart[row] <= annotated.look.radius:
                points[nearest[row]] = peaks.points_vox[row]
    cells = find_cells_of_voxels(points, shape=annotated.shape, spacing=annotated.spacing)
    return replace(annotated, points_vox=points, cells=cells, look=look or look_again(annotated, points, config=config))


def look_again(annotated: Annotated, points_vox: NDArray[np.float64], *, config: CentroidsConfig) -> CellLook:
    """Tell what cells look like from better points; transmitted light stays transmitted."""
    stain = Stain.NEITHER if annotated.look.transmitted else config.stain
    image, spacing = annotated.view.image[::2], annotated.spacing
    return look_at(image, points_vox, spacing=spacing, region=annotated.region, stain=stain)


def find_forgotten(annotated: Annotated, peaks: Peaks) -> Peaks:
    """Choose the peaks that look like cells without a click, the surest first.

    Parameters
    ----------
    peaks
        Sure ones of the whole volume, the highest first.
    """
    shape = annotated.known.shape
    at = tuple(nearest_voxels(peaks.points_vox, shape=shape).T)
    alone = annotated.known[at] & (annotated.cells.distance[at] > _FARTHEST * annotated.look.radius)
    rows = np.flatnonzero(alone)[: int(_MOST_UNCLICKED * len(annotated.points_vox))]
    return Peaks(peaks.points_vox[rows], peaks.scores[rows])


def choose_look(annotated: Sequence[Annotated]) -> CellLook:
    """Choose the cell that is typical of several volumes: the median of the radii, the look of most."""
    weights = [len(each.points_vox) for each in annotated]
    looks = [each.look for each in annotated]
    votes = {look: sum(w for w, one in zip(weights, looks, strict=True) if _alike(one, look)) for look in looks}
    most = max(votes, key=lambda look: votes[look])
    radius = float(np.median([look.radius for look in looks if _alike(look, most)]))
    return replace(most, radius=radius)


def _alike(one: CellLook, other: CellLook) -> bool:
    return replace(one, radius=other.radius) == other


def choose_merge_distance(annotated: Sequence[Annotated]) -> float:
    """Choose how near two peaks are one: well below the distance of the closest clicks, and of a cell's radius."""
    closest = [
        _MERGE_SHARE
        * float(np.percentile(nearest_neighbours(each.points_vox, spacing=each.spacing), _CLOSEST_PERCENTILE))
        for each in annotated
        if len(each.points_vox) > 1
    ]
    return min([*closest, *(0.75 * each.look.radius for each in annotated)])


def make_labels(centre_map: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.int16]:
    """(Z, Y, X) int16: 1 near a click, 0 elsewhere, ``UNLABELLED`` where nothing is known."""
    return np.where(known, centre_map > 0, UNLABELLED).astype(np.int16)
