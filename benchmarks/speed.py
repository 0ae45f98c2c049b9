"""How fast networks train and predict: our default one against MONAI's, nnU-Net's and pytorch-3dunet's.

    python benchmarks/speed.py [--patch 64,64,64] [--rounds 3] [--only training|inference ...]
                               [--out results/speed.json]

Training: voxels per second and peak memory at the same width, depth and patch, each as it comes (fp32) and with our
settings (what the machine is fastest with: bf16 autocast and channels last, say). Every measurement is a process of its
own; rounds alternate in order; medians. Inference: 64x512x512 voxels through all networks of a default model, in our
tiles, in MONAI's sliding window, and as bare forward passes over our tiles, in turn within one process. Run it on a
quiet machine.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import median
from typing import Any

from inference import INFERENCE_SHAPE, InferenceJob, time_inference
from napari_weak3d import load_config
from networks import OURS, PACKAGES, missing_networks
from record import RESULTS, Record, markdown, run_in_child
from steps import AS_IT_COMES, OUR_SETTINGS, Measurement, time_training

FLOOR_FACTOR = 1.05
"""The goal: our tiles take at most this much of the bare forward passes."""


def main() -> None:
    options = read_options()
    record = Record(options.out, what="training voxels per second, peak memory, and inference through tiles")
    missing = missing_networks()
    for name in missing:
        print(f"{name}: {PACKAGES[name]} is not installed, left out (pip install --group benchmarks)")
    if "training" in options.only:
        measure_training(options, [name for name in PACKAGES if name not in missing], record=record)
    if "inference" in options.only:
        measure_inference(options, record=record)
    print(report(record))


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    defaults = load_config("slices")()
    parser.add_argument("--patch", type=as_shape, default=(64, 64, 64), metavar="Z,Y,X")
    parser.add_argument("--width", type=int, default=getattr(defaults, "width", 16))
    parser.add_argument("--levels", type=int, default=getattr(defaults, "levels", 5))
    parser.add_argument("--steps", type=int, default=10, help="timed steps of a measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--shape", type=as_shape, default=INFERENCE_SHAPE, metavar="Z,Y,X", help="for inference")
    parser.add_argument("--tile", type=int, default=defaults.tile, help="side of a tile in the plane, for inference")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto")
    parser.add_argument("--only", nargs="*", choices=("training", "inference"), default=("training", "inference"))
    parser.add_argument("--out", type=Path, default=RESULTS / "speed.json")
    return parser.parse_args()


def as_shape(text: str) -> tuple[int, int, int]:
    z, y, x = (int(part) for part in text.split(","))
    return z, y, x


def measure_training(options: argparse.Namespace, names: list[str], *, record: Record) -> None:
    """Measure every network in both settings, round by round."""
    cases = [(name, setting) for name in names for setting in (AS_IT_COMES, OUR_SETTINGS)]
    runs: dict[tuple[str, str], list[dict[str, Any]]] = {case: [] for case in cases}
    for number in range(options.rounds):
        # Back and forth, so that a machine that grows warm or busy is not always so for the same ones.
        for name, setting in cases if number % 2 == 0 else cases[::-1]:
            measurement = Measurement(
                name, setting, options.patch, options.width, options.levels, options.steps, options.device
            )
            runs[name, setting].append(run_in_child(time_training, measurement))
            print(f"{name}, {setting}: {runs[name, setting][-1]}", flush=True)
    for (name, setting), measured in runs.items():
        numbers = {key: median(one[key] for one in measured) for key in ("voxels_per_second", "peak_memory_bytes")}
        about = {key: measured[0][key] for key in ("parameters", "precision", "device", "threads")}
        asked = {"patch": options.patch, "width": options.width, "levels": options.levels, "rounds": len(measured)}
        record.put("training", name, setting, value=numbers | about | asked)


def measure_inference(options: argparse.Namespace, *, record: Record) -> None:
    """Measure ours, MONAI's and the floor in one process."""
    job = InferenceJob(options.shape, options.tile, options.width, options.levels, options.rounds, options.device)
    figures = run_in_child(time_inference, job)
    record.put("inference", value=figures)


def report(record: Record) -> str:
    """Lay out both tables."""
    lines = []
    for name, settings in (record.get("training") or {}).items():
        for setting in (AS_IT_COMES, OUR_SETTINGS):
            if run := settings.get(setting):
                speed, memory = run["voxels_per_second"] / 1e3, run["peak_memory_bytes"] / 2**20
                lines.append([name, setting, run["precision"], f"{speed:.0f}", f"{memory:.0f}", str(run["parameters"])])
    header = ["network", "settings", "precision", "kvoxel/s", "peak MiB", "parameters"]
    parts = [markdown(header, lines)] if lines else []
    return "\n\n".join([*parts, *describe_inference(record.get("inference"))])


def describe_inference(figures: dict[str, Any] | None) -> list[str]:
    if figures is None:
        return []
    rows = [
        [name, f"{one['seconds']:.2f}", f"{one['of_floor']:.3f}", str(one["tiles"]), f"{one['voxels'] / 1e6:.1f}"]
        for name, one in figures["ways"].items()
    ]
    ours = figures["ways"][OURS]["of_floor"]
    goal = f"ours / floor {ours:.3f} (goal: at most {FLOOR_FACTOR}): {'met' if ours <= FLOOR_FACTOR else 'missed'}"
    return [markdown(["inference", "seconds", "of the floor", "tiles", "Mvoxel computed"], rows), goal]


if __name__ == "__main__":
    main()
