"""One controller per viewer: it owns the project and the jobs, and connects the panels with what they ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import QEvent, QObject, QTimer
from qtpy.QtGui import QShortcut
from qtpy.QtWidgets import QApplication, QWidget

from napari_weak3d.app import preferences
from napari_weak3d.app.activity import Activity
from napari_weak3d.app.applying import Applying
from napari_weak3d.app.autosave import Autosave
from napari_weak3d.app.desk import Desk, Panels, sentence
from napari_weak3d.app.finding import Finding
from napari_weak3d.app.images import Images
from napari_weak3d.app.jobs import Jobs, JobState
from napari_weak3d.app.leaving import Leaving
from napari_weak3d.app.message_bar import Kind
from napari_weak3d.app.models import Models
from napari_weak3d.app.preferred import Preferred
from napari_weak3d.app.projects import Projects
from napari_weak3d.app.removed_images import RemovedImages
from napari_weak3d.app.restoring import Restoring
from napari_weak3d.app.results import Results
from napari_weak3d.app.series_results import SeriesResults
from napari_weak3d.app.training import Training
from napari_weak3d.errors import UnsavedError, Weak3DError
from napari_weak3d.messages import Advanced, Failed, Finished, Train

_START_CHILD_MS = 1000
"""After the dock is drawn: importing torch keeps a processor busy for some seconds."""
_PATIENCE_MS = 3000
"""That a job waits for a search to give way, which it does between two tiles; then it is ended at once."""
_STARTING = "starting..."
_LONGEST = 20  # characters of a layer's name on a button: two of them fit beside each other
_controllers: dict[int, Controller] = {}


class Controller(QObject):
    """Everything of one viewer. Its verbs are what commands, keys and panels call; each says why it cannot.

    Parameters
    ----------
    viewer
        napari's.
    jobs
        None: with a child process, which is started a moment later.

    Attributes
    ----------
    desk
        What its parts share: viewer, layers, jobs, tool, panels, project.
    dock
        The widget that shows the panels; it may be closed and another opened, and work goes on meanwhile.
    shortcuts
        Keys of the viewer's window, which go with the controller.
    """

    def __init__(self, viewer: Any, *, jobs: Jobs | None = None) -> None:
        super().__init__()
        seconds = preferences.read().autosave_seconds / 2
        self.dock: QWidget | None = None
        self.shortcuts: list[QShortcut] = []
        self.desk = Desk(viewer, jobs=jobs or Jobs(), autosave=Autosave(seconds=seconds))
        self.projects = Projects(self.desk, self)
        self.images = Images(self.desk, self.projects, self)
        self.removed_images = RemovedImages(self.desk, self.images)
        self.training = Training(self.desk, self.images, self)
        self.results = Results(self.desk, self.images, self)
        self._preferred = Preferred(self.desk, self.results)
        self.series_results = SeriesResults(self.desk, self.results, self)
        self.applying = Applying(self.desk, self.images, self.results, self.series_results, self)
        self.finding = Finding(self.desk, self.images, self.desk.clicking, self)
        self.models = Models(self.desk, self.projects, self.training, self.applying, self)
        self.restoring = Restoring(self.desk, self.images, training=self.training)
        self._activity = Activity("Weak3D")
        self._patience = QTimer(self, singleShot=True, interval=_PATIENCE_MS)
        self._closed = self._closing = False
        self._window: Any = getattr(getattr(viewer, "window", None), "_qt_window", None)
        self._leaving = Leaving(self.desk, self.projects, self.images, close=self._close_window, parent=self)
        self._connect_jobs()
        self._connect_parts()
        self._watch_window()
        QTimer.singleShot(0, self._offer_last)
        QTimer.singleShot(_START_CHILD_MS, self._start_child)

    @property
    def viewer(self) -> Any:
        """napari's viewer."""
        return self.desk.viewer

    @property
    def panels(self) -> Panels:
        """The parts of the dock."""
        return self.desk.panels

    # ---- verbs

    def choose_tool(self, method: str) -> None:
        """Annotate in another way; what was annotated before is kept."""
        if method == self.desk.tool.method:
            return
        if self.desk.busy:
            self.desk.say("Something is running: stop it first, then choose how to annotate", "warning")
        else:
            try:
                self.images.choose_tool(method)
            except UnsavedError as error:
                self.desk.complain(error)
                self.panels.tool.show_tool(self.desk.tool.method)

    def train(self) -> None:
        """Train a model on what is annotated, show previews meanwhile and the result afterwards."""
        self.panels.train.clear_messages()
        self.desk.forget_questions()
        desk, chosen = self.desk, self.panels.image.layer
        if desk.work is None:
            self._ask_for_work(f", then {desk.tool.words.first}")
        elif chosen in ("", desk.work.layer.name) or desk.busy:
            self.training.train()
        else:
            begun = desk.work.layer.name
            desk.ask_about_work(
                f"You annotated {begun}, and {chosen} is chosen in step 1. Training learns from what is annotated.",
                {f"Train on {_short(begun)}": self.training.train, f"Go to {_short(chosen)}": self.images.begin},
            )

    def train_on(self, model_id: str) -> None:
        """Train a new model that begins where another one is."""
        self.training.train(model_id)

    def stop(self) -> None:
        """End the running job after its current step; a training's model is kept. One that waits does not begin."""
        if self.desk.waiting:
            self.desk.forget_waiting()
            self.training.on_failed()
        else:
            self.desk.jobs.stop()

    def kill(self) -> None:
        """End the running job now; a training's model is as it was last saved."""
        self.desk.jobs.kill()

    def pause(self) -> None:
        """Let the training wait."""
        self.desk.jobs.pause()

    def resume(self) -> None:
        """Let a paused training go on."""
        self.desk.jobs.resume()

    def complete_slice(self) -> None:
        """Mark the shown slice as complete, or a complete one as not."""
        if self.desk.work is None:
            self._ask_for_work()
        elif self.desk.writable_project() is not None:
            self.desk.tool.complete_shown()

    def suggest_next(self) -> None:
        """Go to the next slice to paint."""
        if self.desk.work is None:
            self._ask_for_work()
        else:
            self.desk.tool.next_slice()

    def find_more(self) -> None:
        """Propose more cells like those that are clicked."""
        desk = self.desk
        if desk.tool is not desk.clicking:
            desk.say(f"Choose {desk.clicking.words.choice} in step 2 first: cells like those are looked for", "warning")
        elif desk.work is None:
            self._ask_for_work()
        else:
            desk.clicking.find_more()

    def _ask_for_work(self, then: str = "") -> None:
        """Say what to press before anything can be annotated, and what to do ``then``."""
        image = self.panels.image
        begin = image.begin_button.text()
        if image.refused:
            self.desk.remind(image.note.text())
        else:
            self.desk.remind(f"{f'Press {begin}' if begin else 'Choose an image'} in step 1 first{then}")

    def segment(self, model_id: str, *, images: tuple[str, ...]) -> None:
        """Segment images of the project with one of its models."""
        self.applying.segment(model_id, images=images)

    def open_project(self, folder: Path) -> None:
        """Open a project and show its images."""
        self.projects.open(Path(folder))

    def new_project(self) -> None:
        """Close the project; the next image begins a new one."""
        self.projects.begin_anew()

    def close(self) -> None:
        """Write what is not written, close the project, and let the child process go. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        for shortcut in self.shortcuts:
            shortcut.setParent(None)
        self.shortcuts = []
        _controllers.pop(id(self.viewer), None)
        self.projects.close()
        self.desk.jobs.close()
        self._activity.close()
        self.desk.background.close()
        self.desk.copying.close()
        self.desk.autosave.close()
        self.results.close()
        self._preferred.close()
        self.desk.tool_layers.close()
        self.desk.layers.close()
        self.training.close()
        QApplication.instance().aboutToQuit.disconnect(self.close)
        if self._window is not None:
            self._window.removeEventFilter(self)
            self._window = None  # napari's window goes when nobody holds it

    # ---- jobs

    def _connect_jobs(self) -> None:
        jobs = self.desk.jobs
        jobs.state_changed.connect(self._set_state)
        self.desk.on_change = lambda: self._set_state(jobs.state)
        self.desk.on_lost = self.training.on_failed
        self._patience.timeout.connect(self._end_search)
        jobs.advanced.connect(self._on_advanced)
        jobs.finished.connect(self._on_finished)
        jobs.failed.connect(self._on_failed)

    def _offer_last(self) -> None:
        if not self._closed:
            self.projects.offer_last()

    def _start_child(self) -> None:
        if self._closed:
            return
        try:
            self.desk.jobs.start()
        except Weak3DError as error:
            self.desk.complain(error)

    def _set_state(self, state: JobState) -> None:
        """Show what is going on, everywhere."""
        can_pause, starting = isinstance(self.desk.jobs.request, Train), _STARTING
        if self.desk.waiting:
            state = JobState.STARTING
            starting = "waiting for the copy into the project..." if self.desk.held else _STARTING
            if self.desk.held:
                self._patience.stop()
            elif not self._patience.isActive():
                self._patience.start()
        elif not self.desk.busy:  # what gives way to every other job is none of the user's business
            state = JobState.IDLE
        self.panels.train.set_state(state, can_pause=can_pause, starting=starting)
        self.panels.image.set_fixed(state is not JobState.IDLE)
        self.panels.models.set_busy(state is not JobState.IDLE)
        self.panels.tool.set_busy(state is not JobState.IDLE)
        if state is JobState.IDLE:
            self._activity.close()

    def _end_search(self) -> None:
        """A search for the next slice does not hold up what the user waits for, be it in the middle of a large tile."""
        if self.desk.waiting:
            self.desk.end_search()

    def _on_advanced(self, progress: Advanced) -> None:
        if self.desk.busy:
            told = self.applying.name_part(progress)
            self.panels.train.show_progress(told)
            self._activity.show(told)

    def _on_finished(self, report: Finished) -> None:
        self.desk.end(report)

    def _on_failed(self, failed: Failed) -> None:
        if self.desk.end(failed):
            return
        text = sentence(failed.message, about=failed.where)
        kind: Kind = "info" if failed.kind == "killed" else "error"
        field = failed.where if failed.kind == "ConfigError" else ""
        self.panels.train.say(text, kind=kind, details=failed.log_tail, field=field)
        self.training.on_failed()
        if failed.kind == "VolumeError":
            self.restoring.check()

    # ---- parts

    def _connect_parts(self) -> None:
        train, desk = self.panels.train, self.desk
        train.train_requested.connect(self.train)
        train.stop_requested.connect(self.stop)
        train.kill_requested.connect(self.kill)
        train.pause_requested.connect(self.pause)
        train.resume_requested.connect(self.resume)
        self.panels.tool.chosen.connect(self.choose_tool)
        for tool in desk.tools.values():
            tool.message.connect(desk.say)
            tool.next_requested.connect(self.training.suggest)
            tool.changed.connect(desk.forget_reminders)
        desk.layers.listed.connect(self._name_image)
        self.projects.changed.connect(self._name_image)
        desk.autosave.saved.connect(self._on_saved)
        desk.autosave.failed.connect(lambda error: desk.complain(UnsavedError(error.message, value=error)))
        self.training.trained.connect(self._show_trained)
        self.training.previewed.connect(desk.boxing.show_preview)
        self.training.models_changed.connect(self.models.refresh)
        self.projects.changed.connect(self.models.refresh)
        self.projects.opened.connect(self.images.forget)
        self.projects.opened.connect(self.models.clear_up)
        self.projects.closing.connect(self.series_results.forget)
        self.projects.closing.connect(self.results.forget)
        self.projects.moving.connect(self.results.hold)
        self.projects.moved.connect(self.results.go_on)
        self.projects.opened.connect(self.restoring.restore)
        self.projects.shown_again.connect(self.restoring.show_missing)
        self.panels.project.image_requested.connect(self.restoring.show_image)
        self.results.shown.connect(self.training.prepare_suggestion)

    def _name_image(self) -> None:
        """Say in step 2 which image is annotated: step 1 may show another one."""
        work = self.desk.work
        self.panels.tool.name_image("" if work is None else work.layer.name)
        if work is not None:
            self.desk.forget_reminders()

    def _on_saved(self, revision: int) -> None:
        self.desk.forget_unsaved()
        if revision == 1:  # one more image is annotated
            self.projects.changed.emit()

    def _show_trained(self, model_id: str) -> None:
        self.applying.segment_trained(model_id, image_id=self.training.image_id, show=self.restoring.show_image)

    # ---- the window

    def _watch_window(self) -> None:
        QApplication.instance().aboutToQuit.connect(self.close)
        if self._window is not None:
            self._window.installEventFilter(self)

    def _close_window(self) -> None:
        if self._window is not None:
            self._window.close()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Close when the viewer's window does, which stays where the user closes it and something would be lost.

        napari may ask the user and stay open after a close by hand, never after one by program: the first is over when
        the window hides.
        """
        if not self._closed and watched is self._window:
            if event.type() == QEvent.Type.Close:
                if _is_by_hand(self._window, event) and not self._leaving.may_close():
                    event.ignore()
                    return True
                self._closing = True
                if not event.spontaneous():
                    self.close()
            elif event.type() == QEvent.Type.Hide and self._closing and not self._window.isMinimized():
                self.close()
            elif event.type() == QEvent.Type.Show:
                self._closing = False
        return False


def _is_by_hand(window: Any, event: QEvent) -> bool:
    """Whether the user closes the window, also from napari's menu; ``viewer.close()`` hides what is in it first."""
    return bool(event.spontaneous()) or not window._qt_viewer.isHidden()


def _short(name: str) -> str:
    """Write a name so that a button does not widen the dock."""
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 3]}..."


def controller_of(viewer: Any) -> Controller:
    """Return the viewer's controller; made when first asked for."""
    own = getattr(viewer, "__wrapped__", viewer)  # napari gives plugins a proxy in places
    if id(own) not in _controllers:
        _controllers[id(own)] = Controller(own)
    return _controllers[id(own)]


def has_controller(viewer: Any) -> bool:
    """Say whether the viewer has one."""
    return id(getattr(viewer, "__wrapped__", viewer)) in _controllers
