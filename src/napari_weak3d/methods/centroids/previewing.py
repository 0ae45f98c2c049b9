"""One slice of a volume as the networks see it now: instances, or the centres while there are no masks."""

from __future__ import annotations

import numpy as np

from napari_weak3d.methods.centroids.instances import LEAST_CELL, Maps, find_instances
from napari_weak3d.methods.centroids.networks import N_OUTPUTS, Pair, split_outputs
from napari_weak3d.methods.centroids.scheme import Scheme
from napari_weak3d.methods.centroids.segmenting import find_cells
from napari_weak3d.methods.centroids.volumes import Annotated
from napari_weak3d.types import Preview, SliceIndex

_BALL = 1.0
"""Radius of a centre while there are no masks, in cell radii: it is seen as deep as clicks are."""
_REACH = 2.0
"""Cell radii to each side of the slice that are looked at: its cells have their centres there."""


def preview_slice(
    annotated: Annotated, where: SliceIndex, *, pair: Pair, scheme: Scheme, threshold: float, sample: int
) -> Preview:
    """Predict one slice, from the part of the volume that says something of it."""
    axis, index = where
    reach = max(2, round(_REACH * scheme.look.radius / annotated.spacing[axis]))
    lo = max(0, index - reach)
    cut = [slice(None)] * 4
    cut[1 + axis] = slice(lo, index + reach + 1)
    image = annotated.view.image[tuple(cut)]
    out = np.empty((N_OUTPUTS, *image.shape[1:]), np.float32)
    for _ in pair.predict(image, spacing=annotated.spacing, out=out):
        pass
    centre, mask, inside = split_outputs(out)
    maps = Maps(centre, mask, inside)
    labels = find_instances(
        maps,
        find_cells(maps, scheme=scheme, spacing=annotated.spacing, threshold=threshold),
        radius=scheme.look.radius,
        landscape=pair.config.landscape,
        spacing=annotated.spacing,
        ball=LEAST_CELL if pair.mask is not None else _BALL,
    )
    return Preview(where, np.ascontiguousarray(labels.take(index - lo, axis=axis)), sample)
