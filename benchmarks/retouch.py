"""How long a slider of the results takes to answer: threshold, smallest object, holes, for classes and for objects.

Run on a quiet machine: ``python benchmarks/retouch.py [--repeats 5]``. Prints a table and writes
``results/retouch.json``. ``first`` is what preparing takes, once per prediction; every other figure is one move of a
slider, each to where none was before: the threshold from 0.5 ``up`` to 0.7, ``down`` to 0.3, ``far down`` to 0.1, and
there the smallest object and the holes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_weak3d.retouch import Retouch, Retoucher
from record import RESULTS, Record, markdown

Prediction: TypeAlias = tuple[NDArray[np.int32], NDArray[np.float16]]

SHAPES = ((20, 512, 512), (64, 512, 512), (64, 1024, 1024), (54, 128, 128))
_MOVES = {
    "up": Retouch(0.7),
    "down": Retouch(0.3),
    "far down": Retouch(0.1),
    "smallest": Retouch(0.1, smallest=200),
    "closed holes": Retouch(0.1, smallest=200, fill_holes="closed"),
    "holes in planes": Retouch(0.1, smallest=200, fill_holes="planes"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS / "retouch.json")
    options = parser.parse_args()
    record = Record(options.out, what="Seconds per move of a slider of the results, all cores; median of the repeats.")
    rows = []
    for shape in SHAPES:
        for kind, draw in (("classes", draw_classes), ("objects", draw_objects)):
            labels, probabilities = draw(shape)
            seconds = time_moves(labels, probabilities, repeats=options.repeats)
            size = "x".join(map(str, shape))
            n_objects = len(np.unique(labels)) - 1
            record.put(kind, size, value={"objects": n_objects, "repeats": options.repeats, "seconds": seconds})
            rows.append([size, kind, str(n_objects), *(f"{value:.2f}" for value in seconds.values())])
            print(" ".join(rows[-1]), flush=True)
    print(markdown(["volume", "kind", "objects", "first", *_MOVES], rows))


def time_moves(labels: NDArray[np.int32], probabilities: NDArray[np.float16], *, repeats: int) -> dict[str, float]:
    """Time each move in a row, again and again with a fresh retoucher."""
    times: dict[str, list[float]] = {name: [] for name in ("first", *_MOVES)}

    def timed(name: str, job: Callable[[], object]) -> object:
        start = time.perf_counter()
        result = job()
        times[name].append(time.perf_counter() - start)
        return result

    for _ in range(repeats):
        retoucher = Retoucher(labels, probabilities)
        timed("first", lambda: Retoucher(labels, probabilities))
        for name, settings in _MOVES.items():
            timed(name, lambda retoucher=retoucher, settings=settings: retoucher.apply(settings))
    return {name: round(median(values), 3) for name, values in times.items()}


def draw_classes(shape: tuple[int, int, int]) -> Prediction:
    """A quarter of the volume in hundreds to thousands of lumps, with soft edges, as a network's output has them."""
    share = _soft(_lumps(shape) - 0.7)
    return ndimage.label(share > 0.5)[0].astype(np.int32), np.stack([1 - share, share]).astype(np.float16)


def draw_objects(shape: tuple[int, int, int]) -> Prediction:
    """The same lumps, cut by a grid into objects that touch."""
    share = _soft(_lumps(shape) - 0.7)
    z, y, x = np.indices(shape, sparse=True)
    cell = 1 + (z // 8) * 4096 + (y // 24) * 64 + x // 24
    return np.where(share > 0.5, cell, 0).astype(np.int32), share.astype(np.float16)[None]


def _lumps(shape: tuple[int, int, int]) -> NDArray[np.float32]:
    noise = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=shape).astype(np.float32), (1.5, 5, 5))
    return noise / noise.std()


def _soft(height: NDArray[np.float32]) -> NDArray[np.float32]:
    return 1 / (1 + np.exp(-6 * height))


if __name__ == "__main__":
    main()
