"""Result files, and the machine they are from.

A table of trainings takes hours. Its file is rewritten after every run, so a run that was cut off is continued by the
same command, and what a file holds is never made again.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

Result = TypeVar("Result")

RESULTS = Path(__file__).parent / "results"


def describe_machine() -> dict[str, Any]:
    """Name the processor, its cores, the system and the versions that figures hang on."""
    return {
        "processor": _name_processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{package: find_version(package) for package in ("torch", "numpy", "scikit-learn")},
    }


def find_version(package: str) -> str | None:
    """Give the version of an installed package without importing it; None if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _name_processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def name_commit() -> str | None:
    """Name the commit that is checked out, with a + if files differ from it; None outside of git."""
    command = ["git", "describe", "--always", "--dirty=+"]
    try:
        return subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


class Record:
    """A result file: figures under a path of keys, written whole after each change.

    Parameters
    ----------
    path
        The JSON file; continued if it is there.
    what
        A sentence for whoever opens the file.

    Raises
    ------
    SystemExit
        The file is from another machine, or from other versions: its figures must not be mixed with ours.
    """

    def __init__(self, path: Path, *, what: str) -> None:
        self.path = path
        machine = describe_machine()
        self.content: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
        before = self.content.get("machine", machine)
        if before != machine:
            raise SystemExit(f"{path} is from another machine ({before}), this is {machine}: name another --out")
        self.content |= {"what": what, "machine": machine}

    def get(self, *keys: str) -> Any:
        """Return what lies under the keys, or None."""
        found: Any = self.content
        for key in keys:
            found = found.get(key) if isinstance(found, dict) else None
        return found

    def put(self, *keys: str, value: dict[str, Any]) -> None:
        """Put figures under the keys, with their date, and write the file."""
        parent = self.content
        for key in keys[:-1]:
            parent = parent.setdefault(key, {})
        parent[keys[-1]] = value | {"date": date.today().isoformat(), "commit": name_commit()}
        self.write()

    def write(self) -> None:
        """Write the file whole or not at all."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(".part")
        draft.write_text(json.dumps(self.content, indent=1) + "\n")
        draft.replace(self.path)


def run_in_child(job: Callable[..., Result], *arguments: Any) -> Result:
    """Call a function in a process of its own: nothing that an earlier run left behind helps or hinders it."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(job, *arguments).result()


def attempt(title: str, job: Callable[[], None]) -> bool:
    """Do one run of a table; if it fails, say so and go on to the next one. Whether it went well."""
    print(f"{title} ...", file=sys.stderr, flush=True)
    try:
        job()
    except Exception:  # hours of other runs must not be lost to it
        print(f"{title} FAILED", file=sys.stderr)
        traceback.print_exc()
        return False
    return True


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out a markdown table."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [header, ["-" * width for width in widths], *rows]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    )


def three(value: float | None) -> str:
    """Three decimals; a dash for what is not there."""
    return "-" if value is None else f"{value:.3f}"


def with_range(values: Sequence[float]) -> str:
    """Mean, and lowest to highest: "0.712 (0.703 to 0.720)"."""
    if not values:
        return "-"
    mean = sum(values) / len(values)
    return f"{mean:.3f} ({min(values):.3f} to {max(values):.3f})" if len(values) > 1 else f"{mean:.3f}"


def add_training_options(parser: argparse.ArgumentParser, *, minutes: float) -> None:
    """Add ``--minutes``, ``--steps`` and ``--set``, as the command line of the package has them."""
    parser.add_argument("--minutes", type=float, default=minutes, help="per training (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=0, help="optimizer steps instead of minutes")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="NAME=VALUE")


def training_settings(options: argparse.Namespace) -> dict[str, Any]:
    """Collect the settings that :func:`add_training_options` asks for; ``seed`` is not among them."""
    budget = {"steps": options.steps} if options.steps else {"minutes": options.minutes}
    return budget | dict(text.split("=", 1) for text in options.settings)
