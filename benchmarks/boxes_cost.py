"""What boxes cost: memory of a step on four patches of 64 x 64 x 128, and seconds to segment 64 x 639 x 649 voxels.

    python benchmarks/boxes_cost.py [--steps 150] [--out results/boxes_cost.json]

Both on synthetic cells, with the defaults and, for memory, without the strided stem too. A step's memory is the peak of
its process over what that held before the first one. What is segmented holds about 20 large cells, as the volumes of
Zhao et al. do; the model has learned from it for so many steps that it finds most of them.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import napari_weak3d as weak3d
from napari_weak3d import workflow
from napari_weak3d.methods.boxes.config import BoxesConfig
from napari_weak3d.samples import draw_boxes, make_blobs
from napari_weak3d.types import IntLabels, Sample
from record import RESULTS, Record, markdown, run_in_child
from steps import peak_memory

PATCH, BATCH = (64, 64, 128), 4
_STEPS = 6
_PAPER_BYTES = 15e9
_WHOLE = (64, 639, 649)
MEMORY_CASES: dict[str, dict[str, Any]] = {"default": {}, "without strided stem": {"stem": 1}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=150, help="of the model that segments (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=RESULTS / "boxes_cost.json")
    options = parser.parse_args()
    record = Record(options.out, what="memory of a training step of boxes, and time to segment a volume")
    lines = []
    for case, settings in MEMORY_CASES.items():
        figures = run_in_child(measure_memory, settings)
        record.put("memory", case, value=figures)
        share = figures["peak_memory_bytes"] / _PAPER_BYTES
        lines.append([case, f"{figures['peak_memory_bytes'] / 1e9:.2f} GB", f"{share:.2f} of the paper's"])
    figures = run_in_child(measure_segmenting, options.steps)
    record.put("segmenting", value=figures)
    found = f"{figures['n_found']} of {figures['n_true']} objects, F1 {figures['f1']:.3f}"
    lines.append(["segmenting", f"{figures['seconds']:.1f} s", found])
    print(markdown(["what", "cost", ""], lines))


def measure_memory(settings: dict[str, Any]) -> dict[str, Any]:
    """Take steps on four patches of a volume of cells."""
    import torch  # noqa: PLC0415  # only children need it

    from napari_weak3d.methods.boxes.learner import Learner  # noqa: PLC0415
    from napari_weak3d.methods.boxes.starting import make_scheme  # noqa: PLC0415
    from napari_weak3d.methods.boxes.volumes import annotate  # noqa: PLC0415
    from napari_weak3d.nn.device import pick_device, precision_for  # noqa: PLC0415
    from napari_weak3d.nn.member import Compute  # noqa: PLC0415
    from napari_weak3d.nn.patch_size import PatchSize  # noqa: PLC0415
    from napari_weak3d.nn.slabs import view_volume  # noqa: PLC0415

    sample, _ = make_cells((64, 192, 256), diameter_um=12.0, fill=0.15)
    config = BoxesConfig.from_settings({"steps": _STEPS, **settings})
    scheme = make_scheme([sample], config=config, start=None)
    device = pick_device(config.device)
    learner = Learner(
        (sample,),
        scheme,
        config,
        Compute(device, precision_for(device)),
        save_to=lambda _: None,
        annotated=[annotate(sample, view_volume(sample.volume), classes=scheme.classes)],
    )
    z, y, x = (-(-side // of) * of for side, of in zip(PATCH, learner.patch.multiple, strict=True))
    learner.patch = PatchSize((z, y, x), BATCH, learner.patch.multiple)
    learner.learn(without_held_out=False)
    before = peak_memory(device)
    started = time.perf_counter()
    for step in range(_STEPS):
        learner.step(step / _STEPS)
    return {
        "peak_memory_bytes": peak_memory(device) - before,
        "seconds_per_step": round((time.perf_counter() - started) / _STEPS, 2),
        "stem": list(scheme.stem),
        "patch": [z, y, x],
        "device": str(device),
        "threads": torch.get_num_threads(),
    }


def measure_segmenting(steps: int) -> dict[str, Any]:
    """Learn a little from a large volume, and segment it without its boxes."""
    import torch  # noqa: PLC0415  # its start is no part of the times

    sample, truth = make_cells(_WHOLE, diameter_um=40.0, fill=0.1)
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        config = BoxesConfig.from_settings({"steps": steps})
        weak3d.follow(workflow.train("boxes", [sample], config=config, out=model))
        started = time.perf_counter()
        prediction = weak3d.follow(workflow.segment(model, sample.volume, settings={"use_boxes": False}))
        seconds = time.perf_counter() - started
    scores = weak3d.instance_scores(prediction.labels, truth)
    return {
        "seconds": round(seconds, 1),
        "shape": list(_WHOLE),
        "n_true": scores.n_true,
        "n_found": scores.n_predicted,
        "f1": scores.f1,
        "seg": scores.seg,
        "steps": steps,
        "threads": torch.get_num_threads(),
    }


def make_cells(shape: tuple[int, int, int], *, diameter_um: float, fill: float) -> tuple[Sample, IntLabels]:
    """Synthetic cells, with boxes of all and masks of a fifth."""
    rng = np.random.default_rng(0)
    made = make_blobs(rng, shape=shape, spacing=(1.0, 0.5, 0.5), diameter_um=diameter_um, fill=fill)
    return Sample(made.volume, draw_boxes(made.labels, rng=rng)), made.labels


if __name__ == "__main__":
    main()
