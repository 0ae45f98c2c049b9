"""Pulls a job to its end, shows its progress on standard error, and turns Ctrl-C into Stop."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

from napari_weak3d.messages import Command, Stop
from napari_weak3d.types import Progress

Result = TypeVar("Result")
CommandSource = Callable[[], Command | None]

TERMINAL_SECONDS, LOG_SECONDS = 0.2, 10.0
"""How often the bar is drawn on a terminal, and in a log file, where every drawing is a line to read."""


def follow(
    job: Generator[Progress, Command | None, Result],
    *,
    commands: CommandSource = lambda: None,
    watch: Callable[[Progress], None] = lambda progress: None,
) -> Result:
    """Pull a job to its end and return its result, with a progress bar on standard error.

    Parameters
    ----------
    job
        A generator of Progress, as the workflow's verbs are.
    commands
        Asked before each pull but the first for a command to send.
    watch
        Sees every progress.
    """
    bar = _make_bar("starting") if sys.stderr.isatty() else None  # in a log, a line that only says so is too much
    command: Command | None = None
    has_begun = False
    try:
        while True:
            progress = job.send(command)
            has_begun = True
            watch(progress)
            if bar is None:
                bar = _make_bar(progress.message or "running")
            _draw(bar, progress)
            command = commands()
    except StopIteration as end:
        result: Result = end.value
        return result
    finally:
        if bar is not None:
            bar.leave = has_begun  # what was refused at the start is told on a clean line
            bar.close()
        job.close()


@contextmanager
def stop_on_interrupt() -> Iterator[CommandSource]:
    """Within it, Ctrl-C becomes a Stop command; a second Ctrl-C aborts as usual.

    The source it gives returns Stop once after Ctrl-C, else None. Outside of the main thread no signal can be caught:
    there it never returns Stop.
    """
    pressed = threading.Event()

    def note(_signal: int, _frame: FrameType | None) -> None:
        pressed.set()
        signal.signal(signal.SIGINT, before)
        print("\nstopping after this step, keeping the model; Ctrl-C again aborts", file=sys.stderr)

    def take() -> Command | None:
        if not pressed.is_set():
            return None
        pressed.clear()
        return Stop()

    if threading.current_thread() is not threading.main_thread():
        yield take
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield take
    finally:
        signal.signal(signal.SIGINT, before)


def _make_bar(message: str) -> Any:
    from tqdm import tqdm

    seconds = TERMINAL_SECONDS if sys.stderr.isatty() else LOG_SECONDS
    return tqdm(
        desc=message,
        total=1,
        file=sys.stderr,
        mininterval=seconds,
        dynamic_ncols=True,
        bar_format="{desc} {percentage:3.0f}%|{bar:24}| {n_fmt}/{total_fmt}{postfix}",
    )


def _draw(bar: Any, progress: Progress) -> None:
    bar.total = max(progress.total, progress.step, 1)
    bar.set_description_str(progress.message or "running", refresh=False)
    parts = [f"{name} {value:.3g}" for name, value in progress.metrics.items()]
    if progress.seconds_left is not None:
        parts.append(f"{_as_clock(progress.seconds_left)} left")
    bar.set_postfix_str(", ".join(parts), refresh=False)
    bar.update(progress.step - bar.n)


def _as_clock(seconds: float) -> str:
    minutes, rest = divmod(max(0, round(seconds)), 60)
    return f"{minutes}:{rest:02d}"
