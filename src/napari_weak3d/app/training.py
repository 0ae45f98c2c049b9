"""Train on my labels: from the button to the result, with previews on the way."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_weak3d.app import preferences
from napari_weak3d.app.desk import Desk, Work
from napari_weak3d.app.images import Images
from napari_weak3d.app.jobs import JobState, new_job_id
from napari_weak3d.app.tools.tool import Obstacle
from napari_weak3d.app.uncopied import offer_copies
from napari_weak3d.errors import Weak3DError
from napari_weak3d.io.project import ModelEntry, Project, read_settings
from napari_weak3d.messages import Suggest, Train
from napari_weak3d.types import Preview

_PREVIEW_MS = 3000
"""From one preview to asking for the next, at least."""
_PREVIEW_SHARE = 1 / 3
"""Of the time of a training that previews may take: a large slice on a busy processor takes many seconds."""
_LOST_MS = 60_000
"""After this a preview that has not come is asked for again: a full disk loses it."""
_SETTLE_MS = 150
"""How long another slice must be in view before a preview of it is asked for: not while scrolling."""

_NOT_BEGUN = "Training did not begin: another image is annotated by now, or none"


class Training(QObject):
    """Trains models, asks for previews meanwhile, and for the next slice to paint.

    Signals
    -------
    trained(model_id)
        A training has ended, also by Stop, and its model can be used.
    previewed(preview)
        A preview of the image that is worked on is shown.
    models_changed()
        The project has one more, or one less.

    Attributes
    ----------
    image_id
        Of the image that was annotated when the last training began; "": none has begun.
    """

    trained = Signal(str)
    previewed = Signal(object)
    models_changed = Signal()

    def __init__(self, desk: Desk, images: Images, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._desk, self._images = desk, images
        self.image_id = ""
        self._model: str | None = None
        self._question = ""  # that the tool has before a training, while it is asked
        self._waits = False  # for images on their way into the project
        self._trained: str | None = None
        self._asked_at = 0.0
        self._suggests_for: tuple[str, str] | None = None
        self._renewal = self._make_timer(_PREVIEW_MS, self.ask_preview)
        self._moved = self._make_timer(_SETTLE_MS, self.ask_preview)
        self._changed = self._make_timer(_SETTLE_MS, self._look_at_question)
        desk.layers.slice_shown.connect(self._on_slice_shown)
        for tool in desk.tools.values():
            tool.changed.connect(self._on_changed)
        desk.jobs.shown.connect(self._on_shown)
        desk.jobs.state_changed.connect(self._on_state)
        images.settled.connect(desk.release)
        images.begun.connect(self._on_begun)

    @property
    def running(self) -> bool:
        """Whether a training runs."""
        return self._model is not None

    # ---- train

    def train(self, start: str | None = None) -> None:
        """Train on what is annotated; asks first what the tool has to ask.

        Parameters
        ----------
        start
            Id of a model to go on from; None: a new one from the beginning.
        """
        desk = self._desk
        desk.forget_questions()  # one of the last time would hide what is said now
        if desk.work is None or desk.project is None:
            desk.say(f"Choose an image and {desk.tool.words.first} first: step 1, then step 2", "warning")
            return
        if desk.busy:
            desk.say("Something is running: stop it first, or wait for its end", "warning")
            return
        if desk.writable_project() is None:
            return
        if desk.layers.other_time():
            time = desk.work.time_index
            desk.ask_about_work(
                f"You annotated time point {time}, and another one is in view. Training learns from what is annotated.",
                {f"Train on {time}": partial(self._begin, start), f"Go to {time}": desk.layers.show_annotated_time},
            )
        else:
            self._begin(start)

    def _begin(self, start: str | None) -> None:
        if start is None or self._take_tool_of(start):
            offer_copies(self._desk, then=lambda: self._settle(start, asked=None))

    def _settle(self, start: str | None, *, asked: Obstacle | None) -> None:
        """Ask what the tool has to ask, one after the other, then train."""
        desk = self._desk
        obstacle = desk.tool.find_obstacle()
        if obstacle is None or (asked is not None and obstacle.text == asked.text):
            self._submit(start)
        elif not obstacle.answers:
            desk.remind(obstacle.text)
        else:
            answers = {name: partial(self._answer, act, start, obstacle) for name, act in obstacle.answers.items()}
            self._question = obstacle.text
            desk.ask_about_work(obstacle.text, answers)

    def _on_changed(self) -> None:
        if self._question:
            self._changed.start()  # not with each stroke: looking at many slices takes a while

    def _look_at_question(self) -> None:
        """Take back what was asked before a training if the user has settled it by hand."""
        if self._question and self._desk.work is not None:
            obstacle = self._desk.tool.find_obstacle()
            if obstacle is None or obstacle.text != self._question:
                self._desk.take_back(self._question)
                self._question = ""

    def _answer(self, act: Callable[[], None], start: str | None, obstacle: Obstacle) -> None:
        self._question = ""
        try:
            act()
        except Weak3DError as error:
            self._desk.complain(error)
        else:
            self._settle(start, asked=obstacle)

    def go_on(self, model_id: str) -> None:
        """Go on with a training that was not finished, with the settings that it began with."""
        if self._take_tool_of(model_id):
            self._submit(model_id, same_model=True)

    def _take_tool_of(self, model_id: str) -> bool:
        """Go on with the tool that a model learns from; False: it cannot be, and the user was told."""
        assert self._desk.project is not None
        try:
            self._images.choose_tool(self._desk.project.model(model_id).method)
        except Weak3DError as error:
            self._desk.complain(error)
            return False
        return True

    def _submit(self, start: str | None, *, same_model: bool = False) -> None:
        desk, project = self._desk, self._desk.writable_project()
        if project is None:
            return
        images = project.model(start).images if same_model and start else self._images_to_learn_from(project)
        copied = [project.image(image_id).name for image_id in images if image_id in desk.unsettled]
        if copied:
            here = desk.work
            self._waits = True
            desk.hold(
                lambda: self._submit_held(start, here, same_model=same_model), images=images, lost=self._wait_no_more
            )
            what = "The image is" if len(images) == 1 else f"{', '.join(copied)} {'is' if len(copied) == 1 else 'are'}"
            desk.say(f"{what} still being copied into the project; training begins when all is there")
            return
        again = partial(self._submit, start, same_model=same_model)
        if not self._images.replaced.settle(images, then=again):
            return
        try:
            desk.autosave.flush()
            if same_model and start:
                model, settings = project.model(start), read_settings(project.model_folder(start))
            else:
                model, settings = self._new_model(project, start, images), desk.panels.train.settings()
        except Weak3DError as error:
            desk.complain(error)
            return
        request = Train(
            job=new_job_id(),
            project=str(project.folder),
            images=model.images,
            method=model.method,
            model=model.id,
            settings={**settings, "device": preferences.read().device},
            start=start,
        )
        if desk.submit(request, done=self._on_trained):
            self._model = model.id
            self.image_id = model.images[0] if desk.work is None else desk.work.image_id
            self.ask_preview()
        else:
            self._discard(model.id)

    def _submit_held(self, start: str | None, work: Work | None, *, same_model: bool) -> None:
        """Go on when the images are there, unless another one is worked on by now."""
        self._wait_no_more()
        if self._desk.work == work:
            self._submit(start, same_model=same_model)
        else:
            self._desk.say(_NOT_BEGUN, "warning")

    def _new_model(self, project: Project, start: str | None, images: tuple[str, ...]) -> ModelEntry:
        method = self._desk.tool.method if start is None else project.model(start).method
        taken = {model.name for model in project.models}
        number = next(n for n in range(1, len(taken) + 2) if f"{method} {n}" not in taken)
        model = project.add_model(f"{method} {number}", method=method, images=images)
        self.models_changed.emit()
        return model

    def _images_to_learn_from(self, project: Project) -> tuple[str, ...]:
        """All annotated images that the user has not left out; the one in work comes first.

        What was annotated once and is empty now gives nothing to learn; that is said.
        """
        assert self._desk.work is not None
        here, kind = self._desk.work.image_id, self._desk.tool.kind
        left_out = self._desk.panels.project.left_out
        others = [
            entry.id
            for entry in project.images
            if entry.id not in {here, *left_out} and project.annotations(entry.id, kind).revision() > 0
        ]
        empty = [image_id for image_id in others if project.annotations(image_id, kind).is_empty()]
        if empty:
            names = ", ".join(project.image(image_id).name for image_id in empty)
            self._desk.say(f"Nothing is annotated on {names} any more: trained without")
        others = [image_id for image_id in others if image_id not in empty]
        return tuple(others) if here in left_out and others else (here, *others)

    def _wait_no_more(self) -> None:
        self._waits = False

    def _on_begun(self) -> None:
        if self._waits:  # for the image before
            self._desk.forget_waiting()
            self._desk.say(_NOT_BEGUN, "warning")

    # ---- the end

    def _on_trained(self, result: dict[str, Any]) -> None:
        model_id = self._model
        self._stop_previews()
        if result["model"] is None:
            self._desk.say("Stopped before anything was learned: no model is kept")
            if model_id is not None:
                self._discard(model_id)
            return
        self._trained = str(result["model"])
        self.models_changed.emit()
        self.trained.emit(self._trained)

    def on_failed(self) -> None:
        """A job has ended badly: if it was a training, its last checkpoint is offered, or what is left removed."""
        model_id = self._model
        self._stop_previews()
        project = self._desk.project
        if model_id is None or project is None:
            return
        try:
            trained = project.model(model_id).trained
        except Weak3DError:
            return
        if trained:
            self._desk.ask(
                "A model was saved before that.",
                {"Show what it has learned": lambda: self.trained.emit(model_id), "Leave it": lambda: None},
            )
        else:
            self._discard(model_id)
        self.models_changed.emit()

    def _discard(self, model_id: str) -> None:
        """Forget a model that was never written."""
        project = self._desk.project
        if project is not None and not project.read_only:
            try:
                if not project.model(model_id).trained:
                    project.remove_model(model_id)
            except Weak3DError as error:
                self._desk.complain(error)
        self.models_changed.emit()

    def _stop_previews(self) -> None:
        self._renewal.stop()
        self._moved.stop()
        self._model = None

    # ---- previews

    def ask_preview(self) -> None:
        """Ask for the slice in view as the model sees it now."""
        work, shown = self._desk.work, self._desk.layers.shown_slice()
        if self.running and work is not None and shown is not None:
            self._asked_at = time.monotonic()
            self._renewal.start(_LOST_MS)
            self._desk.jobs.preview(shown, work.image_id)

    def _make_timer(self, interval_ms: int, act: Callable[[], None]) -> QTimer:
        timer = QTimer(self, singleShot=True, interval=interval_ms)
        timer.timeout.connect(act)
        return timer

    def _on_slice_shown(self) -> None:
        if self.running:
            self._moved.start()

    def _on_state(self, state: JobState) -> None:
        """While a training is paused its previews stay as they are: only those of other slices are asked for."""
        if state is JobState.PAUSED:
            self._renewal.stop()
        elif state is JobState.RUNNING:
            self._moved.start()

    def _on_shown(self, preview: Preview, image_id: str) -> None:
        self._plan_renewal()
        work = self._desk.work
        if work is None or work.image_id != image_id or not self.running:
            return
        self._desk.layers.show_preview(work.layer, preview, colormap=self._desk.tool.preview_colours())
        self.previewed.emit(preview)

    def _plan_renewal(self) -> None:
        """Ask again a while after this preview, the longer the longer it took."""
        if self.running and self._desk.jobs.state is not JobState.PAUSED:
            took_ms = 1000 * (time.monotonic() - self._asked_at)
            self._renewal.start(max(_PREVIEW_MS, round(took_ms * (1 / _PREVIEW_SHARE - 1))))

    # ---- the next slice

    def suggest(self) -> None:
        """Ask the last model which slice to paint next; without one the tool goes on evenly spaced."""
        desk, model_id = self._desk, self._suggesting_model()
        if isinstance(desk.jobs.request, Suggest):
            if self._suggests_for == self._place():
                return  # the answer is on its way
            desk.end_search()
        if model_id is not None and desk.busy:
            desk.say("While something runs the model is not asked for the next slice: here is an evenly spaced one")
        if model_id is None or desk.work is None or desk.project is None or desk.busy:
            desk.tool.show_suggestion(())
            return
        request = Suggest(new_job_id(), str(desk.project.folder), desk.work.image_id, model_id, 3)
        self._suggests_for = place = self._place()
        if not desk.submit(
            request,
            done=lambda result: self._on_suggested(result, place),
            lost=lambda _: self._on_suggested({"slices": []}, place),
        ):
            desk.tool.show_suggestion(())

    def prepare_suggestion(self) -> None:
        """Have a suggestion ready for the next press of "Next slice", if nothing else runs."""
        if self._desk.jobs.state is JobState.IDLE and self._suggesting_model() is not None:
            self.suggest()

    def close(self) -> None:
        """Ask for nothing any more."""
        self._stop_previews()

    def _suggesting_model(self) -> str | None:
        project, work = self._desk.project, self._desk.work
        if project is None or work is None or self._images.waiting:
            return None
        method = self._desk.tool.method
        usable = [
            model.id
            for model in project.models
            if model.trained and model.method == method and work.image_id in model.images
        ]
        return self._trained if self._trained in usable else (usable[-1] if usable else None)

    def _place(self) -> tuple[str, str] | None:
        """The image that is annotated, and with which tool."""
        work = self._desk.work
        return None if work is None else (work.image_id, self._desk.tool.method)

    def _on_suggested(self, result: dict[str, Any], place: tuple[str, str] | None) -> None:
        if place != self._place():
            return  # what is suggested is of another image
        if "boxes" in result:
            self._desk.boxing.show_suggested_boxes([int(box_id) for box_id in result["boxes"]])
            return
        self._desk.tool.show_suggestion([(int(axis), int(index)) for axis, index in result["slices"]])
