"""Non-maximum suppression of 1000 boxes, mostly kept: this package against MONAI's.

Run on a quiet machine, MONAI being optional: ``python benchmarks/nms.py [--repeats 15]``. Prints a table and writes
``results/nms.json``. Both get the same boxes, and must keep the same ones.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from napari_weak3d.methods.boxes.suppress import suppress
from record import RESULTS, Record, find_version

THRESHOLD = 0.3
GOAL = 20.0
"""Times as fast as MONAI."""
EXTENTS = {"mostly kept": 200.0, "half kept": 60.0, "few kept": 25.0}
"""Side (voxels) of the cube that the boxes lie in: the smaller, the more of them overlap."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--boxes", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=RESULTS / "nms.json")
    arguments = parser.parse_args()
    record = Record(arguments.out, what=__doc__.splitlines()[0])
    for name, extent in EXTENTS.items():
        figures = compare(*draw(arguments.boxes, extent=extent), repeats=arguments.repeats)
        record.put(f"{arguments.boxes} boxes, {name}", value=figures)
        print(f"{name:12} " + "   ".join(f"{key} {value}" for key, value in figures.items()))
    print(f"goal: {GOAL} times as fast where mostly kept")


def draw(count: int, *, extent: float) -> tuple[Tensor, Tensor]:
    """Boxes (N, 2, 3) of 8 to 20 voxels anywhere in a cube, and their scores."""
    rng = np.random.default_rng(0)
    low = rng.uniform(0, extent, (count, 3))
    boxes = np.stack([low, low + rng.uniform(8, 20, (count, 3))], axis=1)
    return torch.from_numpy(boxes).float(), torch.from_numpy(rng.uniform(size=count)).float()


def compare(boxes: Tensor, scores: Tensor, *, repeats: int) -> dict[str, object]:
    kept = suppress(boxes, scores, threshold=THRESHOLD)
    figures: dict[str, object] = {
        "kept": len(kept),
        "ours_ms": measure(lambda: suppress(boxes, scores, threshold=THRESHOLD), repeats=repeats),
        "threads": torch.get_num_threads(),
    }
    try:
        from monai.data.box_utils import non_max_suppression  # noqa: PLC0415  # optional, and slow to import
    except ImportError:
        print("MONAI is not installed (pip install monai): no comparison")
        return figures
    flat = boxes.flatten(1)  # (N, 2, 3) -> (N, 6): MONAI's standard mode, low corner first
    theirs = measure(lambda: non_max_suppression(flat, scores, nms_thresh=THRESHOLD), repeats=repeats)
    same = torch.equal(kept, non_max_suppression(flat, scores, nms_thresh=THRESHOLD))
    times = round(theirs / float(str(figures["ours_ms"])), 1)
    return figures | {"monai_ms": theirs, "monai": find_version("monai"), "same": same, "times_as_fast": times}


def measure(job: Callable[[], object], *, repeats: int) -> float:
    """Median milliseconds, the first run not counted."""
    job()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        job()
        times.append(1000 * (time.perf_counter() - start))
    return round(statistics.median(times), 2)


if __name__ == "__main__":
    main()
