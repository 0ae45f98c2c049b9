"""Segmenting images of the project, or time points of a series, with a model, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from qtpy.QtCore import QObject

from napari_weak3d.app import preferences
from napari_weak3d.app.desk import Desk
from napari_weak3d.app.images import Images
from napari_weak3d.app.jobs import new_job_id
from napari_weak3d.app.results import Results
from napari_weak3d.app.series_results import SeriesResults
from napari_weak3d.errors import Weak3DError
from napari_weak3d.io.project import Project
from napari_weak3d.messages import Advanced, Failed, Segment
from napari_weak3d.methods import find_method

_KEPT = 3
"""Predictions of an image that stay in the project, beside those that are corrected."""


@dataclass(frozen=True)
class _Target:
    """What is to be segmented: an image of the project, or a time point of a layer, which may not be in it yet."""

    image_id: str | None
    layer: Any = None
    time: int | None = None


@dataclass(eq=False)
class _Run:
    """What is segmented with one model: how much, what is left, how, and which could not be, and why."""

    model_id: str
    noun: str
    left: list[_Target]
    settings: dict[str, Any] = field(default_factory=dict)
    n_targets: int = 0
    failed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.n_targets = len(self.left)

    @property
    def n_done(self) -> int:
        """How many are segmented."""
        return self.n_targets - len(self.left) - len(self.failed)


class Applying(QObject):
    """Segments images of the project; their results are shown as they come."""

    def __init__(
        self,
        desk: Desk,
        images: Images,
        results: Results,
        series_results: SeriesResults,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._desk, self._images, self._results, self._series = desk, images, results, series_results
        self._run: _Run | None = None
        desk.panels.result.segment_again_requested.connect(self.segment_again)

    def segment(self, model_id: str, *, images: tuple[str, ...]) -> None:
        """Segment images of the project with a model, one after the other, and show each that is in the viewer.

        One that cannot be segmented does not hold up the others: which and why is told at the end.
        """
        self._go_on(_Run(model_id, "image", [_Target(image_id) for image_id in images]))

    def segment_trained(self, model_id: str, *, image_id: str, show: Callable[[str], None]) -> None:
        """Segment the image that a model was trained on just now; one that is out of the viewer is asked about.

        ``show`` brings an image back into the viewer.
        """
        project = self._desk.project
        if project is None:
            return

        def show_and_segment() -> None:
            show(image_id)
            self.segment(model_id, images=(image_id,))

        if self._images.layer_of(image_id) is not None:
            self.segment(model_id, images=(image_id,))
        else:
            self._desk.ask(
                f"{project.model(model_id).name} is trained; {project.image(image_id).name} is not in the viewer.",
                {"Show it again and segment": show_and_segment, "Later": lambda: None},
            )

    def segment_chosen(self, model_id: str) -> None:
        """Segment the image that is chosen in step 1, which gets into the project if it is not there yet."""

        def segment() -> None:
            if self._desk.work is not None:
                self.segment(model_id, images=(self._desk.work.image_id,))

        if not self._images.begin_unless_begun(then=segment):
            self._desk.say("Choose an image in step 1 first", "warning")

    def segment_times(self, model_id: str) -> None:
        """Segment all time points of the series that is chosen in step 1, one after the other.

        Each gets into the project in its turn, and its result is kept there; all are shown in one layer as they come.
        """
        series = self._images.chosen_series()
        if series is None:
            self._desk.say("Choose an image with time points in step 1 first", "warning")
            return
        layer, n_times = series
        self._images.take_for_series()

        def segment() -> None:
            self._series.show_again(layer)
            self._go_on(_Run(model_id, "time point", [_Target(None, layer, time) for time in range(n_times)]))

        if self._desk.work is not None and self._desk.work.layer is layer:
            segment()  # what is annotated stays, be another time point in view
        else:
            self._images.begin_unless_begun(then=segment)

    def segment_again(self, least_score: float) -> None:
        """Segment the image of the result that the panel is about anew, with its model and another least score."""
        result, project = self._results.result, self._desk.project
        if result is None or project is None:
            return
        model = next((each for each in project.models if each.id == result.prediction.model_id), None)
        if model is None:
            self._desk.say("The model of this result is not in the project any more: apply another one", "warning")
            return
        settings = {find_method(model.method).least_score: least_score}
        self._go_on(_Run(model.id, "image", [_Target(result.entry.id)], settings))

    def name_part(self, progress: Advanced) -> Advanced:
        """Say which of several a progress is about."""
        run = self._run
        if run is None or run.n_targets == 1 or not isinstance(self._desk.jobs.request, Segment):
            return progress
        number = run.n_targets - len(run.left) + 1
        which = f"{run.noun} {number} of {run.n_targets}"
        return replace(progress, message=f"{which}: {progress.message}" if progress.message else which)

    def _go_on(self, run: _Run) -> None:
        """Segment the first of those that are left."""
        project = self._desk.writable_project()
        if project is None:
            return
        if not run.left:
            self._end(run)
            return
        target = run.left[0]
        if target.image_id is not None:
            self._segment(run, project, target.image_id)
            return
        assert target.time is not None
        try:
            self._images.time_points.enter(target.layer, target.time, then=partial(self._segment, run, project))
        except Weak3DError as error:
            self._skip(run, f"time point {target.time}: {error.message}")

    def _segment(self, run: _Run, project: Project, image_id: str) -> None:
        desk = self._desk
        if image_id in desk.unsettled:
            if run.noun == "image":
                desk.say("The image is still being copied into the project; it is segmented when it is there")
            desk.hold(partial(self._segment, run, project, image_id), images=[image_id], lost=partial(self._end, run))
            return
        if not self._is_as_shown(run, project, image_id):
            return
        try:
            desk.autosave.flush()  # what is annotated in it now counts
            settings = self._settings(project.model(run.model_id).method) | run.settings
        except Weak3DError as error:
            desk.complain(error)
            self._end(run)
            return
        request = Segment(new_job_id(), str(project.folder), image_id, run.model_id, settings)
        lost = partial(self._on_failed, run, image_id) if run.n_targets > 1 else None
        if desk.submit(request, done=partial(self._on_done, run, image_id), lost=lost):
            self._run = run

    def _is_as_shown(self, run: _Run, project: Project, image_id: str) -> bool:
        """Whether a layer shows what the project has of its image; else that is asked about, or left out of several."""
        replaced = self._images.replaced
        if run.n_targets == 1:
            return replaced.settle([image_id], then=partial(self._segment, run, project, image_id))
        try:
            found = replaced.find([image_id])
            why = "" if found is None else found.text
        except Weak3DError as error:
            why = error.message
        if why:
            self._skip(run, why)
        return not why

    def _settings(self, method: str) -> dict[str, Any]:
        settings: dict[str, Any] = {"device": preferences.read().device}
        known, panel = find_method(method), self._desk.panels.models
        if known.use_known and not panel.uses_known:
            settings[known.use_known] = False
        if known.responses and panel.wants_responses:
            settings[known.responses] = True
        return settings

    def _on_done(self, run: _Run, image_id: str, result: dict[str, Any]) -> None:
        desk, project = self._desk, self._desk.project
        if result["prediction"] is None:
            self._end(run, stopped=True)
            return
        target = run.left.pop(0)
        self._show(target, image_id, str(result["prediction"]))
        if project is not None:
            spare = self._results.predictions_in_use() | self._series.predictions_in_use()
            desk.background.run(
                lambda: project.delete_old_predictions(image_id, keep=_KEPT, spare=spare),
                done=lambda _: None,
                failed=lambda _: None,  # they take up space, no more
            )
        self._go_on(run)

    def _show(self, target: _Target, image_id: str, prediction_id: str) -> None:
        """Show a result: of a time point with those of the others, and alone where it is annotated."""
        work = self._desk.work
        if target.time is not None:
            self._series.take(target.layer, {target.time: prediction_id})
        if target.time is None or (work is not None and work.image_id == image_id):
            self._results.show(prediction_id)

    def _on_failed(self, run: _Run, image_id: str, why: Failed) -> None:
        """Go on with the next image, unless the user has ended it."""
        project = self._desk.project
        if why.kind == "killed" or project is None:
            self._desk.say(why.message[:1].upper() + why.message[1:])
            self._end(run)
            return
        self._skip(run, f"{project.image(image_id).name}: {why.message}")

    def _skip(self, run: _Run, why: str) -> None:
        run.left.pop(0)
        run.failed.append(why)
        self._go_on(run)

    def _end(self, run: _Run, *, stopped: bool = False) -> None:
        """Say what is done where that is not all of it, and which images could not be segmented."""
        self._run = None
        n_done, several = run.n_done, run.n_targets > 1
        text = f"{n_done} of {run.n_targets} {run.noun}s {'is' if n_done == 1 else 'are'} segmented"
        if run.failed:
            text = f"{text}; {len(run.failed)} could not be: see the details"
            self._desk.say(text, "warning", details="\n".join(run.failed))
        elif stopped and not (several and n_done):
            self._desk.say("The segmentation was stopped; nothing of it is kept")
        elif several and run.left:
            self._desk.say(f"{text} and kept; the rest was stopped")
        elif run.noun == "time point":
            self._desk.say(f"{text}: move along the time axis. To correct one, go to it and begin on it in step 1")
