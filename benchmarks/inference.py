"""A volume through our tiles, through MONAI's sliding window, and as bare forward passes, timed in turn."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from math import prod
from statistics import median
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_weak3d.config import Device
from napari_weak3d.nn.device import Precision, pick_device, precision_for
from napari_weak3d.nn.slabs import SlabView, choose_offsets
from napari_weak3d.nn.tile_plan import TilePlan, plan_tiles
from napari_weak3d.nn.tiles import predict_tiles
from networks import CLASSES, OURS, make_network
from steps import describe_precision, wait_for

Shape: TypeAlias = tuple[int, int, int]

INFERENCE_SHAPE: Shape = (64, 512, 512)
FLOOR, MONAI = "bare forward passes", "MONAI sliding window"
_OVERLAP = 32
"""Pixels in the plane; planes need none, each is predicted from its own slab."""


@dataclass(frozen=True)
class Predictor:
    """A network, where and how precisely it computes."""

    net: nn.Module
    device: torch.device
    precision: Precision

    def __call__(self, tiles: Tensor) -> Tensor:
        """(B, C, Z, Y, X) -> (B, K, Z, Y, X)."""
        with self.precision.autocast(self.device):
            scores: Tensor = self.net(tiles.to(self.device, memory_format=self.precision.memory_format))
        return scores


@dataclass(frozen=True)
class InferenceJob:
    """What to predict: the volume's shape and the largest tile (Z, Y, X), the network, and how often."""

    shape: Shape
    tile: Shape
    width: int
    levels: int
    rounds: int
    device: str


def time_inference(job: InferenceJob) -> dict[str, Any]:
    """Time each way ``rounds`` times after one tile to warm up, in alternating order; medians."""
    device = pick_device(Device(job.device))
    precision = precision_for(device)
    torch.manual_seed(0)
    net, _ = make_network(OURS, width=job.width, levels=job.levels)
    predict = Predictor(net.to(device).eval(), device, precision)
    image = np.random.default_rng(0).normal(size=(1, *job.shape)).astype(np.float32)
    source = SlabView(image, choose_offsets((1.0, 1.0, 1.0)))
    plan = plan_tiles(job.shape, tile=job.tile, overlap=(0, _OVERLAP, _OVERLAP), multiple=net.multiple)
    ways = plan_ways(predict, source, plan=plan, tile=job.tile)
    run_floor(predict, source.shape[0], plan=plan, n_tiles=1)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(job.rounds):
        for name in ways if number % 2 == 0 else reversed(ways):
            start = time.perf_counter()
            ways[name].run()
            wait_for(device)
            seconds[name].append(time.perf_counter() - start)
    return {
        "shape": job.shape,
        "plane_overlap": _OVERLAP,
        "device": str(device),
        "precision": describe_precision(precision),
        "threads": torch.get_num_threads(),
        "rounds": job.rounds,
        "ways": {name: describe_way(way, seconds[name], floor=seconds[FLOOR]) for name, way in ways.items()},
    }


@dataclass(frozen=True)
class Way:
    """A way to predict a volume: what to call, and how many tiles of which shape it computes."""

    run: Callable[[], object]
    n_tiles: int
    tile: tuple[int, ...]


def describe_way(way: Way, seconds: list[float], *, floor: list[float]) -> dict[str, Any]:
    """Medians; the ratio is taken round by round, neighbours in time being most alike."""
    ratio = median(own / bare for own, bare in zip(seconds, floor, strict=True))
    voxels = way.n_tiles * prod(way.tile)
    return {"seconds": median(seconds), "of_floor": ratio, "tiles": way.n_tiles, "tile": way.tile, "voxels": voxels}


def plan_ways(predict: Predictor, source: SlabView, *, plan: TilePlan, tile: Shape) -> dict[str, Way]:
    """List the ways; MONAI's only where it is installed."""
    ways = {
        FLOOR: Way(partial(run_floor, predict, source.shape[0], plan=plan, n_tiles=len(plan)), len(plan), plan.tile),
        OURS: Way(partial(run_ours, predict, source, plan=plan), len(plan), plan.tile),
    }
    if find_spec("monai") is None:
        print(f"{MONAI}: monai is not installed, left out (pip install --group benchmarks)")
        return ways
    slabs = torch.from_numpy(source[(slice(None), slice(None), slice(None), slice(None))])[None]
    return {
        **ways,
        MONAI: Way(partial(run_monai, predict, slabs, tile=tile), count_monai_tiles(slabs, tile=tile), tile),
    }


def count_monai_tiles(slabs: Tensor, *, tile: Shape) -> int:
    """Slide MONAI's window with nothing to compute."""
    windows = []

    def note(window: Tensor) -> Tensor:
        windows.append(tuple(window.shape))
        return window[:, :CLASSES]

    run_monai(note, slabs, tile=tile)
    return len(windows)


def run_floor(predict: Predictor, channels: int, *, plan: TilePlan, n_tiles: int) -> None:
    """Forward passes only, of a tile that is there already; the scores are thrown away."""
    with torch.inference_mode():
        image = torch.randn(1, channels, *plan.tile).to(predict.device, memory_format=predict.precision.memory_format)
        for _ in range(n_tiles):
            predict(image)


def run_ours(predict: Predictor, source: SlabView, *, plan: TilePlan) -> NDArray[np.float32]:
    """Read, predict and blend tile by tile."""
    out = np.empty((CLASSES, *plan.shape), dtype=np.float32)
    for _ in predict_tiles(predict, source, plan=plan, out=out):
        pass
    return out


def run_monai(predict: Callable[[Tensor], Tensor], slabs: Tensor, *, tile: Shape) -> Tensor:
    """Slide MONAI's window, the scores put together in main memory as ours are."""
    from monai.inferers import sliding_window_inference  # noqa: PLC0415

    overlap = [0.0, *(_OVERLAP / size for size in tile[1:])]
    with torch.inference_mode():
        return sliding_window_inference(slabs, tile, 1, predict, overlap=overlap, device=torch.device("cpu"))
