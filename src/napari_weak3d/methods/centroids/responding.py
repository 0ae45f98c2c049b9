"""The response maps of a volume's cells as one image: to make pseudo labels of, and to look at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import nn

from napari_weak3d.methods.centroids.blocks import iter_response_maps
from napari_weak3d.methods.centroids.config import PseudoLabels
from napari_weak3d.methods.centroids.peaks import Peaks
from napari_weak3d.methods.centroids.responses import ResponseMap, Rule, Side
from napari_weak3d.methods.centroids.scale import CellLook
from napari_weak3d.methods.centroids.volumes import Annotated
from napari_weak3d.types import nearest_voxels

Triple: TypeAlias = tuple[int, int, int]

_RULES: dict[PseudoLabels, Rule] = {
    PseudoLabels.IMAGE: "guided",
    PseudoLabels.GUIDED: "guided",
    PseudoLabels.EXCITATION: "excitation",
    PseudoLabels.BOTH: "guided",
}


def respond(
    net: nn.Module,
    annotated: Annotated,
    peaks: Peaks,
    *,
    kind: PseudoLabels,
    multiple: Triple,
    out: NDArray[np.float32],
) -> Iterator[tuple[int, int]]:
    """Draw every cell's response map into its click's Voronoi cell.

    Each peak of the network is run back to the image; a cell may have several, and its image is their maximum. A
    click near which there is no peak is run back from its own voxel.

    Parameters
    ----------
    net
        The network of centres, in evaluation mode, float32.
    peaks
        What it found in the volume.
    kind
        Not ``IMAGE``.
    multiple
        What the network's input sizes must be multiples of.
    out
        (Z, Y, X) float32; overwritten, at least 0.

    Yields
    ------
    (done, total)
        Peaks.
    """
    out[...] = 0
    starts = _starts(annotated, peaks)
    rows = annotated.cells.owner[tuple(starts.T)]
    for done, (number, found) in enumerate(
        _trace_back(net, annotated.view.image, starts, kind=kind, look=annotated.look, multiple=multiple), start=1
    ):
        box = _box_of(found)
        np.maximum(out[box], found.values, out=out[box], where=annotated.cells.owner[box] == rows[number])
        yield done, len(starts)


def draw_responses(
    net: nn.Module,
    image: Any,
    points_vox: NDArray[np.float64],
    *,
    kind: PseudoLabels,
    look: CellLook,
    multiple: Triple,
    out: NDArray[np.float32],
) -> Iterator[tuple[int, int]]:
    """Draw what in an image made the network see each centre: the response maps, where they meet the larger one.

    Parameters
    ----------
    net, multiple
        As for :func:`respond`.
    image
        (C, Z, Y, X), normalised.
    points_vox
        (N, 3) centres, each in the image.
    kind
        How responses run back; with ``IMAGE``, of which none are made for the training, as with ``GUIDED``.
    look
        What cells look like.
    out
        (Z, Y, X) float32; overwritten, 0 to 1: each map is scaled to 1 at its highest.

    Yields
    ------
    (done, total)
        Centres.
    """
    out[...] = 0
    starts = nearest_voxels(points_vox, shape=out.shape)
    maps = _trace_back(net, image, starts, kind=kind, look=look, multiple=multiple)
    for done, (_, found) in enumerate(maps, start=1):
        box, highest = _box_of(found), found.values.max(initial=0)
        if highest > 0:
            np.maximum(out[box], found.values / highest, out=out[box])
        yield done, len(starts)


def _trace_back(
    net: nn.Module,
    image: Any,
    starts: NDArray[np.int64],
    *,
    kind: PseudoLabels,
    look: CellLook,
    multiple: Triple,
) -> Iterator[tuple[int, ResponseMap]]:
    """Run voxels (N, 3) back to the image, in crops that fit into memory: their rows, and the maps."""
    side: Side = "brighter" if look.bright_inside else "darker"
    if look.transmitted:
        side = "both"
    return iter_response_maps(net, image, starts, rule=_RULES[kind], multiple=multiple, side=side)


def _box_of(found: ResponseMap) -> tuple[slice, ...]:
    return tuple(slice(low, low + size) for low, size in zip(found.low, found.values.shape, strict=True))


def _starts(annotated: Annotated, peaks: Peaks) -> NDArray[np.int64]:
    """(N, 3) voxels to run back from: peaks within a radius of a click, and clicks that have none."""
    at = nearest_voxels(peaks.points_vox, shape=annotated.shape)
    near = annotated.cells.distance[tuple(at.T)] <= annotated.look.radius
    lonely = np.ones(len(annotated.points_vox), bool)
    lonely[annotated.cells.owner[tuple(at[near].T)]] = False
    clicks = nearest_voxels(annotated.points_vox[lonely], shape=annotated.shape)
    return np.concatenate([at[near], clicks])
