"""Paint goes to the disk by itself, within seconds, and the viewer does not notice.

Comparing and copying happen on the main thread, a few milliseconds at a time; a thread compresses and writes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from qtpy.QtCore import QObject, Qt, QTimer, Signal

from napari_weak3d.app.changes import PlaneChanges
from napari_weak3d.errors import AnnotationError, StorageError, Weak3DError
from napari_weak3d.io.project import AnnotationState
from napari_weak3d.types import IntLabels, SliceIndex

_TICK_MS = 25
_BUDGET_S = 0.002  # of the main thread per tick: an eighth of a frame; one step may come on top
_SHORTEST_S = 0.2  # a few ticks
_RETRY_S = 3.0
_EFFORT_S = 15.0  # how often the effort alone is worth a write
_NO_PAINT = np.zeros((0, 0, 0), np.int32)


class Store(Protocol):
    """Where an annotation is kept, as :class:`~napari_weak3d.io.project.AnnotationStore` keeps it."""

    @property
    def folder(self) -> Path:
        """Where it is."""

    def painted_planes(self) -> tuple[int, ...]:
        """Tell which z planes are painted."""

    def read_planes(self) -> Mapping[int, IntLabels]:
        """Read the painted planes; on a thread."""

    def state(self) -> AnnotationState | None:
        """Read all but the paint."""

    def write(self, state: AnnotationState, planes: Mapping[int, IntLabels]) -> int:
        """Write planes that changed, and return the revision; on a thread."""


@dataclass
class _Watched:
    """What is annotated, where it is kept, and how far that is; ``layer`` is None where nothing is painted."""

    layer: Any
    store: Store
    state: Callable[[], AnnotationState]
    shown: Callable[[], SliceIndex | None]
    changes: PlaneChanges | None = None  # None: what is on disk is still being read
    sampled: AnnotationState | None = None  # at the start of the round that runs
    settled: AnnotationState | None = (
        None  # at the start of the last round that ended: never newer than the paint found
    )
    written: AnnotationState | None = None
    painted: bool = False
    near_at: float = -math.inf
    round_at: float = -math.inf
    written_at: float = -math.inf
    not_before: float = -math.inf
    told: set[str] = field(default_factory=set)
    shape: tuple[int, ...] = (0, 0, 0)  # of the paint, as it was when the watching began

    @property
    def paint(self) -> Any:
        """The painted volume, (Z, Y, X); of no plane where there is no layer."""
        return _NO_PAINT if self.layer is None else self.layer.data


class Autosave(QObject):
    """Keeps one annotation on disk: its state, and its paint layer if it has one.

    Parameters
    ----------
    seconds
        What is painted in view is on disk after about this time, elsewhere (undo, a fill in 3D) after about twice it;
        at least 0.2.

    Attributes
    ----------
    saved
        Signal: a revision is on disk, its number.
    failed
        Signal: a Weak3DError. Told once for each cause; the paint is kept and writing is tried again every 3 s.
    """

    saved = Signal(int)
    failed = Signal(object)
    _answered = Signal()

    def __init__(self, parent: QObject | None = None, *, seconds: float = 1.0) -> None:
        super().__init__(parent)
        self.set_seconds(seconds)
        self._watched: _Watched | None = None
        self._future: Future[Any] | None = None
        self._writing: dict[int, IntLabels] = {}
        self._writing_state: AnnotationState | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="autosave")
        self._timer = QTimer(self)
        self._timer.setInterval(_TICK_MS)
        self._timer.timeout.connect(self._tick)
        # Queued: a write that is done at once would answer in the middle of asking for it.
        self._answered.connect(self._collect, Qt.ConnectionType.QueuedConnection)

    def set_seconds(self, seconds: float) -> None:
        """Write after about so many seconds from now on; at least 0.2."""
        self.seconds = max(seconds, _SHORTEST_S)

    def watch(
        self,
        layer: Any,
        store: Store,
        state: Callable[[], AnnotationState],
        *,
        shown: Callable[[], SliceIndex | None] = lambda: None,
    ) -> None:
        """Keep an annotation on disk from now on; one that was watched before is written first.

        Parameters
        ----------
        layer
            A napari Labels layer of the image's shape (Z, Y, X). What the store holds must be in it: planes that are
            empty in the layer are dropped from the disk. None: nothing is painted, the state is all there is.
        store
            Where to.
        state
            Says all but the paint; called on the main thread.
        shown
            Says which slice is in view, to look there first; None where that is not known.

        Raises
        ------
        AnnotationError
            The layer is empty and the store is not: watching would delete what was painted.
        Weak3DError
            The layer before could not be written; this one is not watched.
        """
        self.unwatch()
        watched = _Watched(layer, store, state, shown)
        watched.shape = tuple(watched.paint.shape)
        if store.painted_planes() and not _has_paint(watched.paint):
            raise AnnotationError(
                f"the layer {layer.name} is empty and {store.folder} holds paint: put that into the layer first",
                where=str(layer.name),
            )
        self._watched = watched
        self._submit(_read_planes, store)
        if layer is not None:
            layer.events.paint.connect(self._on_paint)
        self._timer.start()

    def unwatch(self) -> None:
        """Write what is not written and let go of the layer; does nothing where there is none.

        Raises
        ------
        Weak3DError
            It could not be written; the layer is let go of all the same, and still holds the paint.
        """
        if self._watched is None:
            return
        try:
            self.flush()
        finally:
            self.let_go()

    def let_go(self) -> None:
        """Let go of the layer as it is: what was not found yet is the caller's to keep. Waits for a write that runs."""
        watched = self._watched
        if watched is None:
            return
        self._timer.stop()
        self._wait()
        if watched.layer is not None:
            watched.layer.events.paint.disconnect(self._on_paint)
        self._watched = None

    def flush(self) -> None:
        """Compare all of the layer, write what changed, and return when it is on disk.

        Raises
        ------
        Weak3DError
            It could not be written; it is kept, and tried again.
        """
        watched = self._watched
        if watched is None:
            return
        error = self._wait()
        if watched.changes is None:
            raise error or StorageError(f"cannot read the annotation in {watched.store.folder}")
        state = watched.state()
        data = watched.paint
        watched.changes.begin_round(data)
        watched.changes.go_on(data, until=math.inf)
        watched.sampled = watched.settled = state
        if self._is_due(watched, effort=True):
            self._write(watched)
            error = self._wait()
            if error is not None:
                raise error

    def close(self) -> None:
        """End the thread; call :meth:`unwatch` first."""
        self._timer.stop()
        self._thread.shutdown(wait=True)

    def _on_paint(self, event: object = None) -> None:
        """A stroke ended. Where, only napari's own history knows: a round over all planes finds it."""
        if self._watched is not None:
            self._watched.painted = True

    def _tick(self) -> None:
        """Look for changes for some milliseconds."""
        watched = self._watched
        if watched is None:
            return
        now = time.perf_counter()
        if watched.changes is None:
            if self._future is None and now >= watched.not_before:  # reading failed
                self._submit(_read_planes, watched.store)
            return
        if now - watched.near_at >= self.seconds / 4:
            self._look_near(watched, now)
        self._look_around(watched, now)
        since = now - watched.written_at
        free = self._future is None and now >= watched.not_before and watched.settled is not None
        if free and since >= self.seconds / 4 and self._is_due(watched, effort=since >= _EFFORT_S):
            self._write(watched)

    def _look_near(self, watched: _Watched, now: float) -> None:
        """Look first at the plane in view and the one that changed last: most strokes are found there."""
        changes = watched.changes
        assert changes is not None
        watched.near_at = now
        shown = watched.shown()
        in_view = [shown[1]] if shown is not None and shown[0] == 0 else []
        changes.look_first(in_view if changes.latest is None else [*in_view, changes.latest])

    def _look_around(self, watched: _Watched, now: float) -> None:
        """Go on with the round over all planes, or begin one if it is time: sooner after a stroke."""
        changes, data = watched.changes, watched.paint
        assert changes is not None
        begins = not changes.in_round and now - watched.round_at >= self.seconds / (4 if watched.painted else 1)
        if begins:
            watched.round_at, watched.painted = now, False
            watched.sampled = watched.state()
            changes.begin_round(data)
        in_round = begins or changes.in_round  # a round over no plane ends where it begins
        changes.go_on(data, until=now + _BUDGET_S)
        if in_round and not changes.in_round:
            watched.settled = watched.sampled

    def _is_due(self, watched: _Watched, *, effort: bool) -> bool:
        """Whether there is anything to write; a difference in the effort counts if ``effort``."""
        assert watched.changes is not None
        if watched.changes.found:
            return True
        if watched.written is None or watched.settled is None:  # an untouched image gets no annotation
            return watched.settled is not None and not watched.settled.is_empty
        old = watched.written if effort else replace(watched.written, effort_s=watched.settled.effort_s)
        return old != watched.settled

    def _write(self, watched: _Watched) -> None:
        """Hand what was found to the thread."""
        assert watched.changes is not None
        assert watched.settled is not None
        self._writing, self._writing_state = watched.changes.take(), watched.settled
        watched.written_at = time.perf_counter()
        self._submit(watched.store.write, self._writing_state, self._writing)

    def _submit(self, work: Callable[..., Any], *arguments: object) -> None:
        self._future = self._thread.submit(work, *arguments)
        self._future.add_done_callback(lambda _future: self._answered.emit())

    def _wait(self) -> Weak3DError | None:
        """Wait for the thread; gives what it failed with."""
        if self._future is not None:
            self._future.exception()  # waits
        return self._collect()

    def _collect(self) -> Weak3DError | None:
        """Take the thread's answer, if there is one."""
        watched, future = self._watched, self._future
        if watched is None or future is None or not future.done():
            return None
        self._future = None
        planes, self._writing = self._writing, {}
        error = future.exception()
        if error is None:
            self._accept(watched, future.result())
            return None
        if watched.changes is not None:
            watched.changes.give_back(planes)
        watched.not_before = time.perf_counter() + _RETRY_S
        told = error if isinstance(error, Weak3DError) else StorageError(f"autosave failed: {error!r}", value=error)
        if told.message not in watched.told:
            watched.told.add(told.message)
            self.failed.emit(told)
        return told

    def _accept(self, watched: _Watched, result: Any) -> None:
        """What was on disk when the watching began, or the revision that is there now."""
        if watched.changes is None:
            planes, watched.written = result
            watched.changes = PlaneChanges(planes, shape=watched.shape)
            return
        watched.written = self._writing_state
        watched.told.clear()
        self.saved.emit(result)


def _read_planes(store: Store) -> tuple[Mapping[int, IntLabels], AnnotationState | None]:
    """The painted planes on disk and the state; runs on the thread."""
    return store.read_planes(), store.state()


def _has_paint(data: Any) -> bool:
    return any(np.asarray(data[z]).any() for z in range(data.shape[0]))
