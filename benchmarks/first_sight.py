"""How soon after Train a user of clicks or boxes sees something, and how good it is.

    python benchmarks/first_sight.py [--seconds 40] [--out results/first_sight.json]

On the demo's volume, a model of each method being trained: a preview of the middle slice is asked for every two
seconds, for training waits while one is made. Time counts from the first pull of the training, torch being imported.
Of clicks the first half of a training shows balls where centres are: their number counts, F1 comes with masks.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import napari_weak3d as weak3d
from napari_weak3d import workflow
from napari_weak3d.messages import Command, PreviewSlice, Stop
from napari_weak3d.samples import click_centroids, draw_boxes, make_demo
from napari_weak3d.types import IntLabels, Preview, Progress, Sample, SliceIndex
from record import RESULTS, Record, markdown, run_in_child

WEAKEN = {"centroids": click_centroids, "boxes": draw_boxes}
EVERY_S = 2.0
WORTH_SEEING = 0.5
"""Least F1 at IoU 0.5 of the objects in the slice."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=40, help="to watch each training (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=RESULTS / "first_sight.json")
    options = parser.parse_args()
    record = Record(options.out, what="seconds from Train to the first objects in a preview")
    lines = []
    for method in WEAKEN:
        figures = run_in_child(watch, method, options.seconds)
        record.put(method, value=figures)
        seen = [each for each in figures["previews"] if each["n_found"]]
        good = [each for each in seen if each["f1"] >= WORTH_SEEING]
        firsts = [f"{found[0]['seconds']:.1f} s" if found else "-" for found in (figures["previews"], seen, good)]
        lines.append([method, *firsts, f"{seen[-1]['f1']:.2f}" if seen else "-"])
    print(markdown(["method", "first preview", "first objects", f"F1 {WORTH_SEEING}", "F1 of the last"], lines))


@dataclass
class _Viewer:
    """Asks for one slice again and again, and notes what comes."""

    where: SliceIndex
    truth: IntLabels
    for_s: float
    previews: list[dict[str, Any]] = field(default_factory=list)
    waiting: bool = False
    started: float = 0.0
    asked: float = 0.0

    def next_command(self) -> Command | None:
        if time.perf_counter() - self.started > self.for_s:
            return Stop()
        if self.waiting or time.perf_counter() - self.asked < EVERY_S:
            return None
        self.waiting, self.asked = True, time.perf_counter()
        return PreviewSlice(self.where)

    def see(self, progress: Progress) -> None:
        if progress.preview is not None:
            self.waiting = False
            self.previews.append(self._describe(progress.preview))

    def _describe(self, preview: Preview) -> dict[str, Any]:
        found: NDArray[Any] = np.asarray(preview.labels)[None]
        scores = weak3d.instance_scores(found, self.truth[None])
        return {
            "seconds": round(time.perf_counter() - self.started, 1),
            "n_found": scores.n_predicted,
            "f1": scores.f1,
            "wires": None if preview.boxes is None else len(preview.boxes),
        }


def watch(method: str, seconds: float) -> dict[str, Any]:
    """Train on the demo of a method and look at its middle slice."""
    import torch  # noqa: PLC0415  # its start is no part of the times

    made = make_demo()
    sample = Sample(made.volume, WEAKEN[method](made.labels, rng=np.random.default_rng(0)))
    middle = sample.volume.shape[0] // 2
    viewer = _Viewer((0, middle), made.labels[middle], seconds)
    with tempfile.TemporaryDirectory() as folder:
        config = weak3d.load_config(method).from_settings({"minutes": 5})
        job = workflow.train(method, [sample], config=config, out=Path(folder) / "model")
        viewer.started = time.perf_counter()
        weak3d.follow(job, commands=viewer.next_command, watch=viewer.see)
    return {"previews": viewer.previews, "threads": torch.get_num_threads()}


if __name__ == "__main__":
    main()
