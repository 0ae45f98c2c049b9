"""The tool that paints slices: what its buttons and keys do, on the paint layer of one image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QWidget

from napari_weak3d.app.colours import preview_colormap
from napari_weak3d.app.grid import say_no_slice, turned_note
from napari_weak3d.app.layers import Layers
from napari_weak3d.app.tools import class_steps, copies, edits, keys, own_labels
from napari_weak3d.app.tools.content import describe
from napari_weak3d.app.tools.effort import EffortClock
from napari_weak3d.app.tools.one_sided import one_sided
from napari_weak3d.app.tools.open_slices import WORDS, obstacle_of
from napari_weak3d.app.tools.paint_state import PaintState
from napari_weak3d.app.tools.planes import attribute, name_of, next_spaced
from napari_weak3d.app.tools.session import PaintSession
from napari_weak3d.app.tools.slices_panel import SlicesPanel
from napari_weak3d.app.tools.survey import Survey
from napari_weak3d.app.tools.tool import Obstacle
from napari_weak3d.errors import AnnotationError
from napari_weak3d.io.project import Kind, SlicesState
from napari_weak3d.types import IntLabels, SliceIndex, Slices

_NO_BRUSH = ("pan_zoom", "transform", "pick", "erase")
"""Modes of a Labels layer that paint nothing."""


class SlicesTool(QObject):
    """Paints slices of one image at a time; owns the keys of the paint layer.

    Signals
    -------
    changed(), message(text)
        As :class:`~napari_weak3d.app.tools.tool.Tool` has them; undo and redo are changes, too.
    next_requested()
        The user wants the next slice to paint and none is suggested: answer with :meth:`show_suggestion`, sooner or
        later, and with no slices where no model can tell.

    Parameters
    ----------
    layers
        The viewer's layers.
    """

    method, words = "slices", WORDS
    kind: Kind = "slices"
    changed = Signal()
    next_requested = Signal()
    message = Signal(str)

    def __init__(self, layers: Layers, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._layers = layers
        self._panel = SlicesPanel()
        self._survey = Survey(lambda which: self._require().look(which), self)
        self._clock = EffortClock()
        self._session: PaintSession | None = None
        self._image_layer: Any = None
        self._region: Any = None
        self._suggested: tuple[SliceIndex, ...] = ()
        self._asked = False
        self._connect_panel()
        self._survey.updated.connect(self._refresh)
        layers.slice_shown.connect(self._refresh)
        layers.listed.connect(self._offer_labels)
        layers.removed.connect(self._on_removed)
        self._refresh()

    # ---- begin, end, and what there is

    @property
    def panel(self) -> QWidget:
        """What goes into the dock."""
        return self._panel

    @property
    def paint_layer(self) -> Any:
        """The Labels layer that is painted in; None before :meth:`begin`."""
        return None if self._session is None else self._session.layer

    layer = paint_layer

    def begin(self, image_layer: Any, slices: Slices | None = None, *, state: SlicesState | None = None) -> None:
        """Start painting on an image.

        Parameters
        ----------
        slices
            Stored slices to go on with; None: from nothing.
        state
            Their state: effort and region.

        Raises
        ------
        AnnotationError
            The stored slices are not of the image's shape.
        """
        self.end()
        paint = None if slices is None else slices.labels
        layer = self._layers.take_paint(image_layer, paint, name=f"{image_layer.name} paint")
        self._image_layer = image_layer
        self._clock = EffortClock(state.effort_s if state is not None else 0.0)
        self._region = state.region if state is not None else None
        self._start(layer, PaintState() if slices is None else edits.state_of(slices))

    def end(self) -> None:
        """Stop painting; the layer stays with its paint, hidden where there is anything else to see."""
        if self._session is None:
            return
        self._layers.put_away(self._close_session())
        self._image_layer = None
        self._suggested, self._asked = (), False
        self._layers.follow(None)
        self._refresh()

    def slices(self) -> Slices:
        """Give the annotation as it is; ``labels`` is the paint layer's own array.

        Raises
        ------
        AnnotationError
            Nothing is painted on: there is no image yet.
        """
        session = self._require()
        state = session.state
        classes = state.classes if state.paint == "classes" else ()
        return Slices(session.labels, paint=state.paint, annotated=state.complete, classes=classes)

    def state(self) -> SlicesState:
        """Give all of the annotation but the paint, as the project keeps it."""
        state = self._require().state
        return SlicesState(
            paint=state.paint,
            annotated=state.complete,
            classes=state.classes,
            region=self._region,
            effort_s=self._clock.seconds,
        )

    def painted_not_complete(self) -> tuple[SliceIndex, ...]:
        """List the slices that hold paint of their own and are not complete, by axis and index."""
        self._survey.finish()
        tracked = self._require().state.tracked
        return tuple(which for which in tracked if self._is_loose(which))

    def find_obstacle(self) -> Obstacle | None:
        """Say what has to be settled before a training."""
        is_empty = self.state().is_empty and not self.paint_layer.data.any()
        slices, state = self.painted_not_complete(), self._require().state
        lacking = one_sided(slices, state=state, found=self._survey.found, complete=self.complete)
        return lacking or obstacle_of(slices, is_empty=is_empty, complete=self.complete)

    def preview_colours(self) -> Any:
        """Give the colormap of previews; None: many colours in turn."""
        state = self._require().state
        return preview_colormap(state.classes) if state.paint == "classes" else None

    def lock(self) -> None:
        """Let nothing be painted."""
        self._require().layer.editable = False
        self._refresh()

    # ---- verbs on slices

    def complete_shown(self) -> None:
        """Mark the shown slice as complete; a complete one no longer."""
        session, shown = self._session, self._shown()
        if session is None or shown is None or not session.layer.editable:  # it is locked
            return
        if shown in session.state.complete:
            self.uncomplete(shown)
        else:
            session.step(f"complete {name_of(shown)}", session.state.with_complete(shown))

    def complete(self, slices: Sequence[SliceIndex]) -> None:
        """Mark these slices as complete, in one step."""
        session = self._require()
        state = session.state
        for which in slices:
            state = state.with_complete(which)
        session.step(f"complete {', '.join(map(name_of, slices))}", state)

    def uncomplete(self, which: SliceIndex) -> None:
        """Take the mark off a slice; its paint stays."""
        session = self._require()
        session.step(f"un-complete {name_of(which)}", session.state.without_complete(which))

    def delete(self, which: SliceIndex) -> None:
        """Clear the paint of a slice, but for that on complete slices that cross it, and forget the slice."""
        session = self._require()
        edit = edits.clear_slice(session.labels, which, complete=session.state.complete)
        session.step(f"delete {name_of(which)}", session.state.without(which), edit=edit)

    def copy_preview(self) -> None:
        """Put the shown slice's preview, else the result in sight, into its unpainted voxels; what is painted stays."""
        session, shown = self._session, self._shown()
        if session is not None and shown is not None:
            self._try(partial(copies.copy_preview, session, self._layers, self._image_layer, shown))

    def take_over(self, labels_layer: Any, *, classes: IntLabels | None = None) -> None:
        """Replace the shown slice's paint by that of a Labels layer, a corrected result.

        Objects keep the ids that they have in the paint, where they overlap. Where classes are painted, each object of
        a result becomes the class that most of it is in ``classes``, (Z, Y, X) values, which one class alone needs not.
        """
        session, shown = self._session, self._shown()
        if session is not None and shown is not None:
            take = partial(copies.take_over, session, self._layers, labels_layer, shown)
            self._try(partial(take, image_layer=self._image_layer, classes=classes))

    def use_labels(self, labels_layer: Any) -> None:
        """Go on with a copy of a Labels layer as paint, once the user has said what its values are."""
        session, name = self._require(), labels_layer.name

        def ask() -> None:
            labels = self._layers.labels_of(labels_layer, self._image_layer)
            own_labels.ask(session, labels, name=name, panel=self._panel, done=self._show_paint)

        self._try(ask)

    def next_slice(self) -> None:
        """Go to the next slice to paint: a suggested one, or else ask for one."""
        if self._session is not None and self._pending() is not None:
            self._go_on()
        elif self._session is not None:
            self._asked = True
            self.next_requested.emit()
            self._refresh()

    def show_suggestion(self, slices: Sequence[SliceIndex]) -> None:
        """Take suggested slices, best first. A user who waits is taken there; with none, on to an evenly spaced one."""
        self._suggested = tuple(slices)
        if self._asked and self._session is not None:
            self._go_on()
        self._refresh()

    # ---- verbs on paint and steps

    def new_object(self) -> None:
        """Paint with an id that no object has yet."""
        session = self._session
        if session is not None and session.state.paint == "objects":
            self._clock.tick()
            self.take_brush(int(session.labels.max()) + 1)

    def take_brush(self, label: int) -> None:
        """Paint with a label from now on; who fills areas or draws polygons goes on so."""
        layer = self._require().layer
        layer.selected_label = label
        self._layers.activate(layer)
        if layer.mode in _NO_BRUSH:
            layer.mode = "paint"

    def undo(self) -> None:
        """Take back the last stroke or step."""
        if self._session is not None:
            self._session.undo()

    def redo(self) -> None:
        """Make the last stroke or step that was taken back again."""
        if self._session is not None:
            self._session.redo()

    # ---- inside: session

    def _require(self) -> PaintSession:
        if self._session is None:
            raise AnnotationError("nothing to paint on: choose an image first", where="image")
        return self._session

    def _start(self, layer: Any, state: PaintState) -> None:
        loose = attribute(np.asarray(layer.data), complete=state.complete)
        session = PaintSession(layer, state.with_painted(loose), shown=self._layers.shown_slice, parent=self)
        session.changed.connect(self._on_changed)
        layer.events.selected_label.connect(self._refresh)
        keys.bind(layer, self)
        keys.bind(self._image_layer, self, names=keys.ON_IMAGE)
        self._session = session
        layer.editable = True  # it may have been locked, in a project that could only be looked at
        layer.n_edit_dimensions = 2
        if layer.mode == "pan_zoom":
            self.take_brush(2 if state.paint == "classes" else max(1, int(layer.data.max()) + 1))
        self._survey.clear()
        self._survey.mark_stale(session.state.tracked)
        self._offer_labels()
        self._refresh()

    def _close_session(self) -> Any:
        session = self._require()
        layer = session.layer
        session.close()
        layer.events.selected_label.disconnect(self._refresh)
        keys.unbind(layer)
        keys.unbind(self._image_layer, names=keys.ON_IMAGE)
        self._layers.show_marks(layer, None)
        self._panel.ask("", {})  # what was asked was about this layer
        self._session = None
        self._survey.clear()
        return layer

    def _show_paint(self) -> None:
        """Bring the paint in front of the labels that it was copied from."""
        self._layers.put_back(self.paint_layer)

    def _on_changed(self) -> None:
        self._clock.tick()
        self._survey.mark_stale(self._require().state.tracked)
        self._refresh()
        self.changed.emit()

    def _on_removed(self, layer: Any) -> None:
        if layer is self.paint_layer:
            answers = {"Show it again": lambda: self._layers.put_back(layer)}
            self._panel.ask("The paint layer was removed from the viewer. Its paint is kept.", answers)

    def _try(self, act: Callable[[], None]) -> None:
        try:
            act()
        except AnnotationError as error:
            self.message.emit(error.message[:1].upper() + error.message[1:])

    # ---- inside: slices

    def _shown(self) -> SliceIndex | None:
        shown = self._layers.shown_slice()
        if shown is None:
            self.message.emit(self._layers.other_time() or say_no_slice(self._image_layer))
        return shown

    def _is_loose(self, which: SliceIndex) -> bool:
        return which not in self._require().state.complete and self._survey.found(which).has_paint

    def _pending(self) -> SliceIndex | None:
        """The best suggested slice that is neither complete nor in view."""
        done = {*self._taken(), self._layers.shown_slice()}
        return next((which for which in self._suggested if which not in done), None)

    def _taken(self) -> list[SliceIndex]:
        """The slices that need no painting any more, or are being painted."""
        state = self._require().state
        return [which for which in state.tracked if which in state.complete or self._is_loose(which)]

    def _go_on(self) -> None:
        self._asked = False
        if turned := turned_note(self._image_layer):
            self.message.emit(turned)
            return
        shown, shape = self._layers.shown_slice(), self._layers.grid_of(self._image_layer).shape
        axis, taken = shown[0] if shown else 0, self._taken()
        target = self._pending() or next_spaced(shape, taken, axis=axis)
        if target == shown and shown is not None:  # it is being looked at already
            target = next_spaced(shape, [*taken, shown], axis=axis)
        if target is None:
            self.message.emit("Every slice of this plane is painted")
            return
        self._clock.tick()
        self._layers.go_to(target, self._image_layer)
        self._layers.activate(self.paint_layer)

    # ---- inside: the panel

    def _connect_panel(self) -> None:
        panel = self._panel
        panel.connect_buttons(self)
        panel.paint_chosen.connect(lambda paint: class_steps.choose(self._require(), paint, panel, self._survey))
        panel.labels_chosen.connect(lambda number: self.use_labels(self._layers.labels_layers()[number]))
        panel.slices.chosen.connect(lambda which: self._layers.go_to(which, self._image_layer))
        panel.slices.uncomplete_pressed.connect(self.uncomplete)
        panel.slices.delete_pressed.connect(self.delete)
        class_steps.connect(panel.classes, self._require, take_brush=self.take_brush)

    def _offer_labels(self) -> None:
        self._panel.show_labels([layer.name for layer in self._layers.labels_layers()])

    def _refresh(self) -> None:
        session = self._session
        self._panel.setEnabled(session is not None and session.layer.editable)
        if session is None:
            return
        layer = session.layer
        content = describe(
            session.state,
            self._survey.found,
            shown=self._layers.shown_slice(),
            shape=self._layers.grid_of(self._image_layer).shape,
            label=int(layer.selected_label),
            seconds=self._clock.seconds,
        )
        pending = self._pending()
        self._panel.show_content(content, chosen=int(layer.selected_label))
        self._panel.show_next(name_of(pending) if pending else "", looking=self._asked)
        self._panel.show_undo(*session.history.names())
        self._layers.show_marks(layer, content.mark)
