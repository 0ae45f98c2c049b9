"""Response maps: what in the image made the network see a centre, one map per centre.

Zhou et al. 2018 (Peak Response Mapping) run the response of each peak back to the image; Dong et al. 2019 do so in 3D,
and BFS-Net (Dehghani et al.) takes the maps as masks of cells. One pass per peak is slow: here the image runs
forward once, and each response runs back in windows that are just large enough, many at a time. The maps are those of
one full pass per peak.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_weak3d.methods.centroids.recorders import RECORDERS
from napari_weak3d.methods.centroids.tape import Rule, Tape
from napari_weak3d.methods.centroids.windows import Windows

__all__ = ["ResponseMap", "Rule", "Side", "make_maps", "response_maps", "trace"]

Side: TypeAlias = Literal["both", "brighter", "darker"]
"""Which voxels count: those of which any change, more light or less light would raise the response."""

_BATCH_VOXELS = 2**20
"""Voxels of the image that windows hold together: more are slower, by what memory can pass (ours, measured)."""


@dataclass(frozen=True, eq=False)
class ResponseMap:
    """How much each voxel made of a peak.

    Attributes
    ----------
    low
        (z, y, x) of the first voxel of ``values`` in the image.
    values
        (dz, dy, dx) float32, >= 0; zero outside.
    """

    low: tuple[int, int, int]
    values: NDArray[np.float32]


def response_maps(
    net: nn.Module, image: Tensor, peaks_vox: NDArray[np.int64], *, rule: Rule, side: Side = "both", batch: int = 8
) -> list[ResponseMap]:
    """Run the response at each peak back to the image.

    Parameters
    ----------
    net
        (1, C, Z, Y, X) -> (1, 1, Z, Y, X), of layers that work on surroundings: of norms, batch norm in evaluation,
        with the statistics that it has gathered. Not changed. Best without a sigmoid at its end, which can round the
        response to 0.
    image
        (C, Z, Y, X) float32, on the device of the network.
    peaks_vox
        (N, 3) voxels inside the image.
    rule
        "guided" (Springenberg et al. 2015): the gradient, of which only what is positive passes an activation.
        "excitation" (Zhang et al. 2016): shares instead of gradients; what a value receives goes to those that excite
        it, in proportion. Norms and activations hand shares on; of an image, what lies above its darkest voxel excites.
    side
        Which signs of the gradient count. A network finds a bright cell by its dark surroundings too: with "both" they
        are part of the map, with "brighter" they are not; of a dark cell in a bright membrane "darker" is the inside.
        Shares of an excitation are never below zero: there "both" is "brighter".
    batch
        Peaks at a time, at most: fewer where windows are large, whose number gains nothing then.

    Returns
    -------
    A map for each peak, in their order: absolute values of what counts, summed over the image's channels (each of them
    shows the cell, and opposite signs must not cancel), cut to where they are not zero. A peak without any response has
    a map of one voxel, 0.

    Raises
    ------
    ValueError
        A norm with statistics of the image, dropout in training mode, or a peak outside of the image.
    TypeError
        The network uses a function of torch through which no way back is known.
    """
    return list(trace(net, image, rule=rule).maps(peaks_vox, side=side, batch=batch))


@dataclass(frozen=True, eq=False)
class Trace:
    """A forward pass, from which responses can be run back: see :func:`response_maps`."""

    tape: Tape
    shape: tuple[int, int, int]

    def maps(self, peaks_vox: NDArray[np.int64], *, side: Side = "both", batch: int = 8) -> Iterator[ResponseMap]:
        """Make the maps of peaks (N, 3), one after the other; so that whoever asks can stop in between."""
        peaks = np.asarray(peaks_vox, dtype=np.int64).reshape(-1, 3)
        outside = ((peaks < 0) | (peaks >= self.shape)).any(axis=1)
        if outside.any():
            raise ValueError(f"peak {peaks[outside][0].tolist()} lies outside of an image of {self.shape} voxels")
        first, count = 0, 1
        while first < len(peaks):
            group = peaks[first : first + count]
            windows = self.pull(group)
            yield from make_maps(windows, group, side=side)
            first += count
            count = choose_batch(windows, most=batch)

    def pull(self, peaks_vox: NDArray[np.int64]) -> Windows:
        """Run the responses at peaks (P, 3) back: windows of all that they can depend on, in (1, C, Z, Y, X)."""
        with torch.no_grad():
            return self.tape.pull(peaks_vox)


def choose_batch(windows: Windows, *, most: int) -> int:
    """Choose how many peaks to run back together, by the windows of some that have been."""
    return min(most, max(1, _BATCH_VOXELS // math.prod(windows.size[2:])))


def make_maps(windows: Windows, peaks_vox: NDArray[np.int64], *, side: Side = "both") -> list[ResponseMap]:
    """Sum windows of the image (1, C, Z, Y, X), one for each peak, over channels, and cut them to what is not zero."""
    counted = _COUNTED[side](windows.values)
    values = counted.sum(dim=(1, 2)).cpu().numpy()  # (P, 1, C, z, y, x) -> (P, z, y, x)
    return [_trim(low, box, peak=peak) for peak, low, box in zip(peaks_vox, windows.low[:, 2:], values, strict=True)]


def trace(net: nn.Module, image: Tensor, *, rule: Rule, darkest: Tensor | None = None) -> Trace:
    """Run an image through a network and keep what it takes to run responses back.

    Parameters
    ----------
    net, image, rule
        As for :func:`response_maps`, which says what is raised.
    darkest
        (1, C, 1, 1, 1): of the volume that the image is a crop of; None: of the image. Only "excitation" asks for it.
    """
    with torch.no_grad():
        # Channels last: convolutions on processors are faster by a half.
        batch = image[None].clone(memory_format=torch.channels_last_3d)
        with Tape(batch, rule=rule, recorders=RECORDERS, darkest=darkest) as tape:
            made = net(batch)
    z, y, x = image.shape[1:]
    if tuple(made.shape) != (1, 1, z, y, x):
        raise ValueError(f"the network makes {tuple(made.shape)} of {tuple(batch.shape)}: not a map of centres")
    return Trace(tape, (z, y, x))


def _trim(low: NDArray[np.int64], values: NDArray[np.float32], *, peak: NDArray[np.int64]) -> ResponseMap:
    """Cut a map to where it is not zero."""
    ranges = []
    for axis in range(3):
        used = np.flatnonzero(values.any(axis=tuple(other for other in range(3) if other != axis)))
        ranges.append((used[0], used[-1] + 1) if used.size else None)
    if None in ranges:
        z, y, x = peak
        return ResponseMap((int(z), int(y), int(x)), np.zeros((1, 1, 1), dtype=np.float32))
    z, y, x = (int(start + each[0]) for start, each in zip(low, ranges, strict=True) if each)
    return ResponseMap((z, y, x), values[tuple(slice(*each) for each in ranges if each)].copy())


_COUNTED: dict[Side, Callable[[Tensor], Tensor]] = {
    "both": torch.abs,
    "brighter": lambda gradient: gradient.clamp(min=0),
    "darker": lambda gradient: (-gradient).clamp(min=0),
}
