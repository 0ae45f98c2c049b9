"""What the child asks of the machine: its devices without touching a GPU, a warm start, memory back."""

from __future__ import annotations

import gc
import logging
import os
import platform
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import torch

from napari_weak3d import __version__, methods
from napari_weak3d.messages import DeviceInfo, Hello
from napari_weak3d.nn.threads import find_fastest

_log = logging.getLogger(__name__)

_ASK_DRIVER_S = 10.0


def greet() -> Hello:
    """Say which versions run here and on which devices, the processor last; no memory of a GPU is taken."""
    devices = _cuda_devices(torch.cuda.device_count()) if torch.cuda.is_available() else []
    if torch.backends.mps.is_available():
        devices.append(DeviceInfo("mps", "Apple GPU", torch.mps.recommended_max_memory()))
    processor = f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads"
    devices.append(DeviceInfo("cpu", processor, _physical_memory()))
    return Hello(__version__, torch.__version__, tuple(devices))


def warm_up() -> None:
    """Do what takes seconds the first time: import the methods."""
    for info in methods.METHODS.values():
        try:
            methods.load_object(info.model)
        except Exception:
            _log.exception("%s cannot be used", info.title)


@contextmanager
def fast_threads() -> Iterator[None]:
    """Use as many threads as are fast now: where others use the machine too, one can be ten times as fast as all.

    Not for training, which finds this out itself, again and again.
    """
    most = torch.get_num_threads()
    patch, kernel = torch.ones(1, 16, 16, 64, 64), torch.ones(16, 16, 3, 3, 3)

    def seconds(threads: int) -> float:
        torch.set_num_threads(threads)
        start = time.monotonic()
        with torch.inference_mode():
            torch.nn.functional.conv3d(patch, kernel)
        return time.monotonic() - start

    try:
        threads = find_fastest(most, seconds=seconds)
        torch.set_num_threads(threads)
        if threads < most:
            _log.info("%d threads of %d are fastest", threads, most)
        yield
    finally:
        torch.set_num_threads(most)


def free_memory() -> None:
    """Give memory back that a job has used."""
    gc.collect()
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()


def _cuda_devices(count: int) -> list[DeviceInfo]:
    """Names and memory from the driver's own program: torch would open the GPU to tell them."""
    told = _ask_driver() if torch.version.cuda else []
    return told if len(told) == count else [DeviceInfo("cuda", "GPU", None)] * count


def _ask_driver() -> list[DeviceInfo]:
    command = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen:
        command.append(f"--id={chosen}")
    try:
        told = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=True,
            timeout=_ASK_DRIVER_S,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        ).stdout
        rows = [line.rpartition(",") for line in told.splitlines()]
        return [DeviceInfo("cuda", name.strip(), int(mebibytes) * 2**20) for name, _, mebibytes in rows]
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        _log.info("the driver does not tell of its GPUs: %s", error)
        return []


def _physical_memory() -> int | None:
    with suppress(AttributeError, ValueError, OSError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None
