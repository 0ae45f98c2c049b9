"""Elastic deformation of 132x132x116 voxels with labels: this package against MONAI's Rand3DElasticd.

Run on a quiet machine, MONAI being optional: ``python benchmarks/elastic.py [--repeats 15]``. Prints a table and
writes ``results/elastic.json``. Both deform a float32 image linearly and int64 labels by nearest neighbour,
with fields of about the same size; each time is the best and the median of several patches, none of them the first.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from napari_weak3d.nn.augment import NO_AUGMENTATION, augment
from napari_weak3d.worker.machine import greet

SHAPE = (116, 132, 132)
GOAL = 3.0
"""Times as fast as MONAI."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "elastic.json")
    arguments = parser.parse_args()
    jobs = {
        "napari-weak3d, cubic voxels": our_job(spacing=(1.0, 1.0, 1.0)),
        "napari-weak3d, z spacing 5": our_job(spacing=(5.0, 1.0, 1.0)),
    }
    try:
        jobs["MONAI Rand3DElasticd"] = monai_job()
    except ImportError:
        print("MONAI is not installed (pip install monai): no comparison")
    results = {name: measure(job, repeats=arguments.repeats) for name, job in jobs.items()}
    for name, times in results.items():
        print(f"{name:32} best {times['best_ms']:7.1f} ms   median {times['median_ms']:7.1f} ms")
    report = {"shape": SHAPE, "machine": describe_machine(), "times": results}
    if "MONAI Rand3DElasticd" in results:
        ours, theirs = (results[name]["median_ms"] for name in ("napari-weak3d, cubic voxels", "MONAI Rand3DElasticd"))
        report["times_as_fast"] = theirs / ours
        print(f"{theirs / ours:.2f} times as fast as MONAI (goal: {GOAL})")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(report, indent=1) + "\n")


def draw() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(1, *SHAPE)).astype(np.float32), rng.integers(0, 3, size=SHAPE)


def our_job(*, spacing: tuple[float, float, float]) -> Callable[[], object]:
    image, labels = draw()
    bends = replace(NO_AUGMENTATION, elastic_chance=1)
    rng = np.random.default_rng(0)
    return lambda: augment(image, labels, spacing=spacing, augmentation=bends, rng=rng)


def monai_job() -> Callable[[], object]:
    from monai.transforms import Rand3DElasticd  # noqa: PLC0415  # optional, and slow to import

    image, labels = draw()
    bend = Rand3DElasticd(
        keys=["image", "labels"],
        # Of the order of the smoothness and size of the field of the paper; the time does not hang on them much.
        sigma_range=(10, 13),
        magnitude_range=(50, 150),
        prob=1,
        mode=["bilinear", "nearest"],
        padding_mode="reflection",
    )
    bend.set_random_state(0)
    data = {"image": torch.from_numpy(image), "labels": torch.from_numpy(labels)[None]}
    return lambda: bend(data)


def measure(job: Callable[[], object], *, repeats: int) -> dict[str, float]:
    job()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        job()
        times.append(1000 * (time.perf_counter() - start))
    return {"best_ms": min(times), "median_ms": statistics.median(times)}


def describe_machine() -> dict[str, object]:
    return {
        "system": platform.platform(),
        "threads": torch.get_num_threads(),
        "devices": [asdict(device) for device in greet().devices],
    }


if __name__ == "__main__":
    main()
