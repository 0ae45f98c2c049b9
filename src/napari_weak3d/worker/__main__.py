"""Where the child process starts, and how it leaves."""

from __future__ import annotations

import faulthandler
import logging
import os
import shutil
import signal
import sys
import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path

from napari_weak3d.worker.wire import Wire, open_wire

CHECKPOINT_S = 10.0
"""How long a running job gets to write its model once nobody listens any more."""
_NICE = 19
"""On the scale of 20 of POSIX systems: napari goes first, and leaves all of the processor while it waits; on Windows
whoever starts the process says it."""

_OOM = Path("/proc/self/oom_score_adj")
_OOM_SCORE = 500
"""Of -1000 to 1000: as if this process held half of the memory more than it does."""


def main(given: str | None) -> None:
    """Serve requests until the input ends or nothing has come for a while; then leave, without returning.

    Parameters
    ----------
    given
        The folder for files that messages name; None: a temporary one. Removed once nobody is left to read them.
    """
    folder = Path(given or tempfile.mkdtemp(prefix="napari-weak3d-"))
    faulthandler.enable()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s: %(message)s")
    _give_way()
    wire = open_wire(on_end=partial(_leave_soon, folder=folder))
    status = 1
    try:
        _work(wire, folder)
        status = 0
    except BaseException:
        logging.getLogger(__name__).exception("the process cannot go on")
    finally:
        if wire.ended or given is None:
            shutil.rmtree(folder, ignore_errors=True)
        logging.shutdown()
        # Not sys.exit: threads and clean-up of libraries must keep neither this process nor its GPU memory.
        os._exit(status)


def _leave_soon(wire: Wire, *, folder: Path) -> None:
    """Nobody listens any more: leave, at once where no job runs, be it in the middle of importing torch."""
    shutil.rmtree(folder, ignore_errors=True)
    if not wire.job_runs:
        os._exit(0)
    # The watchdog runs on a thread of its own that needs no interpreter: code that does not let go of the interpreter's
    # lock is ended too, once this thread has got hold of it.
    faulthandler.dump_traceback_later(CHECKPOINT_S, exit=True)


def _give_way() -> None:
    """Let the window that the user works in go first, and leave interrupts from a terminal to it."""
    with suppress(AttributeError, OSError):
        os.nice(_NICE)
    with suppress(OSError, ValueError):  # Linux: where memory runs out, this is to be ended, not napari
        _OOM.write_text(str(max(_OOM_SCORE, int(_OOM.read_text()))))
    for name in ("SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


def _give_way_at_once() -> None:
    """Linux: leave the processor the moment napari wants it; a nice process still runs its slice to the end.

    Measured: 95 % of strokes were drawn within .09 s instead of .12 s while a model trained on two cores. Threads take
    it from the one that starts them, so it has to be said before any is at work.
    """
    with suppress(AttributeError, OSError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def _work(wire: Wire, folder: Path) -> None:
    # Only now: with torch they take seconds, and what they print must not get onto the wire.
    from napari_weak3d.worker import machine, serving  # noqa: PLC0415

    wire.send(machine.greet())
    _give_way_at_once()  # not before torch is imported: beside other work that would take minutes
    machine.warm_up()
    serving.serve(wire, folder=folder)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
