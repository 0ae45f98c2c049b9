"""One slice of a volume as the networks see it now, along any axis, in a second or two."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_weak3d.methods.slices.ensemble import Ensemble
from napari_weak3d.methods.slices.instances import InstanceSettings, find_instances
from napari_weak3d.methods.slices.scheme import Scheme
from napari_weak3d.methods.slices.targets import as_object_maps
from napari_weak3d.nn.slabs import SlabView
from napari_weak3d.types import IntLabels, Preview, SliceIndex

_STRIP = 48
"""Voxels to each side that a preview is computed with, where no slab brings its neighbours along.

With 24, a third of the foreground of noisy nuclei changes; with 48, 1 in 150 pixels.
"""
_PIXELS_ON_CPU = 4_000_000
"""Pixels that a preview takes a processor at most, of all networks together: about four seconds on one core."""

_LOOSE = InstanceSettings(min_top=0.0)


def count_affordable(view: SlabView, where: SliceIndex, *, scheme: Scheme) -> int:
    """How many networks a processor can ask without holding up the training; at least one.

    A slice across the planes of the stack takes a strip of every plane.
    """
    along = _stack_axes(scheme).index(where[0])
    sizes = list(view.shape[1:])
    sizes[along] = 1 if along == 0 else min(2 * _STRIP, sizes[along])
    return max(1, _PIXELS_ON_CPU // (sizes[0] * sizes[1] * sizes[2]))


def preview_slice(
    view: SlabView, where: SliceIndex, *, ensemble: Ensemble, biases: Sequence[float], sample: int
) -> Preview:
    """Predict one slice.

    Parameters
    ----------
    view
        The normalised volume, the stack axis first.
    where
        Axis of the volume as it came in, and index.
    ensemble
        What predicts.
    biases
        Added to the log-probability of each class.
    sample
        For the answer.

    Returns
    -------
    Class values; where objects are painted, ids, 0 background: each object of the slice has its own, which says nothing
    about other slices or later previews. The two axes in the order z, y, x.
    """
    scheme = ensemble.scheme
    stack_axes = _stack_axes(scheme)
    along = stack_axes.index(where[0])
    box, at = _cut_out(view, along=along, index=where[1])
    out = np.empty((ensemble.n_outputs(), *box.shape[1:]), np.float32)
    for _ in ensemble.predict(box, out=out):
        pass
    plane = out.take([at], axis=1 + along)
    find = _find_objects if scheme.paint == "objects" else _choose_classes
    labels = find(plane, scheme, biases=biases)[(slice(None),) * along + (0,)]
    # The remaining two axes come in the stack's order; a person expects them as z, y, x.
    remaining = [axis for axis in stack_axes if axis != where[0]]
    return Preview(where, labels if remaining[0] < remaining[1] else labels.T, sample)


def _stack_axes(scheme: Scheme) -> list[int]:
    """The axes of the volume as they came in, in the order of the view."""
    return [scheme.stack_axis, *(axis for axis in range(3) if axis != scheme.stack_axis)]


def _cut_out(view: SlabView, *, along: int, index: int) -> tuple[NDArray[np.float32] | SlabView, int]:
    """Give what a slice needs to be predicted, and where in it the slice lies."""
    if along == 0 and len(view.offsets) > 1:
        return view[:, index : index + 1, :, :], 0
    lo = max(0, index - _STRIP)
    cut = [slice(None)] * 4
    cut[1 + along] = slice(lo, index + _STRIP)
    return SlabView(view.image[tuple(cut)], view.offsets), index - lo


def _choose_classes(plane: NDArray[np.float32], scheme: Scheme, *, biases: Sequence[float]) -> IntLabels:
    """Turn shares of classes into the values of the likeliest; one of the three axes has the length 1."""
    scores = np.log(plane[: scheme.n_classes] + 1e-6) + np.array(biases, np.float32)[:, None, None, None]
    values: IntLabels = np.array([row.value for row in scheme.classes], np.int32)[scores.argmax(0)]
    return values


def _find_objects(plane: NDArray[np.float32], scheme: Scheme, *, biases: Sequence[float]) -> IntLabels:
    """Cut the foreground into objects, and leave none of it out: a section may be small, and young maps are flat."""
    return find_instances(as_object_maps(plane, biases=biases), spacing=scheme.stacked(scheme.spacing), settings=_LOOSE)
