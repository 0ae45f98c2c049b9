"""From painted slices to what a network learns: classes per voxel, unlabelled ones left out, planes to hold out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_weak3d.methods.slices.object_targets import make_object_maps
from napari_weak3d.nn.warp import UNLABELLED
from napari_weak3d.types import IntLabels, PaintClass, Region, Slices, Spacing

OBJECT_CLASSES = ("background", "object", "touch")
"""What is told apart where objects are painted: touch is where two of them meet."""
BACKGROUND, OBJECT, TOUCH = range(3)


@dataclass(frozen=True, eq=False)
class PlaneTargets:
    """Painted slices, the stack axis first.

    Attributes
    ----------
    labels
        (Z, Y, X) int16: indices of classes, or ``UNLABELLED``.
    maps
        (E, Z, Y, X) float32 in 0..1: for objects the core map, else E = 0.
    complete
        Planes of the stack that are complete, no voxel unlabelled, ascending.
    """

    labels: NDArray[np.int16]
    maps: NDArray[np.float32]
    complete: tuple[int, ...]


def choose_stack_axis(slices: Sequence[Slices], *, spacing: Spacing) -> int:
    """Choose the axis along which planes are stacked: the one whose complete slices have the most pixels.

    Pixels, not slices: across flat voxels a slice is small, and coarse along one side. Ties, and paint without any
    complete slice, go to an axis of one slice (a 2D image), then to the axis with the longest voxels, then to z.
    """
    pixels = [0, 0, 0]
    for item in slices:
        for axis, _ in item.annotated:
            pixels[axis] += item.labels.size // item.labels.shape[axis]
    is_flat = [all(item.labels.shape[axis] == 1 for item in slices) for axis in range(3)]
    return max(range(3), key=lambda axis: (pixels[axis], is_flat[axis], spacing[axis], -axis))


def order_classes(classes: Sequence[PaintClass]) -> tuple[PaintClass, ...]:
    """Put background first (index 0 of the network's classes), the others by value."""
    return tuple(sorted(classes, key=lambda row: (not row.background, row.value)))


def make_class_targets(
    slices: Slices, *, classes: Sequence[PaintClass], stack_axis: int, region: Region | None = None
) -> PlaneTargets:
    """Turn painted classes into class indices.

    Unpainted voxels of complete slices, along any axis, are background (inside the region); all other unpainted voxels
    are unlabelled, and so are values that are no class. A plane with any unlabelled voxel does not count as complete.

    Parameters
    ----------
    slices
        Checked paint of classes.
    classes
        As :func:`order_classes` gives them.
    stack_axis
        The axis that comes first in the result.
    region
        Where complete slices are complete; None: everywhere. Outside it only paint counts.
    """
    inside = _inside(region, shape=slices.labels.shape)
    labels = np.full(slices.labels.shape, UNLABELLED, np.int16)
    for found, paint in zip(labels, slices.labels, strict=True):
        if paint.any():  # most planes of a volume hold none, and are not looked at again
            for index, row in enumerate(classes):
                found[(paint == row.value) & (paint > 0)] = index
    for axis, at in slices.annotated:
        plane, paint, within = (np.moveaxis(array, axis, 0)[at] for array in (labels, slices.labels, inside))
        plane[(paint == 0) & within] = 0
    stacked = np.ascontiguousarray(np.moveaxis(labels, stack_axis, 0))
    complete = tuple(plane for plane in complete_planes(slices, stack_axis) if (stacked[plane] != UNLABELLED).all())
    return PlaneTargets(stacked, np.empty((0, *stacked.shape), np.float32), complete)


def make_object_targets(
    slices: Slices, *, stack_axis: int, spacing: Spacing, region: Region | None = None
) -> PlaneTargets:
    """Turn painted objects into background, object and touch, and the core map.

    Only complete planes along the stack are learned from: where two objects meet, and how far an edge is, a part of
    a plane does not tell.

    Parameters
    ----------
    slices
        Checked paint of objects.
    spacing
        (z, y, x) of the volume, as it came in.
    region
        Where complete slices are complete; None: everywhere. Outside it nothing is learned.
    """
    inside = np.moveaxis(_inside(region, shape=slices.labels.shape), stack_axis, 0)
    ids = np.moveaxis(slices.labels, stack_axis, 0)
    in_plane = [along for axis, along in enumerate(spacing) if axis != stack_axis]
    labels = np.full(ids.shape, UNLABELLED, np.int16)
    maps = np.zeros((1, *ids.shape), np.float32)
    for plane in complete_planes(slices, stack_axis):
        foreground, touch, core = make_object_maps(ids[plane], spacing=(in_plane[0], in_plane[1]))
        found = np.where(touch > 0, TOUCH, np.where(foreground > 0, OBJECT, BACKGROUND))
        labels[plane] = np.where(inside[plane], found, UNLABELLED)
        maps[0, plane] = core
    complete = tuple(plane for plane in complete_planes(slices, stack_axis) if inside[plane].all())
    return PlaneTargets(labels, maps, complete)


def _inside(region: Region | None, *, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """(Z, Y, X): whether a voxel lies in the region; takes no memory where there is none."""
    if region is None:
        return np.broadcast_to(np.True_, shape)
    inside = np.zeros(shape, np.bool_)
    inside[tuple(slice(lo, hi) for lo, hi in region)] = True
    return inside


def complete_planes(slices: Slices, stack_axis: int) -> tuple[int, ...]:
    """Complete planes along the stack, ascending."""
    return tuple(sorted({index for axis, index in slices.annotated if axis == stack_axis}))


def taught_planes(slices: Slices, *, stack_axis: int) -> tuple[int, ...]:
    """Planes of the stack that paint teaches something of, ascending: complete ones, and those painted in part.

    The single row in which a complete slice along another axis cuts a plane does not count: it tells little of the
    rest. Of objects, complete planes teach only.
    """
    taught = set(complete_planes(slices, stack_axis))
    if slices.paint == "objects":
        return tuple(sorted(taught))
    stack = np.moveaxis(slices.labels, stack_axis, 0)
    beside = np.ones(stack.shape[1:], np.bool_)
    in_plane = [axis for axis in range(3) if axis != stack_axis]
    for axis, index in slices.annotated:
        if axis != stack_axis:
            np.moveaxis(beside, in_plane.index(axis), 0)[index] = False
    taught |= {index for index, plane in enumerate(stack) if plane.any() and plane[beside].any()}
    return tuple(sorted(taught))


def paint_planes(slices: Slices, *, stack_axis: int) -> dict[int, IntLabels]:
    """Give the paint (Y, X) of each complete plane of the stack."""
    stack = np.moveaxis(slices.labels, stack_axis, 0)
    return {plane: np.ascontiguousarray(stack[plane]) for plane in complete_planes(slices, stack_axis)}


def split_planes(targets: PlaneTargets, *, n_parts: int) -> list[tuple[int, ...]]:
    """Share out the planes that can be held out: part m is what member m does not see.

    Complete planes go round the members; a member that is alone holds out every third one, so that it has some left.
    Where there are fewer than two, runs of neighbouring planes with any paint do: a patch of a held-out slice's
    neighbour would flatter. Where there is one run only, nothing can be held out and all parts are empty.
    """
    runs: list[tuple[int, ...]] = [(plane,) for plane in targets.complete]
    if len(runs) < 2:
        painted = labelled_planes(targets)
        breaks = np.flatnonzero(np.diff(painted) > 1) + 1
        runs = [tuple(int(plane) for plane in run) for run in np.split(painted, breaks)]
    if len(runs) < 2:
        return [()] * n_parts
    step = n_parts if n_parts > 1 else min(len(runs), 3)
    return [tuple(plane for run in runs[part::step] for plane in run) for part in range(n_parts)]


def extend_split(
    targets: PlaneTargets, *, before: PlaneTargets, parts: Sequence[tuple[int, ...]]
) -> list[tuple[int, ...]]:
    """Share out the planes of paint that has grown: old planes stay where they were, new ones go round.

    A member has learned from the planes outside its part by then, and cannot be tested on them; so a plane that was in
    no part stays in none.

    Parameters
    ----------
    targets
        The paint as it is now.
    before, parts
        As it was, and how its planes were shared out.
    """
    now, old = set(labelled_planes(targets).tolist()), set(labelled_planes(before).tolist())
    fresh = split_planes(targets, n_parts=len(parts))
    return [tuple(sorted(now & set(part) | (set(added) - old))) for part, added in zip(parts, fresh, strict=True)]


def labelled_planes(targets: PlaneTargets) -> NDArray[np.intp]:
    """Planes of which anything is labelled, ascending."""
    return np.flatnonzero([(plane != UNLABELLED).any() for plane in targets.labels])


def as_object_maps(outputs: NDArray[np.float32], *, biases: Sequence[float]) -> NDArray[np.float32]:
    """Turn what the networks give into maps of objects.

    Parameters
    ----------
    outputs
        (4, Z, Y, X): probabilities of background, object and touch, and the core.
    biases
        Added to the logarithms of the three probabilities.

    Returns
    -------
    (3, Z, Y, X) float32: foreground, touch, core.
    """
    shares = outputs[:-1] * np.exp(np.array(biases, np.float32))[:, None, None, None]
    shares /= np.maximum(shares.sum(axis=0), 1e-6)
    return np.stack([1 - shares[BACKGROUND], shares[TOUCH], outputs[-1]])
