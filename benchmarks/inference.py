"""A volume through the networks of a default model: our tiles, MONAI's sliding window, and bare forward passes.

Timed in turn. The networks are untrained: that costs the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from math import prod
from statistics import median
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_weak3d.config import Device
from napari_weak3d.methods.slices.config import SlicesConfig
from napari_weak3d.methods.slices.ensemble import OVERLAP, Ensemble, build_net, view_volume
from napari_weak3d.nn.device import pick_device, precision_for
from napari_weak3d.nn.folding import fold_norms
from napari_weak3d.nn.member import Compute
from napari_weak3d.nn.slabs import SlabView
from napari_weak3d.nn.tile_plan import TilePlan
from napari_weak3d.types import Volume
from networks import CLASSES, OURS, our_scheme
from steps import describe_precision, wait_for

Shape: TypeAlias = tuple[int, int, int]

INFERENCE_SHAPE: Shape = (64, 512, 512)
FLOOR, MONAI = "bare forward passes", "MONAI sliding window"
FOLDED = "bare forward passes, norms folded"
"""What is left of the floor once nothing but convolutions is computed, as ours does."""


@dataclass(frozen=True)
class InferenceJob:
    """What to predict: the volume's shape (Z, Y, X), a tile's side in the plane, the networks, and how often."""

    shape: Shape
    tile: int
    width: int
    levels: int
    rounds: int
    device: str


def time_inference(job: InferenceJob) -> dict[str, Any]:
    """Time each way ``rounds`` times after one tile to warm up, in alternating order; medians."""
    device = pick_device(Device(job.device))
    precision = precision_for(device)
    torch.manual_seed(0)
    config, scheme = SlicesConfig(width=job.width, levels=job.levels, tile=job.tile), our_scheme()
    nets = [build_net(scheme, config).to(device).eval().requires_grad_(False) for _ in range(config.members)]
    ensemble = Ensemble(nets, Compute(device, precision), scheme, config)
    image = np.random.default_rng(0).normal(size=(1, *job.shape)).astype(np.float32)
    source = view_volume(Volume(image, scheme.spacing), scheme=scheme, config=config)
    plan = ensemble.plan(job.shape)
    ways = plan_ways(ensemble, source, plan=plan)
    run_floor(ensemble, source.shape[0], plan=plan, n_tiles=1)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(job.rounds):
        for name in ways if number % 2 == 0 else reversed(ways):
            start = time.perf_counter()
            ways[name].run()
            wait_for(device)
            seconds[name].append(time.perf_counter() - start)
    return {
        "shape": job.shape,
        "plane_overlap": OVERLAP,
        "networks": len(nets),
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


def plan_ways(ensemble: Ensemble, source: SlabView, *, plan: TilePlan) -> dict[str, Way]:
    """List the ways; MONAI's only where it is installed."""
    n_channels = source.shape[0]
    folded = replace(ensemble, nets=[fold_norms(net) for net in ensemble.nets])
    ways = {
        FLOOR: Way(partial(run_floor, ensemble, n_channels, plan=plan, n_tiles=len(plan)), len(plan), plan.tile),
        FOLDED: Way(partial(run_floor, folded, n_channels, plan=plan, n_tiles=len(plan)), len(plan), plan.tile),
        OURS: Way(partial(run_ours, ensemble, source), len(plan), plan.tile),
    }
    if find_spec("monai") is None:
        print(f"{MONAI}: monai is not installed, left out (pip install --group benchmarks)")
        return ways
    slabs = torch.from_numpy(source[(slice(None), slice(None), slice(None), slice(None))])[None]
    n_tiles = count_monai_tiles(slabs, tile=plan.tile)
    return {
        **ways,
        MONAI: Way(partial(run_monai, partial(pass_through, ensemble), slabs, tile=plan.tile), n_tiles, plan.tile),
    }


def pass_through(ensemble: Ensemble, tiles: Tensor) -> Tensor:
    """(B, C, Z, Y, X) -> (B, K, Z, Y, X): the mean of the networks' scores, and nothing else."""
    image = ensemble.compute.to_device(tiles)
    with ensemble.compute.autocast():
        scores = [net(image) for net in ensemble.nets]
    return torch.stack(scores).mean(0)


def count_monai_tiles(slabs: Tensor, *, tile: Shape) -> int:
    """Slide MONAI's window with nothing to compute."""
    windows = []

    def note(window: Tensor) -> Tensor:
        windows.append(tuple(window.shape))
        return window[:, :CLASSES]

    run_monai(note, slabs, tile=tile)
    return len(windows)


def run_floor(ensemble: Ensemble, n_channels: int, *, plan: TilePlan, n_tiles: int) -> None:
    """Forward passes only, of a tile that is there already, through each network; the scores are thrown away."""
    with torch.inference_mode():
        image = ensemble.compute.to_device(torch.randn(1, n_channels, *plan.tile))
        for _ in range(n_tiles):
            with ensemble.compute.autocast():
                for net in ensemble.nets:
                    net(image)


def run_ours(ensemble: Ensemble, source: SlabView) -> NDArray[np.float32]:
    """Read, predict and blend tile by tile, as a model segments."""
    out = np.empty((ensemble.n_outputs(), *source.shape[1:]), dtype=np.float32)
    for _ in ensemble.predict(source, out=out):
        pass
    return out


def run_monai(predict: Callable[[Tensor], Tensor], slabs: Tensor, *, tile: Shape) -> Tensor:
    """Slide MONAI's window, the scores put together in main memory as ours are."""
    from monai.inferers import sliding_window_inference  # noqa: PLC0415

    overlap = [0.0, *(OVERLAP / size for size in tile[1:])]
    with torch.inference_mode():
        return sliding_window_inference(slabs, tile, 1, predict, overlap=overlap, device=torch.device("cpu"))
