"""The child's end of the wire: a queue of what came in, and a stream for reports that no library can print into."""

from __future__ import annotations

import logging
import os
import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TextIO

from napari_weak3d.messages import Message, Report, Request, WireCommand, WireError, decode, encode

_log = logging.getLogger(__name__)


class Wire:
    """Messages in and out.

    Parameters
    ----------
    incoming
        Lines from the app; a thread reads them until they end.
    outgoing
        Lines to the app.
    on_end
        Called with this in that thread once the incoming lines end: nobody listens any more.

    Attributes
    ----------
    job_runs
        Kept by whoever runs jobs.
    """

    def __init__(self, incoming: Iterable[str], outgoing: TextIO, *, on_end: Callable[[Wire], object]) -> None:
        self.job_runs = False
        self._outgoing = outgoing
        self._queue: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._requests: deque[Request] = deque()
        self._ended = False
        threading.Thread(target=self._read, args=(incoming, on_end), daemon=True, name="wire").start()

    @property
    def ended(self) -> bool:
        """Whether the app is gone, as far as what was taken from the queue tells."""
        return self._ended

    def send(self, message: Report) -> None:
        """Send a report; to nobody, if the app is gone."""
        line = encode(message)
        with suppress(OSError):
            self._outgoing.write(line + "\n")
            self._outgoing.flush()

    def next_request(self, *, within_s: float | None) -> Request | None:
        """Wait for a request; commands to jobs that are over are dropped.

        Returns
        -------
        None when the app is gone, or when none came in time (None: any time).
        """
        latest = None if within_s is None else time.monotonic() + within_s
        while not self._requests and not self._ended:
            left = None if latest is None else max(0.0, latest - time.monotonic())
            try:
                self._sort(self._queue.get(timeout=left))
            except queue.Empty:
                return None
        return self._requests.popleft() if self._requests and not self._ended else None

    def commands(self, *, wait: bool) -> list[WireCommand]:
        """Take the commands that came in since the last call, oldest first; ``wait`` for something if there is none."""
        taken: list[WireCommand] = []
        with suppress(queue.Empty):
            while not self._ended:
                command = self._sort(self._queue.get(block=wait and not taken))
                taken += [] if command is None else [command]
        return taken

    def _sort(self, message: Message | None) -> WireCommand | None:
        """Keep a request for later, and give back a command."""
        if message is None:
            self._ended = True
        elif isinstance(message, Request):
            self._requests.append(message)
        elif isinstance(message, WireCommand):
            return message
        return None

    def _read(self, incoming: Iterable[str], on_end: Callable[[Wire], object]) -> None:
        with suppress(OSError, ValueError):
            for line in incoming:
                try:
                    self._queue.put(decode(line))
                except WireError as error:
                    _log.error("%s", error)
        self._queue.put(None)
        on_end(self)


def open_wire(*, on_end: Callable[[Wire], object]) -> Wire:
    """Take standard input and output for messages.

    What anything prints from now on goes to standard error, and what anything reads is empty.
    """
    incoming = os.fdopen(os.dup(0), encoding="utf-8", errors="replace")
    outgoing = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
    sys.stdout.flush()
    os.dup2(2, 1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return Wire(incoming, outgoing, on_end=on_end)
