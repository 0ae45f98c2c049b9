"""How fast response maps are: windows, against one full backward pass per peak over a shared forward pass.

    python benchmarks/responses.py [--levels 3] [--width 16] [--shape 64,128,128] [--out results/responses.json]

Both sides follow the rule "guided" and include their forward pass. Full passes all cost the same: a few are timed, in
turn with ours, and their median stands for the others; their maps are compared with ours. "excitation" is timed too.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from napari_weak3d.methods.centroids.responses import ResponseMap, Trace, trace
from napari_weak3d.nn.unet3d import UNet3D
from record import RESULTS, Record, markdown

GOAL = 5.0
"""At 100 peaks, times as fast as one full pass per peak."""
COUNTS = (20, 100)


class _GuidedReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, image: Tensor) -> Tensor:
        ctx.save_for_backward(image)
        return image.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, signal: Tensor) -> Tensor:
        (image,) = ctx.saved_tensors
        return signal.clamp(min=0) * (image > 0)


@contextmanager
def guided() -> Iterator[None]:
    plain = F.relu
    F.relu = lambda image, inplace=False: _GuidedReLU.apply(image)
    try:
        yield
    finally:
        F.relu = plain


def timed(job: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = job()
    return time.perf_counter() - start, result


def make_net(width: int, levels: int) -> nn.Module:
    """An untrained network: what it says does not change how long it takes."""
    torch.manual_seed(0)
    net = UNet3D(2, 1, width=width, levels=levels).eval().requires_grad_(False)
    nn.init.uniform_(net.head.weight)  # else a random network may be silent at every peak
    return net


def full_pass(centres: Tensor, leaf: Tensor, peak: NDArray[np.int64]) -> NDArray[np.float32]:
    (gradient,) = torch.autograd.grad(centres[tuple(peak)], leaf, retain_graph=True)
    return np.asarray(gradient[0].abs().sum(0))


def difference(ours: ResponseMap, full: NDArray[np.float32]) -> float:
    """Largest difference, as a share of the map's maximum."""
    box = tuple(slice(low, low + size) for low, size in zip(ours.low, ours.values.shape, strict=True))
    inside = np.abs(full[box] - ours.values).max()
    outside = full.copy()
    outside[box] = 0
    return float(max(inside, outside.max()) / full.max())


def measure(options: argparse.Namespace) -> dict[str, Any]:
    net = make_net(options.width, options.levels)
    image = torch.randn(2, *options.shape, generator=torch.Generator().manual_seed(1))
    rng = np.random.default_rng(0)
    peaks = np.stack([rng.integers(0, size, max(COUNTS)) for size in options.shape], axis=1)
    return {
        "shape": options.shape,
        "width": options.width,
        "levels": options.levels,
        "threads": torch.get_num_threads(),
        "full passes timed": options.full,
        **compare(net, image, peaks, n_full=options.full),
        "excitation": time_excitation(net, image, peaks[:20]),
    }


def compare(net: nn.Module, image: Tensor, peaks: NDArray[np.int64], *, n_full: int) -> dict[str, Any]:
    """Time both sides with the rule "guided", by turns: a full pass, then a share of ours, and so on."""
    leaf = image[None].clone().requires_grad_()
    with guided():
        full_forward, centres = timed(lambda: net(leaf)[0, 0])
    ours_forward, ours = timed(lambda: trace(net, image, rule="guided"))
    full_each, ours_each, differences = [], [], []
    for group in np.array_split(peaks, n_full):
        seconds, expected = timed(partial(full_pass, centres, leaf, group[0]))
        full_each.append(seconds)
        seconds, maps = timed(partial(make_maps, ours, group))
        ours_each.append(seconds / len(group))
        differences.append(difference(maps[0], expected))
    return {
        "largest difference": max(differences),
        "full": {"forward": full_forward, "per_peak": median(full_each)},
        "guided": {"forward": ours_forward, "per_peak": median(ours_each)},
    }


def time_excitation(net: nn.Module, image: Tensor, peaks: NDArray[np.int64]) -> dict[str, float]:
    forward, traced = timed(lambda: trace(net, image, rule="excitation"))
    seconds, _ = timed(partial(make_maps, traced, peaks))
    return {"forward": forward, "per_peak": seconds / len(peaks)}


def make_maps(traced: Trace, peaks: NDArray[np.int64]) -> list[ResponseMap]:
    return list(traced.maps(peaks))


def report(figures: dict[str, Any]) -> str:
    rows = []
    for count in COUNTS:
        full, *ours = (
            figures[way]["forward"] + count * figures[way]["per_peak"] for way in ("full", "guided", "excitation")
        )
        rows.append([str(count), f"{full:.1f}", *(f"{each:.1f} ({full / each:.1f} times)" for each in ours)])
    last = rows[-1][2].split("(")[1].split()[0]
    met = "met" if float(last) >= GOAL else "missed"
    lines = [
        markdown(["peaks", "full passes (s)", "guided (s)", "excitation (s)"], rows),
        f"{figures['levels']} levels: {last} times at {COUNTS[-1]} peaks (goal: {GOAL:.0f}): {met}; "
        f"largest difference {figures['largest difference']:.1e} of a map's maximum",
    ]
    return "\n\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--levels", type=int, default=3)
    parser.add_argument("--shape", type=lambda text: tuple(map(int, text.split(","))), default=(64, 128, 128))
    parser.add_argument("--full", type=int, default=5, help="full passes that are timed")
    parser.add_argument("--out", type=Path, default=RESULTS / "responses.json")
    options = parser.parse_args()
    record = Record(options.out, what="seconds for response maps: in windows, and one full backward pass per peak")
    figures = measure(options)
    record.put(f"{options.levels} levels", value=figures)
    print(report(figures))


if __name__ == "__main__":
    main()
