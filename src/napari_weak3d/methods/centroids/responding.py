"""The response maps of a volume's cells as one image, to make pseudo labels of."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from napari_weak3d.methods.centroids.config import PseudoLabels
from napari_weak3d.methods.centroids.peaks import Peaks
from napari_weak3d.methods.centroids.responses import Rule, Side, trace
from napari_weak3d.methods.centroids.volumes import Annotated
from napari_weak3d.nn.tiles import read_box

_RULES: dict[PseudoLabels, Rule] = {
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
    multiple: tuple[int, int, int],
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
    shape = annotated.shape
    padded = [-(-size // step) * step for size, step in zip(shape, multiple, strict=True)]
    image = np.empty((annotated.view.shape[0], *padded), np.float32)
    read_box(annotated.view.image, (0, 0, 0), out=image)
    starts = _starts(annotated, peaks)
    rows = annotated.cells.owner[tuple(starts.T)]
    device = next(net.parameters()).device
    traced = trace(net, torch.from_numpy(image).to(device), rule=_RULES[kind])
    side: Side = "brighter" if annotated.look.bright_inside else "darker"
    for done, (found, row) in enumerate(zip(traced.maps(starts, side=side), rows, strict=True), start=1):
        box = tuple(
            slice(lo, min(lo + size, end)) for lo, size, end in zip(found.low, found.values.shape, shape, strict=True)
        )
        values = found.values[tuple(slice(0, along.stop - along.start) for along in box)]
        own = annotated.cells.owner[box] == row
        np.maximum(out[box], values, out=out[box], where=own)
        yield done, len(starts)


def _starts(annotated: Annotated, peaks: Peaks) -> NDArray[np.int64]:
    """(N, 3) voxels to run back from: peaks within a radius of a click, and clicks that have none."""
    largest = np.array(annotated.shape) - 1
    at = np.clip(np.rint(peaks.points_vox).astype(np.int64), 0, largest)
    near = annotated.cells.distance[tuple(at.T)] <= annotated.look.radius
    lonely = np.ones(len(annotated.points_vox), bool)
    lonely[annotated.cells.owner[tuple(at[near].T)]] = False
    clicks = np.clip(np.rint(annotated.points_vox[lonely]).astype(np.int64), 0, largest)
    return np.concatenate([at[near], clicks])
