"""From the networks' maps to labels: centres, instances, uncertainty.

``Prediction.probabilities`` is the foreground, cut at 0.5; where a centre has no mask, the small ball that stands for
its cell is 0.5.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree

from napari_weak3d.messages import Command, Stop
from napari_weak3d.methods.centroids.config import CentroidsConfig, PseudoLabels
from napari_weak3d.methods.centroids.instances import Maps, place_seeds, share_out
from napari_weak3d.methods.centroids.networks import N_OUTPUTS, Pair, split_outputs
from napari_weak3d.methods.centroids.peaks import Peaks
from napari_weak3d.methods.centroids.pseudo import BACKGROUND
from napari_weak3d.methods.centroids.responding import draw_responses
from napari_weak3d.methods.centroids.scale import CellLook
from napari_weak3d.methods.centroids.scheme import KnownClicks, Scheme
from napari_weak3d.methods.centroids.targets import region_mask
from napari_weak3d.nn.device import is_out_of_memory
from napari_weak3d.nn.objects import list_objects
from napari_weak3d.nn.slabs import SlabView, view_volume
from napari_weak3d.nn.uncertainty import binary_entropy
from napari_weak3d.nn.voxels import compare_voxels
from napari_weak3d.types import RELATIVE, IntLabels, Prediction, Progress, Spacing, Volume, nearest_voxels

_ALIKE = 2.0
"""Voxels that differ more than this from those of training are worth a word: things look other than learned (ours)."""
_IN_VOXELS = "the size of a voxel is known of {known} only: cells are taken to be as large, in voxels, as in training"
_NO_MASKS = "the training ended before masks were learned: cells are drawn as balls; train longer"
_NO_RESPONSES = "there are no response maps: memory ran out"
_SURE = 0.5
"""A peak as high as this is a cell that was forgotten, even where all were clicked (ours)."""
_APART = 1.0
"""A peak nearer to a click than this, in cell radii, is the clicked cell (ours)."""
_MASK = 0.5
_INSIDE = 0.5
"""A click lies beside its cell where the probability of a cell's inside is below this (ours)."""


def segment_volume(
    pair: Pair,
    volume: Volume,
    *,
    scheme: Scheme,
    threshold: float,
    config: CentroidsConfig,
    clicks: KnownClicks | None,
) -> Generator[Progress, Command | None, Prediction]:
    """Segment a volume.

    Parameters
    ----------
    threshold
        Least height of a peak.
    config
        Settings of segmenting.
    clicks
        What is known of this very volume, or None.

    Yields
    ------
    Progress
        Per tile, then per part of the mask, then per response map. Send Stop to end early: what is not predicted yet
        comes out as background, parts that are not shared out yet belong to no object, and without all response maps
        there are none.
    """
    notes = _warn(pair, volume, scheme=scheme)
    volume = scheme.measure(volume)
    view = view_volume(volume)
    maps, stopped = yield from _predict_maps(pair, view, spacing=volume.spacing, look=scheme.look, notes=notes)
    seeds = find_seeds(maps, volume, scheme=scheme, threshold=threshold, clicks=clicks)
    found = np.zeros(volume.shape, np.int32)
    for done, total in share_out(
        maps, seeds, radius=scheme.look.radius, landscape=config.landscape, spacing=volume.spacing, out=found
    ):
        if not stopped and (stopped := isinstance((yield Progress(done, max(1, total), "parting cells")), Stop)):
            break
    made = _make_prediction(maps, seeds, found, smallest_object=config.smallest_object)
    prediction = replace(made, notes=notes, least_score=threshold)
    if stopped or not config.responses:
        return prediction
    return (yield from _add_responses(prediction, pair, view, seeds=seeds, look=scheme.look, kind=config.pseudo_labels))


def _warn(pair: Pair, volume: Volume, *, scheme: Scheme) -> tuple[str, ...]:
    """What is to be said of a segmentation before it begins."""
    notes = []
    if (factor := compare_voxels(volume, spacing=scheme.spacing, unit=scheme.unit)) > _ALIKE:
        notes.append(f"voxels differ {factor:.2g} times from those of training: check the spacing")
    if (volume.unit == RELATIVE) != (scheme.unit == RELATIVE):
        notes.append(_IN_VOXELS.format(known="the training images" if volume.unit == RELATIVE else "this image"))
    if pair.mask is None:
        notes.append(_NO_MASKS)
    return tuple(notes)


def _predict_maps(
    pair: Pair, view: SlabView, *, spacing: Spacing, look: CellLook, notes: tuple[str, ...]
) -> Generator[Progress, Command | None, tuple[Maps, bool]]:
    """Predict tile by tile, and tell whether Stop came: then there is background where no tile was."""
    out = np.zeros((N_OUTPUTS, *view.shape[1:]), np.float32)
    stopped, notices = False, ["; ".join(["segmenting", *notes])]
    for done, total in pair.predict(view.image, spacing=spacing, out=out, on_shrink=notices.append):
        if stopped := isinstance((yield Progress(done, total, notices[-1])), Stop):
            out[1 + BACKGROUND] += 1 - out[1:].sum(axis=0)  # where tiles fade, what is there is not all
            break
    centre, mask, inside = split_outputs(out)
    sign = 1 if look.bright_inside else -1
    return Maps(centre, mask, inside, -sign * view.image[2 * look.channel]), stopped


