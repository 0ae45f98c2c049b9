"""Results: from predictions on disk to layers, and what the panel does to the one that it is about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_weak3d.app import exporting, sketch
from napari_weak3d.app.corrections import Corrections, Marks, find_marks, lay_over_slice
from napari_weak3d.app.desk import Desk
from napari_weak3d.app.images import Images
from napari_weak3d.app.result_extras import ResultExtras
from napari_weak3d.app.result_objects import ResultObjects
from napari_weak3d.app.shown_result import (
    Decided,
    Filled,
    Opened,
    Result,
    decide,
    decide_otherwise,
    extras_of,
    hide_earlier,
    open_prediction,
    wishes_of,
)
from napari_weak3d.errors import Weak3DError
from napari_weak3d.io.project import Project

if TYPE_CHECKING:
    from napari_weak3d.retouch import Retouch


class Results(QObject):
    """Shows results, and lets the one that the panel is about be decided otherwise, corrected and looked through.

    That is the result of the image in work, or the one whose layer was made active last. What the user corrects in it
    is kept in the project beside the result, within seconds.

    Signals
    -------
    shown()
        Another result is in the viewer.

    Attributes
    ----------
    result
        The one that the panel is about, or None.
    autosave
        Of what the user corrects.
    """

    shown = Signal()

    def __init__(self, desk: Desk, images: Images, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._desk, self._images = desk, images
        self.result: Result | None = None
        self._open: WeakKeyDictionary[Any, Result] = WeakKeyDictionary()  # by layer
        self._dismissed: set[str] = set()  # images whose result the user has removed
        self._wanted: Retouch | None = None
        self._busy = False
        self._strokes = 0
        self._sketch = sketch.Sketch()
        self._marks: Marks = {}
        self._corrections: Corrections | None = None
        self.autosave = desk.add_autosave(self)
        self._objects, self._extras = ResultObjects(desk, self), ResultExtras(desk, self)
        self.autosave.saved.connect(lambda _: self._objects.measure_soon())
        self.autosave.failed.connect(desk.complain)
        desk.layers.activated.connect(self._on_activated)
        desk.layers.removed.connect(self._on_removed)
        images.begun.connect(self._on_begun)
        panel = desk.panels.result
        panel.retouch_requested.connect(self.retouch)
        panel.take_over_requested.connect(self.take_over)
        panel.export_requested.connect(self._choose_export)

    # ---- from the disk to a layer

    def show(self, prediction_id: str) -> None:
        """Read a prediction on a thread, then show it."""
        self._read([prediction_id])

    def predictions_in_use(self) -> frozenset[str]:
        """Name the predictions whose results are in the viewer."""
        return frozenset(result.prediction.id for result in self._open.values())

    def open_result(self, image_id: str) -> Result | None:
        """Return the newest result of an image that is in the viewer, or None."""
        found = [result for result in self._open.values() if result.entry.id == image_id]
        return max(found, key=lambda result: result.prediction.created, default=None)

    def forget(self) -> None:
        """Write what is not written and let go of all results: the project is closed. The layers stay."""
        self._leave()
        self._open.clear()
        self._dismissed.clear()

    def hold(self) -> None:
        """Write what is not written: the project is about to be carried to another place."""
        self._undo_sketch()
        self._write(self.autosave.unwatch)

    def go_on(self) -> None:
        """Go on at the project's new place."""
        project = self._desk.project
        if project is None:
            return
        for result in self._open.values():
            result.folder = project.folder
            result.store = project.corrections(result.prediction.id, result.entry.id)
        if self.result is not None and self._corrections is not None:
            self._watch(self.result, marks=self._corrections.marks, kept=self._corrections.kept)

    def close(self) -> None:
        """End the thread; call :meth:`forget` first."""
        self._objects.close()
        self.autosave.close()

    def _on_begun(self, image_id: str) -> None:
        """Another image is worked on: the panel is about its result."""
        project = self._desk.project
        if project is None or (self.result is not None and self.result.entry.id == image_id):
            return
        self._leave()
        there = [result for result in self._open.values() if result.entry.id == image_id]
        self._hide_other_times(there[-1:])
        if there:
            self._turn_to(there[-1])
        elif image_id not in self._dismissed:
            ids = [each.id for each in project.predictions(image_id)]
            self._read([each for each in ids[:-1] if project.corrections(each, image_id).painted_planes()] + ids[-1:])

    def _hide_other_times(self, shown: Sequence[Result]) -> None:
        """Take results of other time points of the layer in work out of sight: they lie where the next one comes."""
        work = self._desk.work
        if work is None or work.time_index is None:
            return
        for result in self._open.values():
            visible = result in shown
            if result.image_layer is work.layer and result.layer.visible != visible:
                result.layer.visible = visible

    def _read(self, prediction_ids: Sequence[str]) -> None:
        """Read predictions of one image on a thread, then show them, all but the last hidden."""
        project = self._desk.project
        if project is not None and prediction_ids:
            self._desk.background.run(
                lambda: [open_prediction(project, each) for each in prediction_ids],
                done=lambda opened: self._show(project, opened),
                failed=self._desk.complain,
            )

    def _show(self, project: Project, opened: Sequence[Opened]) -> None:
        if self._desk.project is not project:
            return
        entry = project.image(opened[-1].prediction.image_id)
        image_layer = self._images.layer_of(entry.id)
        if image_layer is None:
            self._desk.say(f"{entry.name} is segmented, but not in the viewer: the result is kept in the project")
            return
        is_same = self.result is not None and self.result.entry.id == entry.id
        wishes = wishes_of(self.result, self._desk.panels.result.settings) if is_same else {}
        if self.result is not None and self.result.image_layer is image_layer:
            self._leave()  # its layer may be filled anew
        try:
            results = [self._put(project, each, image_layer) for each in opened]
        except Weak3DError as error:
            self._desk.complain(error)
            return
        hide_earlier(self._open.values(), results[-1])
        self._desk.layers.hide_preview()
        work = self._desk.work
        if self.result is None or work is None or work.image_id == entry.id:
            self._turn_to(results[-1])
            results[-1].wishes = {} if opened[-1].decided else wishes
        self.shown.emit()

    def _put(self, project: Project, opened: Opened, image_layer: Any) -> Result:
        """Put a result into the viewer."""
        filled, corrected = opened.filled, opened.decided is not None
        layer = self._desk.layers.show_result(
            image_layer, filled.labels, name=f"{image_layer.name} result", check=filled.check, corrected=corrected
        )
        entry = project.image(opened.prediction.image_id)
        self._open[layer] = Result(
            opened.prediction, entry, project.folder, image_layer, layer, opened.store, opened.decided
        )
        return self._open[layer]

    # ---- which one the panel is about

    def _turn_to(self, result: Result) -> None:
        """Let the panel be about this one; sliders and table need some seconds of preparation."""
        if result is self.result:
            return
        self._leave()
        self.result = result
        result.layer.events.paint.connect(self._on_painted)
        self._objects.turn_to(result)
        self._extras.turn_to(result)
        if result.decided is not None:
            self._offer(result, result.decided)
            return
        prediction, store, settings = result.prediction, result.store, result.settings
        self._desk.background.run(
            lambda: decide(prediction, store, settings=settings),
            done=lambda decided: self._offer(result, decided),
            failed=self._desk.complain,
        )

    def _leave(self) -> None:
        """Write what is not written, and let the panel be about nothing."""
        result = self.result
        if result is None:
            return
        self._undo_sketch()
        result.is_saved = self._write(self.autosave.unwatch)
        self._objects.turn_to(None)
        self._extras.turn_to(None)
        result.layer.events.paint.disconnect(self._on_painted)
        if result.decided is not None:
            result.settings, result.decided = result.decided.settings, None
        self.result, self._corrections, self._wanted = None, None, None
        self._desk.layers.hide_extra()
        self._desk.panels.result.clear()

    def _offer(self, result: Result, decided: Decided) -> None:
        if self.result is not result:
            return
        result.decided = decided
        self._watch(result, marks=decided.marks, kept=decided.marks)
        retoucher, panel = decided.retoucher, self._desk.panels.result
        panel.show_result(
            retoucher.as_predicted,
            has_threshold=retoucher.has_threshold,
            extras=tuple(extras_of(result.prediction)),
            least_score=result.prediction.least_score,
        )
        wishes = result.wishes if retoucher.has_threshold else {**result.wishes, "threshold": 0.5}
        wanted = replace(decided.settings, **wishes)
        panel.show_settings(wanted)
        if wanted != decided.settings:
            self.retouch(wanted)
        else:
            self._objects.measure()

    def _on_activated(self, layer: Any) -> None:
        result = None if layer is None else self._open.get(layer)
        if result is not None:
            self._turn_to(result)

    def _on_removed(self, layer: Any) -> None:
        result = self._open.pop(layer, None)
        if result is None:
            return
        others = [each for each in self._open.values() if each.entry.id == result.entry.id]
        if not others:
            self._dismissed.add(result.entry.id)
        if self.result is result:
            self._leave()
            if others:
                self._turn_to(others[-1])

    # ---- corrections

    def _watch(self, result: Result, *, marks: Marks, kept: Marks) -> None:
        """Keep on disk what the user corrects from now on."""
        decided, project = result.decided, self._desk.project
        if decided is None or project is None:
            return
        corrections = self._corrections = Corrections(result.store, decided.labels, marks, kept=kept)
        if not project.read_only:
            state, shown = decided.state, self._desk.layers.shown_slice
            self._write(lambda: self.autosave.watch(result.layer, corrections, lambda: state, shown=shown))

    def _write(self, write: Callable[[], None]) -> bool:
        try:
            write()
        except Weak3DError as error:
            self._desk.complain(error)
            return False
        return True

    def _on_painted(self) -> None:
        self._strokes += 1
        self._objects.measure_soon()

    # ---- decide otherwise

    def retouch(self, settings: Retouch) -> None:
        """Decide the result otherwise, on a thread; of wishes that come meanwhile the last counts.

        The slice in view of a large result is sketched at once, and again for every wish.
        """
        self._wanted = settings
        result = self.result
        if result is None or result.decided is None or self._corrections is None:
            return
        if self._sketch.is_shown:
            self._show_sketch(result, result.decided, settings)
        if self._busy:
            return
        self._busy = True
        decided, shown, marks, strokes = result.decided, result.layer.data, self._corrections.marks, self._strokes

        def done(found: Marks) -> None:
            self._busy = False
            if self.result is result and strokes == self._strokes and self._wanted is not None:
                self._decide(result, decided, found)
            elif self._wanted is not None:  # painted meanwhile: that is to be in it, too
                self.retouch(self._wanted)

        self._desk.background.run(
            lambda: find_marks(shown, decided.labels, dict(marks)), done=done, failed=self._give_up
        )

    def _decide(self, result: Result, decided: Decided, marks: Marks) -> None:
        """Decide the result as it is wanted; what the user has corrected in it is known."""
        assert self._wanted is not None
        settings, self._wanted, self._busy = self._wanted, None, True
        self._marks, strokes = marks, self._strokes
        if result.layer.data.size >= sketch.LARGE:
            self._show_sketch(result, decided, settings)

        def done(made: tuple[Decided, Filled]) -> None:
            self._busy = False
            if self.result is result and strokes != self._strokes:
                self._undo_sketch()
                self._wanted = self._wanted or settings
            elif self.result is result:
                self._show_decided(result, *made)
            if self._wanted is not None:
                self.retouch(self._wanted)

        self._desk.background.run(
            lambda: decide_otherwise(decided, settings=settings, marks=marks), done=done, failed=self._give_up
        )

    def _show_sketch(self, result: Result, decided: Decided, settings: Retouch) -> None:
        """Show the slice in view about as it will be. Meanwhile nothing is kept on disk: a sketch is no paint."""
        work, which = self._desk.work, self._desk.layers.shown_slice()
        if work is None or work.image_id != result.entry.id or which is None:
            return
        self.autosave.let_go()
        sketched = decided.retoucher.sketch(settings, which)
        self._sketch.show(result.layer, which, lay_over_slice(sketched, self._marks, which))

    def _undo_sketch(self) -> None:
        """Show the slice as the result is decided, and keep on disk what the user paints."""
        result, corrections = self.result, self._corrections
        if self._sketch.is_shown and result is not None and corrections is not None:
            self._sketch.undo()
            self._watch(result, marks=corrections.marks, kept=corrections.kept)

    def _show_decided(self, result: Result, decided: Decided, filled: Filled) -> None:
        assert self._corrections is not None
        self.autosave.let_go()  # what it had not found yet is in the new marks
        self._sketch.forget()
        kept, result.decided = self._corrections.kept, decided
        self._desk.layers.refill_result(result.layer, filled.labels, check=filled.check, corrected=bool(decided.marks))
        self._watch(result, marks=decided.marks, kept=kept)
        self._objects.measure_soon()

    def _give_up(self, error: Weak3DError) -> None:
        self._busy = False
        self._undo_sketch()
        self._desk.complain(error)

    # ---- what else the panel asks for

    def take_over(self) -> None:
        """Use the shown slice of the result, as the user corrected it, as annotation."""
        work, result = self._desk.work, self.result
        if result is None or work is None or work.image_id != result.entry.id:
            self._desk.say("Choose the image of this result in step 1 first", "warning")
            return
        if self._desk.writable_project() is None:
            return
        classes = result.prediction.classes
        self._desk.tool.take_over(result.layer, classes=None if classes is None else np.asarray(classes))
        self._desk.layers.activate(self._desk.tool.layer)

    def _choose_export(self, kind: str) -> None:
        path = None if self.result is None else exporting.choose_file(self._desk, self.result, kind)
        if path is not None:
            self.export(kind, path)

    def export(self, kind: str, path: Path) -> None:
        """Write the result as it is in the viewer, corrections included: "csv", "tiff" or "zarr"."""
        self._undo_sketch()
        if self.result is not None:
            exporting.export(self._desk, self.result, kind, path)
