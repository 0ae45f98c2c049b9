"""Where to click next: slices through centres that the model is least sure of."""

from __future__ import annotations

import numpy as np

from napari_weak3d.methods.centroids.scheme import Scheme
from napari_weak3d.methods.centroids.targets import region_mask
from napari_weak3d.types import Centroids, Prediction, Sample, SliceIndex, nearest_voxels

_FAINTEST = 0.1


def rank_slices(
    prediction: Prediction, sample: Sample, *, scheme: Scheme, threshold: float, count: int
) -> tuple[SliceIndex, ...]:
    """Choose z slices through unsure centres, spread out.

    A centre is the more worth a look the nearer its height is to the threshold, and only where no click is near it.
    Its worth falls on the slices within a cell's radius; slices without any follow by their mean uncertainty. All of
    this inside the sample's region: a click outside could not be learned from.

    Returns
    -------
    (0, z), best first; fewer than ``count`` where there are no more slices in the region.
    """
    assert isinstance(sample.annotation, Centroids)
    assert prediction.uncertainty is not None
    spacing, shape = scheme.measure(sample.volume).spacing, sample.volume.shape
    (low, high), rows, columns = sample.region or [(0, size) for size in shape]
    peaks = scheme.find_peaks(prediction.images["centres"], spacing=spacing, threshold=_FAINTEST)
    inside = region_mask(sample.region, shape=shape)[tuple(nearest_voxels(peaks.points_vox, shape=shape).T)]
    places = np.arange(low, high)
    known = prediction.uncertainty[low:high, slice(*rows), slice(*columns)]
    worth = 1e-3 * known.mean(axis=(1, 2), dtype=np.float64)
    for point, score in zip(peaks.points_vox[inside], peaks.scores[inside], strict=True):
        apart = np.linalg.norm((sample.annotation.points_vox - point) * spacing, axis=1)
        if len(apart) == 0 or apart.min() > scheme.look.radius:
            doubt = max(0.0, 1 - abs(score - threshold) / threshold)
            worth += doubt * np.exp(-(((places - point[0]) * spacing[0] / scheme.look.radius) ** 2))
    chosen: list[SliceIndex] = []
    for _ in range(min(count, high - low)):
        z = low + int(worth.argmax())
        chosen.append((0, z))
        # What one slice shows, its neighbours show too.
        worth = worth * (1 - np.exp(-(((places - z) * spacing[0] / (2 * scheme.look.radius)) ** 2)))
        worth[[index - low for _, index in chosen]] = -np.inf
    return tuple(chosen)
