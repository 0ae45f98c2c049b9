"""Segmenting images of the project with a model, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from qtpy.QtCore import QObject

from napari_weak3d.app import preferences
from napari_weak3d.app.desk import Desk
from napari_weak3d.app.images import Images
from napari_weak3d.app.jobs import new_job_id
from napari_weak3d.app.results import Results
from napari_weak3d.errors import Weak3DError
from napari_weak3d.messages import Failed, Segment
from napari_weak3d.methods import find_method

_KEPT = 3
"""Predictions of an image that stay in the project, beside those that are corrected."""


@dataclass
class _Series:
    """Images that are segmented with one model: all, those that are left, how, and which could not be, and why."""

    model_id: str
    n_images: int
    left: list[str]
    settings: dict[str, Any] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)


class Applying(QObject):
    """Segments images of the project; their results are shown as they come."""

    def __init__(self, desk: Desk, images: Images, results: Results, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._desk, self._images, self._results = desk, images, results
        self._when_settled: Callable[[], None] | None = None
        images.settled.connect(self._on_settled)
        desk.panels.result.segment_again_requested.connect(self.segment_again)

    def segment(self, model_id: str, *, images: tuple[str, ...]) -> None:
        """Segment images of the project with a model, one after the other, and show each that is in the viewer.

        One that cannot be segmented does not hold up the others: which and why is told at the end.
        """
        self._go_on(_Series(model_id, len(images), list(images)))

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
        self._images.begin_unless_begun()
        if self._desk.work is None:
            self._desk.say("Choose an image in step 1 first", "warning")
        else:
            self.segment(model_id, images=(self._desk.work.image_id,))

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
        self._go_on(_Series(model.id, 1, [result.entry.id], settings))

    def _go_on(self, series: _Series) -> None:
        """Segment the first of the images that are left."""
        desk, project = self._desk, self._desk.writable_project()
        if project is None:
            return
        if not series.left:
            self._tell(series)
            return
        image_id = series.left[0]
        if self._images.waiting and image_id in desk.unsettled:
            self._when_settled = lambda: self._go_on(series)
            desk.say("The image is still being copied into the project; it is segmented when it is there")
            return
        try:
            desk.autosave.flush()  # what is annotated in it now counts
            settings = self._settings(project.model(series.model_id).method) | series.settings
        except Weak3DError as error:
            desk.complain(error)
            return
        request = Segment(new_job_id(), str(project.folder), image_id, series.model_id, settings)
        lost = (lambda why: self._on_failed(series, why)) if series.n_images > 1 else None
        desk.submit(request, done=lambda result: self._on_done(series, result), lost=lost)

    def _settings(self, method: str) -> dict[str, Any]:
        settings: dict[str, Any] = {"device": preferences.read().device}
        known, panel = find_method(method), self._desk.panels.models
        if known.use_known and not panel.uses_known:
            settings[known.use_known] = False
        if known.responses and panel.wants_responses:
            settings[known.responses] = True
        return settings

    def _on_done(self, series: _Series, result: dict[str, Any]) -> None:
        desk, project, image_id = self._desk, self._desk.project, series.left.pop(0)
        if result["prediction"] is None:
            desk.say("The segmentation was stopped; nothing of it is kept")
            self._tell(series)
            return
        self._results.show(str(result["prediction"]))
        if project is not None:
            spare = self._results.predictions_in_use()
            desk.background.run(
                lambda: project.delete_old_predictions(image_id, keep=_KEPT, spare=spare),
                done=lambda _: None,
                failed=lambda _: None,  # they take up space, no more
            )
        self._go_on(series)

    def _on_failed(self, series: _Series, why: Failed) -> None:
        """Go on with the next image, unless the user has ended it."""
        image_id, project = series.left.pop(0), self._desk.project
        if why.kind == "killed" or project is None:
            self._desk.say(why.message[:1].upper() + why.message[1:])
            self._tell(series)
            return
        series.failed.append(f"{project.image(image_id).name}: {why.message}")
        self._go_on(series)

    def _tell(self, series: _Series) -> None:
        """Say which images could not be segmented."""
        if series.failed:
            done = series.n_images - len(series.left) - len(series.failed)
            text = f"{done} of {series.n_images} images {'is' if done == 1 else 'are'} segmented; "
            text += f"{len(series.failed)} could not be"
            self._desk.say(f"{text}: see the details", "warning", details="\n".join(series.failed))

    def _on_settled(self) -> None:
        go_on, self._when_settled = self._when_settled, None
        if go_on is not None:
            go_on()
