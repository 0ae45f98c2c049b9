"""Long work beside the viewer: it runs on a thread, and what it gives comes back on the main thread."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from qtpy.QtCore import QObject, Qt, Signal

from napari_weak3d.errors import Weak3DError

T = TypeVar("T")
_THREADS = 2


class Background(QObject):
    """Runs functions on threads of its own, in order of asking, two at a time.

    The functions must not touch Qt, the viewer or its layers.
    """

    _ended = Signal(object, object)
    """What to call on the main thread, and with what."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="weak3d")
        self._closed = False
        self._ended.connect(self._call, Qt.ConnectionType.QueuedConnection)

    def run(self, work: Callable[[], T], *, done: Callable[[T], None], failed: Callable[[Weak3DError], None]) -> None:
        """Run ``work`` on a thread; then call ``done`` with what it returned, or ``failed``, on the main thread.

        An error that is no Weak3DError arrives as one whose message says so and whose value is the traceback.
        After :meth:`close` neither is called.
        """
        if self._closed:
            return
        future = self._pool.submit(work)
        future.add_done_callback(lambda ended: self._report(ended, done, failed))

    def later(self, call: Callable[[Any], None], value: object) -> None:
        """From a thread: call ``call(value)`` on the main thread, for progress."""
        if not self._closed:
            self._ended.emit(call, value)

    def close(self) -> None:
        """Let running work end, drop what has not begun, and report nothing any more."""
        self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _report(self, ended: Future[T], done: Callable[[T], None], failed: Callable[[Weak3DError], None]) -> None:
        if ended.cancelled() or self._closed:
            return
        error = ended.exception()
        if error is None:
            self._ended.emit(done, ended.result())
        else:
            self._ended.emit(failed, _as_ours(error))

    def _call(self, call: Callable[[Any], None], value: object) -> None:
        if not self._closed:
            call(value)


def _as_ours(error: BaseException) -> Weak3DError:
    if isinstance(error, Weak3DError):
        return error
    text = "".join(traceback.format_exception(error))
    return Weak3DError(f"something unexpected went wrong: {type(error).__name__}: {error}", value=text)
