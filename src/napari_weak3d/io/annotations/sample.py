"""A volume with its annotation, checked at the door."""

from __future__ import annotations

import numpy as np

from napari_weak3d.errors import AnnotationError
from napari_weak3d.io.annotations.boxes import check_boxes
from napari_weak3d.io.annotations.centroids import check_centroids
from napari_weak3d.io.annotations.slices import check_slices
from napari_weak3d.io.volumes import check_image
from napari_weak3d.types import AXES, Boxes, Centroids, Sample, Slices


def check_sample(sample: Sample, *, kind: str) -> None:
    """Make sure that a method can work on a volume and what is annotated in it.

    Parameters
    ----------
    sample
        A volume with one annotation. Of clicks there may be none.
    kind
        The noun that the method learns from.

    Raises
    ------
    VolumeError, AnnotationError
        As the checks of the volume and of each kind say; the annotation is of another kind; the region is empty, or
        reaches outside the volume.
    """
    if not isinstance(sample, Sample):
        raise AnnotationError(f"a {type(sample).__name__} is no sample: make one with Sample(volume, annotation)")
    check_image(sample.volume)
    if type(sample.annotation).__name__ != kind:
        raise AnnotationError(
            f"this method learns from {kind.lower()}, not from {type(sample.annotation).__name__.lower()}",
            where="method",
        )
    if sample.region is not None and np.shape(sample.region) != (len(AXES), 2):
        raise AnnotationError(
            f"the region {sample.region!r} is not first and end along z, y and x: give ((z0, z1), (y0, y1), (x0, x1))",
            where="region",
            value=sample.region,
        )
    for axis, (low, high), size in zip(AXES, sample.region or (), sample.volume.shape, strict=False):
        if not 0 <= low < high <= size:
            raise AnnotationError(
                f"the region {low}:{high} along {axis} does not lie in {sample.volume.name}, which has {size} voxels",
                where="region",
                value=(low, high),
            )
    if isinstance(sample.annotation, Slices):
        check_slices(sample.annotation, sample.volume, region=sample.region)
    if isinstance(sample.annotation, Centroids) and len(sample.annotation.points_vox):
        check_centroids(sample.annotation, sample.volume)
    if isinstance(sample.annotation, Boxes):
        check_boxes(sample.annotation, sample.volume)
