"""More cells like those that are clicked: by a model's centres, or before there is one as blobs of their size."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_weak3d.io.annotations import check_centroids
from napari_weak3d.messages import Command
from napari_weak3d.methods.centroids.blobs import answer_to_blobs, find_alike
from napari_weak3d.methods.centroids.model import CentroidsModel
from napari_weak3d.methods.centroids.peaks import Peaks
from napari_weak3d.methods.centroids.scale import measure_cells
from napari_weak3d.nn.slabs import view_volume
from napari_weak3d.types import Centroids, Progress, Proposals, Sample

ProposeJob = Generator[Progress, Command | None, Proposals]

_SAME = 1.0
"""A centre nearer to a click than this, in cell radii, is the clicked cell (ours)."""


def propose(sample: Sample, model: CentroidsModel | None) -> ProposeJob:
    """Find cells that have no click.

    Parameters
    ----------
    sample
        A volume with at least one click; where it has a region, cells are looked for there.
    model
        None: none is trained yet.

    Raises
    ------
    AnnotationError
        There is no click, or one outside of the volume.
    """
    assert isinstance(sample.annotation, Centroids)
    check_centroids(sample.annotation, sample.volume)
    if model is None:
        peaks, radius = yield from _find_blobs(sample)
    else:
        scheme = model.stored.scheme
        radius = scheme.look.radius * sample.volume.spacing[1] / scheme.measure(sample.volume).spacing[1]
        # clicks as seeds would hide what the network sees beside them
        no_clicks = {"use_clicks": False}
        prediction = yield from model.predict(sample.volume, settings=no_clicks)
        found, scores = model.find_centres(prediction, sample.volume, settings=no_clicks)
        peaks = Peaks(found.points_vox, scores)
    new = ~_near(peaks.points_vox, sample, within=_SAME * radius) & _inside(peaks.points_vox, sample)
    return Proposals(peaks.points_vox[new], peaks.scores[new], radius)


def _find_blobs(sample: Sample) -> Generator[Progress, Command | None, tuple[Peaks, float]]:
    assert isinstance(sample.annotation, Centroids)
    clicks, spacing = sample.annotation.points_vox, sample.volume.spacing
    yield Progress(0, 1, "measuring the clicked cells")
    image = view_volume(sample.volume).image[::2]
    look = measure_cells(image, clicks, spacing=spacing)
    answer = np.empty(image.shape[1:], np.float32)
    for done, total in answer_to_blobs(image[look.channel], look=look, spacing=spacing, out=answer):
        yield Progress(done, total, "looking for cells of this size")
    return find_alike(answer, clicks, look=look, spacing=spacing), look.radius


def _near(points_vox: NDArray[np.float64], sample: Sample, *, within: float) -> NDArray[np.bool_]:
    """(N,) whether a click is within a distance."""
    assert isinstance(sample.annotation, Centroids)
    clicks = cKDTree(sample.annotation.points_vox * sample.volume.spacing)
    apart, _ = clicks.query(points_vox * sample.volume.spacing)
    near: NDArray[np.bool_] = np.asarray(apart) <= within
    return near


def _inside(points_vox: NDArray[np.float64], sample: Sample) -> NDArray[np.bool_]:
    """(N,) whether a point lies in the region."""
    if sample.region is None:
        return np.ones(len(points_vox), bool)
    low, high = np.array(sample.region).T
    inside: NDArray[np.bool_] = ((points_vox >= low - 0.5) & (points_vox < high - 0.5)).all(axis=1)
    return inside
