"""Networks over volumes of any size: tiles are read one by one, and their outputs become one seamless image."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_weak3d.errors import ConfigError
from napari_weak3d.nn.device import is_out_of_memory
from napari_weak3d.nn.tile_plan import AxisTile, Shape, TilePlan, plan_tiles, plan_valid_tiles

__all__ = [
    "Planner",
    "Predict",
    "add_tile",
    "mirror",
    "plan_tiles",
    "plan_valid_tiles",
    "predict_tiles",
    "predict_volume",
    "read_box",
    "with_smaller_tiles",
]

Result = TypeVar("Result")

Predict: TypeAlias = Callable[[Tensor], Tensor]
"""(B, C, Z, Y, X) float32 on the processor -> (B, K, Z, Y, X) on any device, smaller by the margin if unpadded."""


class Planner(Protocol):
    """What plans the tiles of a volume for a largest tile: ``plan_tiles`` or ``plan_valid_tiles``, partly filled in."""

    def __call__(self, shape: Shape, *, tile: Shape) -> TilePlan:
        """Plan the tiles of a volume of ``shape``, none larger than ``tile``."""


def predict_volume(
    predict: Predict,
    source: Any,
    *,
    out: NDArray[Any],
    planner: Planner,
    tile: Shape,
    batch: int = 1,
    on_shrink: Callable[[str], None] | None = None,
) -> Iterator[tuple[int, int]]:
    """Run a network over a volume as :func:`predict_tiles` does, with smaller tiles where memory runs out.

    When it does, batches and then tiles are halved and the volume begins anew; ``on_shrink`` gets a sentence that
    says so.

    Parameters
    ----------
    predict, source, out, batch
        As in :func:`predict_tiles`.
    planner
        For example ``functools.partial(plan_tiles, overlap=(16, 16, 16), multiple=(8, 8, 8))``.
    tile
        The largest tile (Z, Y, X) to try.
    on_shrink
        Takes the message.

    Yields
    ------
    (done, total)
        Tiles; both start again when tiles shrink.

    Raises
    ------
    ConfigError
        Memory runs out with the smallest tile that the network takes.
    """
    shape: Shape = tuple(source.shape[1:])
    return with_smaller_tiles(
        lambda plan, size: predict_tiles(predict, source, plan=plan, out=out, batch=size),
        shape,
        planner=planner,
        tile=tile,
        batch=batch,
        on_shrink=on_shrink,
    )


def with_smaller_tiles(
    work: Callable[[TilePlan, int], Iterator[Result]],
    shape: Shape,
    *,
    planner: Planner,
    tile: Shape,
    batch: int = 1,
    on_shrink: Callable[[str], None] | None = None,
) -> Iterator[Result]:
    """Work through the tiles of a volume, and begin anew with smaller ones where memory runs out.

    Parameters
    ----------
    work
        Gets a plan and how many tiles to take at a time; what it yields is passed on. It must be able to begin anew.
    shape
        (Z, Y, X) of the volume.
    planner, tile, batch, on_shrink
        As in :func:`predict_volume`.

    Raises
    ------
    ConfigError
        Memory runs out with the smallest tile that the network takes.
    """
    plan = planner(shape, tile=tile)
    while True:
        try:
            yield from work(plan, batch)
            return
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            plan, batch, message = _shrink(plan, planner, batch=batch)
        # Outside the handler: the error held on to everything that was allocated.
        _release_memory()
        if on_shrink is not None:
            on_shrink(message)


def _shrink(plan: TilePlan, planner: Planner, *, batch: int) -> tuple[TilePlan, int, str]:
    """Halve the batch, else the longest axis of the tile; the plan, the batch and what to say of it."""
    before = " x ".join(map(str, plan.tile))
    if batch > 1:
        return plan, batch // 2, f"Out of memory with {batch} tiles at a time: going on with {batch // 2}"
    # The margins of an unpadded network are needed whole: what can be halved is its output.
    halves = [2 * margin + (size - 2 * margin) // 2 for size, margin in zip(plan.tile, plan.margin, strict=True)]
    for axis in sorted(range(3), key=lambda axis: -plan.tile[axis]):
        tile = list(plan.tile)
        tile[axis] = halves[axis]
        smaller = planner(plan.shape, tile=(tile[0], tile[1], tile[2]))
        if smaller.tile[axis] < plan.tile[axis]:
            after = " x ".join(map(str, smaller.tile))
            return smaller, 1, f"Out of memory with tiles of {before} voxels: going on with {after}"
    raise ConfigError(
        f"out of memory even with the smallest tile, {before} voxels: close other programs, or choose device cpu",
        where="device",
        value=plan.tile,
    )


def _release_memory() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()


def predict_tiles(
    predict: Predict, source: Any, *, plan: TilePlan, out: NDArray[Any], batch: int = 1
) -> Iterator[tuple[int, int]]:
    """Run a network over the tiles of a plan and put its outputs together.

    Parameters
    ----------
    predict
        The network: takes a batch of tiles, (B, C, Z, Y, X) float32 on the processor, which is overwritten by the
        next one; gives (B, K, Z, Y, X). Called without gradients.
    source
        The volume, (C, Z, Y, X): numpy, or anything that is sliced like it; read tile by tile.
    plan
        The tiles.
    out
        (K, Z, Y, X) float; overwritten.
    batch
        Tiles at a time. Where normalisation uses the statistics of the batch, they are shared by these.

    Yields
    ------
    (done, total)
        Tiles, after each batch; ``out`` is complete with the last one. To stop, stop asking.

    Raises
    ------
    ValueError
        ``source`` or ``out`` does not have the shape that was planned for.
    """
    if tuple(source.shape[1:]) != plan.shape or out.shape[1:] != plan.shape:
        raise ValueError(f"planned for {plan.shape}, but source is {source.shape} and out {out.shape}")
    out[...] = 0
    tiles_in = np.empty((batch, source.shape[0], *plan.tile), dtype=np.float32)
    todo, done = iter(plan), 0
    while tiles := list(islice(todo, batch)):
        for into, tile in zip(tiles_in, tiles, strict=False):
            read_box(source, [axis.start for axis in tile], out=into)
        # Not around the yield: the mode must not leak into whoever pulls.
        with torch.inference_mode():
            scores = predict(torch.from_numpy(tiles_in[: len(tiles)]))
            # Networks that run channels last answer so; converted once here, adding is a third as dear.
            scores = scores.to("cpu", torch.float32, memory_format=torch.contiguous_format)
            for tile_scores, tile in zip(scores, tiles, strict=True):
                add_tile(tile_scores, tile, plan=plan, out=out)
        done += len(tiles)
        yield done, len(plan)


def add_tile(scores: Tensor, tile: Sequence[AxisTile], *, plan: TilePlan, out: NDArray[Any]) -> None:
    """Add a tile's output (K, Z, Y, X), weighted, to the part of ``out`` that it belongs to."""
    for axis, (along, margin) in enumerate(zip(tile, plan.margin, strict=True), start=1):
        scores = scores.narrow(axis, along.lo - along.start - margin, along.hi - along.lo)
    target = torch.from_numpy(out[:, *(slice(along.lo, along.hi) for along in tile)])
    z, y, x = (torch.from_numpy(along.weights) for along in tile)
    weights = (z[:, None] * y)[:, :, None] * x
    if out.dtype == np.float32:
        target.addcmul_(scores, weights)
    else:
        target.add_(scores * weights)


def read_box(source: Any, start: Sequence[int], *, out: NDArray[np.float32]) -> None:
    """Read a box of a volume that may reach beyond it; there the volume is mirrored at its outermost voxels.

    Parameters
    ----------
    source
        (C, Z, Y, X); only what is needed is read, in one piece.
    start
        First voxel (z, y, x); may be negative.
    out
        (C, Z, Y, X) float32 of the box's shape; overwritten. An axis of one voxel is repeated.
    """
    positions = [
        mirror(np.arange(first, first + size), length)
        for first, size, length in zip(start, out.shape[1:], source.shape[1:], strict=True)
    ]
    needed = tuple(slice(int(along.min()), int(along.max()) + 1) for along in positions)
    block = np.asarray(source[(slice(None), *needed)])
    for axis, (along, part, first) in enumerate(zip(positions, needed, start, strict=True), start=1):
        if part != slice(first, first + len(along)):
            block = np.take(block, along - part.start, axis=axis)
    out[...] = block


def mirror(index: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Fold indices into 0..length - 1 as ``np.pad`` does in mode "reflect", any number of times."""
    period = max(1, 2 * (length - 1))
    folded = np.abs(index) % period
    return np.minimum(folded, period - folded) if length > 1 else np.zeros_like(index)
