"""The tool that draws boxes, as the dock sees it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QWidget

from napari_weak3d.app.layers import Layers
from napari_weak3d.app.tool_layers import ToolLayers
from napari_weak3d.app.tools.boxes import class_verbs, exchange, steps
from napari_weak3d.app.tools.boxes.panel import BoxesPanel, Content
from napari_weak3d.app.tools.boxes.session import BoxSession
from napari_weak3d.app.tools.boxes.storing import begin_with, entries_of
from napari_weak3d.app.tools.boxes.table import BoxTable, boxes_of
from napari_weak3d.app.tools.boxes.wording import WORDS, counter_line, obstacle_of
from napari_weak3d.app.tools.boxes.work import BoxWork
from napari_weak3d.app.tools.effort import EffortClock
from napari_weak3d.app.tools.tool import Obstacle
from napari_weak3d.errors import AnnotationError, Weak3DError
from napari_weak3d.io.project import BoxEntry, BoxesState, Kind
from napari_weak3d.types import Boxes, Preview, SliceIndex


class BoxesTool(QObject):
    """Draws boxes in one image at a time, and paints masks for a few of them; owns the keys of its layers.

    Signals
    -------
    changed()
        Boxes or masks, or anything :meth:`state` tells, have changed; undo and redo included.
    next_requested()
        The user wants the next box to mask and none is suggested.
    message(text)
        For the user.

    Parameters
    ----------
    layers, tools
        The viewer's layers, and those of tools.
    """

    method, words = "boxes", WORDS
    kind: Kind = "boxes"
    changed = Signal()
    next_requested = Signal()
    message = Signal(str)

    def __init__(self, layers: Layers, tools: ToolLayers, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._layers, self._tools = layers, tools
        self._panel = BoxesPanel()
        self._clock = EffortClock()
        self._work: BoxWork | None = None
        self._suggested: tuple[SliceIndex, ...] = ()
        self._suggested_boxes: tuple[int, ...] = ()
        self._asked = False
        self._entries: tuple[BoxTable | None, tuple[BoxEntry, ...]] = (None, ())
        self._connect_panel()
        layers.listed.connect(self._offer_labels)
        self._refresh()

    # ---- begin, end, and what there is

    @property
    def panel(self) -> QWidget:
        """What goes into the dock."""
        return self._panel

    @property
    def layer(self) -> Any:
        """The layer that the user works in: of rectangles, or of the mask that is painted; None before begin."""
        return None if self._work is None else self._work.layer

    @property
    def paint_layer(self) -> Any:
        """The Labels layer of all masks, which holds ids of boxes; None before :meth:`begin`."""
        return None if self._work is None else self._work.masking.all

    @property
    def work(self) -> BoxWork:
        """The boxes that are worked on.

        Raises
        ------
        AnnotationError
            There is no image yet.
        """
        if self._work is None:
            raise AnnotationError("nothing to draw boxes on: choose an image first", where="image")
        return self._work

    def begin(self, image_layer: Any, annotation: Boxes | None = None, *, state: BoxesState | None = None) -> None:
        """Start on an image, from nothing or with boxes that the project has kept.

        Raises
        ------
        AnnotationError
            The masks are not of the image's shape.
        """
        self.end()
        shape = self._layers.grid_of(image_layer).shape
        table, masks = begin_with(annotation, state, shape=shape, name=image_layer.name)
        self._clock = EffortClock(state.effort_s if state is not None else 0.0)
        session = BoxSession(table, masks)
        work = BoxWork(self._layers, self._tools, session=session, image_layer=image_layer, parent=self)
        session.changed.connect(self._on_changed)
        work.message.connect(self.message)
        work.next_wanted.connect(self.next_slice)
        work.refreshed.connect(self._refresh)
        self._work = work
        self._offer_labels()
        self._refresh()

    def end(self) -> None:
        """Stop; the layers go, for all that they show is kept."""
        work, self._work = self._work, None
        if work is not None:
            work.refreshed.disconnect(self._refresh)
            work.close()
        self._suggested, self._suggested_boxes, self._asked = (), (), False
        self._panel.list.boxes.read_only = False
        self._panel.classes.setEnabled(True)
        self._refresh()

    def lock(self) -> None:
        """Let nothing be changed: it would be lost."""
        self._panel.list.boxes.read_only = True
        self._panel.classes.setEnabled(False)
        self.work.lock()

    def boxes(self) -> Boxes:
        """Give the annotation as it is, with all masks; ``has_mask`` says which are done."""
        session = self.work.session
        return boxes_of(session.table, session.masks)

    def state(self) -> BoxesState:
        """Give all of the annotation but the masks, as the project keeps it."""
        table = self.work.session.table
        if self._entries[0] is not table:
            self._entries = table, entries_of(table)
        return BoxesState(
            boxes=self._entries[1],
            classes=table.rows,
            region=table.region,
            next_id=table.next_id,
            effort_s=self._clock.seconds,
        )

    # ---- what the dock asks for

    def find_obstacle(self) -> Obstacle | None:
        """Say what has to be settled before a training."""
        session = self.work.session
        begun = sorted(session.painted - set(session.table.ids[session.table.done].tolist()))
        return obstacle_of(session.table, begun=begun, finish=lambda ids: steps.finish(session, ids))

    def preview_colours(self) -> Any:
        """Give the colormap of previews: many colours in turn."""
        return None

    def complete_shown(self) -> None:
        """Mark the mask that is painted as done; there are no slices to complete."""
        if self._work is not None and self._work.masking.layer is not None:
            self._work.masking.done()
        else:
            self.message.emit("Boxes know no complete slices: where not every object has a box, set a region")

    def next_slice(self) -> None:
        """Go to the next box to mask: one that a model suggests, or else the next in the list."""
        if self._work is None:
            return
        self._asked = True
        if self._suggested or self._suggested_boxes:
            self._go_on()
        else:
            self.next_requested.emit()

    def show_suggestion(self, slices: Sequence[SliceIndex]) -> None:
        """Take suggested slices, best first. A user who waits is taken on, to a box without mask in one of them."""
        self._suggested, self._suggested_boxes = tuple(slices), ()
        if self._asked:
            self._go_on()

    def show_suggested_boxes(self, ids: Sequence[int]) -> None:
        """Take the ids of boxes to mask, best first. A user who waits is taken on to the first."""
        self._suggested, self._suggested_boxes = (), tuple(ids)
        if self._asked:
            self._go_on()

    def show_preview(self, preview: Preview) -> None:
        """Draw the boxes of what a preview shows; its labels are in a layer already."""
        if self._work is not None:
            self._work.show_preview(preview)

    def take_over(self, labels_layer: Any, *, classes: Any = None) -> None:
        """Make boxes of the objects that a Labels layer, a corrected result, shows in this slice and that have none."""
        del classes  # boxes get the class that is chosen
        shown = None if self._work is None else self._work.shown()
        if shown is not None:
            self._try(lambda: exchange.take_boxes(self.work, labels_layer, layers=self._layers, which=shown))

    # ---- inside

    def _go_on(self) -> None:
        self._asked = False
        slices, self._suggested = self._suggested[:1], self._suggested[1:]
        ids, self._suggested_boxes = self._suggested_boxes, ()
        if self._work is not None:
            gone_to = self._work.go_on(slices, ids=ids)
            self._suggested_boxes = ids[ids.index(gone_to) + 1 :] if gone_to in ids else ()

    def _labels_layers(self) -> list[Any]:
        return [layer for layer in self._layers.labels_layers() if not self._tools.has(layer)]

    def _offer_labels(self) -> None:
        self._panel.show_labels([layer.name for layer in self._labels_layers()])

    def _try(self, act: Callable[[], str]) -> None:
        """Do what may fail, and say what it says."""
        if self._work is None or self._work.locked:
            return
        try:
            text = act()
        except Weak3DError as error:
            text = error.message
        if text:
            self.message.emit(text)

    def _connect_panel(self) -> None:
        panel, layers = self._panel, self._layers
        panel.pressed.connect(self._press)
        panel.boxes_wanted.connect(
            lambda n: self._try(lambda: exchange.take_boxes(self.work, self._labels_layers()[n], layers=layers))
        )
        panel.masks_wanted.connect(
            lambda n: self._try(lambda: exchange.take_masks(self.work, self._labels_layers()[n], layers=layers))
        )
        panel.list.chosen.connect(partial(self._call, "choose"))
        panel.list.visited.connect(partial(self._call, "visit"))
        panel.list.edited.connect(partial(self._call, "set_face"))
        class_verbs.connect(panel.classes, lambda: self.work.session, choose=partial(self._call, "choose_class"))

    def _call(self, verb: str, *arguments: Any) -> None:
        """Let the work that there is now do something."""
        getattr(self.work, verb)(*arguments)

    def _press(self, verb: str) -> None:
        if verb == "import":
            self._try(lambda: exchange.import_file(self._panel, self.work))
        elif verb == "export":
            self._try(lambda: exchange.export_file(self._panel, self.work))
        else:
            self.work.verbs[verb]()

    def _on_changed(self) -> None:
        self._clock.tick()
        self._refresh()
        self.changed.emit()

    def _refresh(self) -> None:
        work, panel = self._work, self._panel
        panel.setEnabled(work is not None)
        if work is None:
            return
        session, shown = work.session, self._layers.shown_slice()
        undo, redo = session.history.names()
        panel.show_classes(session.table.rows, chosen=work.value)
        panel.list.show_boxes(session.table, chosen=work.chosen, painted=session.painted, shape=session.shape)
        panel.show_content(
            Content(
                counter=counter_line(session.table, n_painted=len(session.painted), seconds=self._clock.seconds),
                n_chosen=len(work.chosen),
                in_slice=shown is not None,
                painting=work.masking.describe(shown),
                undo=undo,
                redo=redo,
                has_region=session.table.region is not None,
                mode=str(work.canvas.layer.mode),
                locked=work.locked,
            )
        )
