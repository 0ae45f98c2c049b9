"""Training steps of one network, timed: what a child process of the speed benchmark does."""

from __future__ import annotations

import time
from dataclasses import dataclass
from math import prod
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import nn

from napari_weak3d.config import Device
from napari_weak3d.nn.device import Precision, pick_device, precision_for
from networks import CLASSES, make_network

AS_IT_COMES, OUR_SETTINGS = "as it comes", "our settings"
_WARM_UP = 3
"""Steps before the clock: the first ones choose kernels and allocate."""


@dataclass(frozen=True)
class Measurement:
    """A network, its settings (``AS_IT_COMES`` or ``OUR_SETTINGS``), and the sizes."""

    network: str
    setting: str
    patch: tuple[int, int, int]
    width: int
    levels: int
    steps: int
    device: str


def time_training(measurement: Measurement) -> dict[str, Any]:
    """Take training steps at batch 1 (cross-entropy, AdamW): voxels per second by the median step, and peak memory."""
    device = pick_device(Device(measurement.device))
    ours = measurement.setting == OUR_SETTINGS
    precision = precision_for(device) if ours else Precision(torch.float32, channels_last=False)
    torch.manual_seed(0)
    net, channels = make_network(measurement.network, width=measurement.width, levels=measurement.levels)
    net = net.to(device).train()
    image = torch.randn(1, channels, *measurement.patch).to(device, memory_format=precision.memory_format)
    labels = torch.randint(CLASSES, (1, *measurement.patch)).to(device)
    optimizer = torch.optim.AdamW(net.parameters(), 1e-3)
    before = peak_memory(device)
    seconds = []
    for _ in range(_WARM_UP + measurement.steps):
        start = time.perf_counter()
        with precision.autocast(device):
            logits = net(image)
        nn.functional.cross_entropy(logits.float(), labels).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        wait_for(device)
        seconds.append(time.perf_counter() - start)
    return {
        "voxels_per_second": prod(measurement.patch) / median(seconds[_WARM_UP:]),
        "peak_memory_bytes": peak_memory(device) - before,
        "parameters": sum(parameter.numel() for parameter in net.parameters()),
        "precision": describe_precision(precision),
        "device": str(device),
        "threads": torch.get_num_threads(),
    }


def describe_precision(precision: Precision) -> str:
    layout = ", channels last" if precision.channels_last else ""
    return str(precision.dtype).removeprefix("torch.") + layout


def wait_for(device: torch.device) -> None:
    """Let a device finish what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def peak_memory(device: torch.device) -> int:
    """Bytes: the most that this process has had so far, on a GPU or in all; 0 where the system does not say."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)