def _add_responses(
    prediction: Prediction, pair: Pair, view: SlabView, *, seeds: Peaks, look: CellLook, kind: PseudoLabels
) -> Generator[Progress, Command | None, Prediction]:
    """Add the response maps of the seeds; after Stop, or where memory runs out, the prediction is as it was."""
    responses = np.empty(view.shape[1:], np.float32)
    try:
        for done, total in draw_responses(
            pair.centre,
            view.image,
            seeds.points_vox,
            kind=kind,
            look=look,
            multiple=pair.centre.multiple,
            out=responses,
        ):
            if isinstance((yield Progress(done, total, "tracing responses")), Stop):
                return prediction
    except Exception as error:  # what is segmented is not lost for them
        if not is_out_of_memory(error):
            raise
        return replace(prediction, notes=(*prediction.notes, _NO_RESPONSES))
    return replace(prediction, images={**prediction.images, "responses": responses})


def find_seeds(maps: Maps, volume: Volume, *, scheme: Scheme, threshold: float, clicks: KnownClicks | None) -> Peaks:
    """Find the centres that objects grow from: clicks, where there are some, and peaks of the centre map."""
    peaks = find_cells(maps, scheme=scheme, spacing=volume.spacing, threshold=threshold)
    return peaks if clicks is None else add_clicks(peaks, clicks, maps=maps, scheme=scheme, volume=volume)


def find_cells(maps: Maps, *, scheme: Scheme, spacing: Spacing, threshold: float) -> Peaks:
    """Find the peaks of the centre map, one in each cell as the mask shows it.

    The network of centres doubts where in a large cell its centre is; that of masks sees whether a border lies between
    two peaks. While there are no masks, all peaks count.
    """
    peaks = scheme.find_peaks(maps.centre, spacing=spacing, threshold=threshold)
    if not (maps.mask >= _MASK).any():
        return peaks
    return scheme.join_within(peaks, maps.centre, maps.inside, spacing=spacing)


def add_clicks(peaks: Peaks, clicks: KnownClicks, *, maps: Maps, scheme: Scheme, volume: Volume) -> Peaks:
    """Let clicks be centres, and of the peaks only those that are none of the clicked cells.

    A click of a human hand may lie beside its cell: where the mask has no inside of a cell there, the highest peak of
    its cell is the centre. Where clicks are complete, further peaks have to be sure. Clicks have the score 1.
    """
    apart, owner = cKDTree(clicks.points_vox * volume.spacing).query(peaks.points_vox * volume.spacing)
    clicked = apart <= _APART * scheme.look.radius
    complete = region_mask(clicks.region, shape=volume.shape)
    sure = (peaks.scores >= _SURE) | ~complete[tuple(nearest_voxels(peaks.points_vox, shape=volume.shape).T)]
    centres = clicks.points_vox.copy()
    beside = maps.inside[tuple(nearest_voxels(centres, shape=volume.shape).T)] < _INSIDE
    for row in np.flatnonzero(clicked)[::-1]:  # the highest comes first, and stays
        if beside[owner[row]]:
            centres[owner[row]] = peaks.points_vox[row]
    further = ~clicked & sure
    return Peaks(
        np.concatenate([centres, peaks.points_vox[further]]),
        np.concatenate([np.ones(len(centres)), peaks.scores[further]]),
    )


def find_grown(seeds: Peaks, labels: IntLabels, *, maps: Maps, scheme: Scheme, spacing: Spacing) -> Peaks:
    """Keep the seeds that have an object in the labels (Z, Y, X): some are too small, or lost their voxel to others."""
    markers, _ = place_seeds(seeds, maps.mask >= _MASK, radius=scheme.look.radius, spacing=spacing)
    rows = np.unique(markers[(markers > 0) & (labels > 0)]) - 1
    return Peaks(seeds.points_vox[rows], seeds.scores[rows])


def _make_prediction(maps: Maps, seeds: Peaks, found: IntLabels, *, smallest_object: int) -> Prediction:
    """Turn labels (Z, Y, X) of rows of the seeds + 1 into objects, numbered anew; the labels are used up."""
    found[(np.bincount(found.ravel()) < smallest_object)[found]] = 0
    rows = np.unique(found[found > 0])
    numbers = np.zeros(len(seeds) + 1, np.int32)
    numbers[rows] = np.arange(1, len(rows) + 1)
    labels = numbers[found]
    scores = np.clip(seeds.scores[rows - 1], 0, 1)
    foreground = np.where(labels > 0, np.maximum(maps.mask, 0.5), maps.mask)
    return Prediction(
        labels=labels,
        objects=tuple(
            replace(row, score=float(score))
            for row, score in zip(list_objects(labels, classes=None), scores, strict=True)
        ),
        uncertainty=binary_entropy(maps.mask),
        images={"centres": maps.centre, "mask": maps.mask, "inside": maps.inside},
        probabilities=foreground.astype(np.float16)[None],
    )
