"""What a job runs on, in words, and what to do where an NVIDIA card lies idle."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Literal

from napari_weak3d.config import Device
from napari_weak3d.messages import DeviceInfo, Hello

Installer = Literal["pip", "uv", "conda"]

TORCH_INDEX = "https://download.pytorch.org/whl/cu130"
"""Builds for CUDA 13.0: there for torch 2.10 to 2.14, Linux and Windows, cards from Turing (2018) to Blackwell, by the
release compatibility matrix in PyTorch's RELEASE.md (pytorch/pytorch #172663 and #190355)."""
LEGACY_INDEX = "https://download.pytorch.org/whl/cu126"
"""Builds for CUDA 12.6, by the same matrix: cards from Maxwell (2014) to Hopper."""
_OLDER_CARDS = f"For a card from before 2018 (GTX 10 series and older) take {LEGACY_INDEX} at the end."


@dataclass(frozen=True)
class Environment:
    """Where this Python lives.

    Attributes
    ----------
    platform
        As ``sys.platform``.
    executable
        Path of the interpreter.
    prefix
        Folder of the environment.
    torch_from
        What torch was installed with, and has to be replaced with.
    """

    platform: str
    executable: str
    prefix: str
    torch_from: Installer = "pip"


@dataclass(frozen=True)
class Advice:
    """What is wrong and what to do, the command that helps ("" where none does), and what else there is to know."""

    text: str
    command: str = ""
    hint: str = ""


def advise(hello: Hello, *, has_nvidia: bool, environment: Environment) -> Advice | None:
    """Say what to do where an NVIDIA card is there and torch does not use it.

    Parameters
    ----------
    hello
        Of the child process: its torch and devices.
    has_nvidia
        Whether the machine has a card and its driver, see :func:`find_nvidia`.
    environment
        For which the command is made.

    Returns
    -------
    Advice or None
        None where there is nothing to do: no card, a card in use, or a Mac (for which no such torch exists).
    """
    used = any(device.kind == Device.CUDA for device in hello.devices)
    if used or not has_nvidia or environment.platform == "darwin":
        return None
    if "+cu" in hello.torch:
        return Advice(
            f"Your NVIDIA card is not used: torch {hello.torch} cannot reach it. Update the card's driver, then start "
            "napari again.",
            hint="Also look whether the environment variable CUDA_VISIBLE_DEVICES hides the card.",
        )
    return Advice(
        "Your NVIDIA card is not used: this torch is built for the CPU. Close napari, run this in a terminal, and "
        "start napari again:",
        command=_command(environment),
        hint=_OLDER_CARDS if environment.torch_from == "pip" else "",
    )


def describe(hello: Hello, *, device: Device = Device.AUTO, cores: int | None = None) -> str:
    """Name what a job runs on.

    Parameters
    ----------
    hello
        Of the child process.
    device
        What the user prefers; "auto" is the first GPU, else the processor. Where that kind is not there, the text
        says so: a job would not start.
    cores
        Of the processor; None: counted.
    """
    found = [each for each in hello.devices if device in (Device.AUTO, each.kind)]
    if not found:
        there = "no devices" if not hello.devices else ", ".join(_name(each, cores) for each in hello.devices)
        return f"Not found: {device.value} (there is {there})"
    return f"Runs on: {_name(found[0], cores)}"


def find_nvidia() -> bool:
    """Look whether there is an NVIDIA card with a driver, by its files: takes no time and opens no card."""
    if shutil.which("nvidia-smi"):
        return True
    if sys.platform == "win32":
        return (Path(os.environ.get("SYSTEMROOT", r"C:\Windows")) / "System32" / "nvml.dll").is_file()
    return Path("/proc/driver/nvidia/version").is_file()


def find_environment() -> Environment:
    """Return the environment that this process runs in."""
    prefix = Path(sys.prefix)
    return Environment(sys.platform, sys.executable, str(prefix), _torch_from(prefix))


def _torch_from(prefix: Path) -> Installer:
    # conda writes a record per package; "pytorch" is its name for torch, also in conda-forge.
    if any((prefix / "conda-meta").glob("pytorch-[0-9]*.json")):
        return "conda"
    # An environment of uv has no pip unless asked for.
    return "pip" if importlib.util.find_spec("pip") else "uv" if _is_of_uv(prefix) else "pip"


def _is_of_uv(prefix: Path) -> bool:
    settings = prefix / "pyvenv.cfg"
    if not settings.is_file():
        return False
    lines = settings.read_text(encoding="utf-8", errors="replace").splitlines()
    return any(line.partition("=")[0].strip() == "uv" for line in lines)


def _command(environment: Environment) -> str:
    python = _quote(_console_python(environment))
    if environment.torch_from == "conda":
        return f"conda install --prefix {_quote(environment.prefix)} --channel conda-forge pytorch-gpu"
    if environment.torch_from == "uv":
        # uv asks the driver which CUDA it can run (docs.astral.sh/uv/guides/integration/pytorch).
        return f"uv pip install --python {python} --reinstall-package torch --torch-backend=auto torch"
    return f"{python} -m pip install --force-reinstall torch --index-url {TORCH_INDEX}"


def _console_python(environment: Environment) -> str:
    """The interpreter that prints to a terminal: napari may run in the one that does not."""
    if environment.platform != "win32":
        return environment.executable
    path = PureWindowsPath(environment.executable)
    return str(path.with_name("python.exe") if path.name.lower() == "pythonw.exe" else path)


def _quote(path: str) -> str:
    """Double quotes do in cmd, and in the shells of Linux and macOS."""
    return f'"{path}"' if any(not (letter.isalnum() or letter in r"\/:._-~") for letter in str(path)) else str(path)


def _name(device: DeviceInfo, cores: int | None) -> str:
    if device.kind == Device.CPU:
        cores = cores or os.cpu_count() or 1
        return f"CPU ({cores} core{'s' if cores > 1 else ''})"
    if device.kind == Device.MPS or not device.memory_bytes:  # an Apple GPU has no memory of its own
        return device.name
    return f"{device.name} ({device.memory_bytes / 2**30:.0f} GB)"
