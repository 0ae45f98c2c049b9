"""The child's main loop: a request at a time, and for each a Finished or a Failed."""

from __future__ import annotations

import logging
import traceback
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from napari_weak3d.errors import Weak3DError
from napari_weak3d.messages import Failed, Finished, Request, Train
from napari_weak3d.nn.device import is_out_of_memory
from napari_weak3d.worker import tasks
from napari_weak3d.worker.machine import fast_threads, free_memory
from napari_weak3d.worker.talk import Talk
from napari_weak3d.worker.wire import Wire

_log = logging.getLogger(__name__)

IDLE_S = 45.0
"""After a job, without another one for so long, the process leaves: only so a GPU's memory comes back, and within a
minute. One that has served nothing holds no GPU, and stays."""
_TAIL_LINES = 60
_LONGEST_VALUE = 200


def serve(wire: Wire, *, folder: Path) -> None:
    """Serve requests until the app is gone, or for :data:`IDLE_S` after the last job.

    Parameters
    ----------
    wire
        To the app.
    folder
        For previews.
    """
    served = False
    while (request := wire.next_request(within_s=IDLE_S if served else None)) is not None:
        _log.info("job %s: %s", request.job, type(request).__name__)
        wire.job_runs = True
        wire.send(_serve_one(request, Talk(wire, job=request.job, folder=folder)))
        wire.job_runs = False
        free_memory()
        served = True


def _serve_one(request: Request, talk: Talk) -> Finished | Failed:
    try:
        with nullcontext() if isinstance(request, Train) else fast_threads():
            result = tasks.run(request, talk)
        talk.flush()
        return Finished(request.job, result)
    except Weak3DError as error:
        return Failed(request.job, type(error).__name__, error.message, error.where, _short(error.value))
    except Exception as error:
        _log.exception("job %s failed", request.job)
        return _describe_unforeseen(error, job=request.job)


def _describe_unforeseen(error: Exception, *, job: str) -> Failed:
    tail = "".join(traceback.format_exception(error)).splitlines()[-_TAIL_LINES:]
    if is_out_of_memory(error):
        message = (
            "the memory of this computer or of its GPU was not enough: close other programs, or choose a smaller patch "
            "or tile in the advanced settings"
        )
        return Failed(job, "memory", message, log_tail="\n".join(tail))
    message = f"something unforeseen went wrong ({type(error).__name__}: {error}): please report it with the details"
    return Failed(job, "unexpected", message, log_tail="\n".join(tail))


def _short(value: Any) -> Any:
    """A value as it is if it is a number or short, else the beginning of its text."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, tuple | list) and len(value) <= 8:
        return [_short(item) for item in value]
    return str(value)[:_LONGEST_VALUE]
