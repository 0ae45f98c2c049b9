"""Boxes of one image at work: what the user chooses, draws and presses becomes steps of the session."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer, Signal

from napari_weak3d.app.grid import Grid, say_no_slice
from napari_weak3d.app.layers import Layers
from napari_weak3d.app.sources import spacing_of
from napari_weak3d.app.tool_layers import ToolLayers
from napari_weak3d.app.tools.boxes import steps
from napari_weak3d.app.tools.boxes.canvas import BoxCanvas, View
from napari_weak3d.app.tools.boxes.crossing import bounds_in
from napari_weak3d.app.tools.boxes.keys import BOX_KEYS, MASK_KEYS, bind, unbind
from napari_weak3d.app.tools.boxes.masking import Masking
from napari_weak3d.app.tools.boxes.session import BoxSession, count
from napari_weak3d.types import Preview, SliceIndex

_NONE_CHOSEN = "Choose a box first: click it with Select (S), or its row in the list"


class BoxWork(QObject):
    """The boxes of one image, from its choice in the dock to the choice of another.

    Signals
    -------
    refreshed()
        Something that is shown is another now: boxes, those chosen, the slice, the mode of the mouse.
    next_wanted()
        The user wants the next box to mask.
    message(text)
        For the user.

    Parameters
    ----------
    layers, tools
        The viewer's layers, and those of tools.
    session
        Keeps boxes and masks.
    image_layer
        Whose boxes they are.

    Attributes
    ----------
    chosen
        Ids of the boxes that are chosen, whether the slice shows them or not.
    value
        The class that boxes are drawn of.
    locked
        Whether nothing may be changed.
    """

    refreshed = Signal()
    next_wanted = Signal()
    message = Signal(str)

    def __init__(
        self,
        layers: Layers,
        tools: ToolLayers,
        *,
        session: BoxSession,
        image_layer: Any,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._layers, self._tools, self.session, self.image_layer = layers, tools, session, image_layer
        self.chosen: tuple[int, ...] = ()
        self.value = session.table.rows[0].value
        self.locked = False
        self._preview: Preview | None = None
        self._mode, self._was_deep = "pan_zoom", False
        self._after_3d = QTimer(self, singleShot=True, interval=0)
        self._copied: tuple[NDArray[np.int64], list[int]] | None = None
        grid = layers.grid_of(image_layer)
        self.canvas = BoxCanvas(grid, name=f"{image_layer.name} boxes", parent=self)
        self.verbs = self._list_verbs()
        mask_verbs = {name: self.verbs[name] for name in MASK_KEYS}
        self.masking = Masking(layers, tools, session=session, image_layer=image_layer, verbs=mask_verbs, parent=self)
        self._connect()
        layers.follow(image_layer)
        tools.follow(image_layer)
        self.set_mode("select" if len(session.table) else "add_rectangle")

    def close(self) -> None:
        """Take the layers away: all that they show is kept."""
        for signal, slot in self._slots():
            signal.disconnect(slot)
        unbind(self.canvas.layer, BOX_KEYS)
        self._after_3d.stop()
        self.masking.close()
        self.canvas.close()
        for layer in (self.canvas.layer, self.canvas.wires):
            self._tools.take_away(layer)
        self._layers.follow(None)
        self._tools.follow(None)
        self.deleteLater()

    @property
    def layer(self) -> Any:
        """The layer that the user works in: of rectangles, or of the mask that is painted."""
        return self.masking.layer or self.canvas.layer

    def lock(self) -> None:
        """Let nothing be changed."""
        self.locked = True
        self.masking.leave()
        self.canvas.layer.editable = False
        self._refresh()

    # ---- choosing

    def choose(self, ids: Sequence[int]) -> None:
        """Choose boxes, those that the slice does not show included."""
        self.chosen = tuple(ids)
        self._refresh()

    def choose_class(self, value: int) -> None:
        """Draw boxes of this class from now on."""
        self.value = value
        self._refresh()

    def visit(self, box_id: int) -> None:
        """Show a slice through a box: its middle, unless one is shown already."""
        box, shown = self.session.table.corners_of(box_id), self._layers.shown_slice()
        if box is None:
            return
        axis = shown[0] if shown else 0
        if shown is None or not box[0, axis] <= shown[1] < box[1, axis]:
            self._layers.go_to((axis, int(box[:, axis].sum() - 1) // 2), self.image_layer)

    def show_preview(self, preview: Preview) -> None:
        """Draw the boxes of what a model finds in a slice, as wires, for as long as there is a layer of previews."""
        self._preview = preview
        self._refresh()

    def go_on(self, slices: Sequence[SliceIndex], *, ids: Sequence[int] = ()) -> int | None:
        """Choose and show the next box to mask: a suggested one, one in a suggested slice, or the next in the list.

        Returns
        -------
        Its id; None where there is none, which the user is told.
        """
        table = self.session.table
        after = self.chosen[-1] if self.chosen else 0
        box_id = steps.next_without_mask(table, slices, ids=ids, after=after)
        if box_id is None:
            self.message.emit("Every box has a mask" if len(table) else "Draw a box first (R)")
            return None
        self.choose([box_id])
        self.visit(box_id)
        return box_id

    def set_mode(self, mode: str) -> None:
        """Let the mouse draw boxes ("add_rectangle"), or choose, move and resize them ("select")."""
        self.masking.leave()
        for layer in (self.masking.all, self.canvas.wires, self.canvas.layer):  # the user may have removed one
            self._tools.put(layer)
        self._layers.activate(self.canvas.layer)
        if self._layers.other_time():
            self._refuse()
        elif not self.locked:
            self.canvas.layer.mode = mode

    # ---- verbs

    def start_here(self) -> None:
        """Let the chosen boxes start on the shown slice."""
        shown = self.shown()
        if shown is not None and self._has_chosen():
            steps.start_on(self.session, self.chosen, shown)

    def end_here(self) -> None:
        """Let the chosen boxes end on the shown slice."""
        shown = self.shown()
        if shown is not None and self._has_chosen():
            steps.end_on(self.session, self.chosen, shown)

    def snap(self) -> None:
        """Fit the chosen boxes to what stands out in the image."""
        if not self._has_chosen():
            return
        left = steps.snap(self.session, self.chosen, read=lambda region: self._tools.read(self.image_layer, region))
        if left:
            self.message.emit(f"Nothing stands out in {count(len(left))}: set the faces by hand")

    def give_class(self) -> None:
        """Give the chosen boxes the class that boxes are drawn of."""
        if self._has_chosen():
            steps.give_class(self.session, self.chosen, value=self.value)

    def copy(self) -> None:
        """Remember the chosen boxes."""
        if self._has_chosen():
            rows = self.session.table.find(self.chosen)
            self._copied = self.session.table.corners[rows], self.session.table.classes[rows].tolist()

    def paste(self) -> None:
        """Add the remembered boxes again, around the shown slice."""
        shown = self.shown()
        if shown is not None and self._copied is not None and not self.locked:
            self.choose(steps.paste(self.session, *self._copied, which=shown))

    def delete(self) -> None:
        """Remove the chosen boxes and their masks."""
        if self._has_chosen():
            self.session.delete(self.chosen)

    def set_region(self) -> None:
        """Make the chosen box the region in which every object has a box."""
        if self._has_chosen():
            steps.set_region(self.session, self.chosen[0])

    def clear_region(self) -> None:
        """Let every object of the image have a box."""
        if not self.locked:
            steps.clear_region(self.session)

    def paint(self) -> None:
        """Paint the mask of the chosen box."""
        if self._has_chosen():
            self.visit(self.chosen[0])
            self.masking.paint(self.chosen[0])

    def set_face(self, box_id: int, axis: int, end: int, value: int) -> None:
        """Set the first voxel (``end`` 0) or the last one (1) of a box along an axis."""
        if not self.locked:
            steps.set_face(self.session, box_id, axis=axis, end=end, value=value)

    def shown(self) -> SliceIndex | None:
        """Tell which slice is shown; says so if none is."""
        shown = self._layers.shown_slice()
        if shown is None:
            self._refuse()
        return shown

    # ---- inside

    def _refuse(self) -> None:
        """Say why nothing can be done in what is shown."""
        self.message.emit(self._layers.other_time() or say_no_slice(self.image_layer))

    def _list_verbs(self) -> dict[str, Callable[[], None]]:
        """What keys, buttons and menu entries do, by name."""
        own = ("snap", "give_class", "copy", "paste", "delete", "paint", "set_region", "clear_region")
        return {
            **{verb: getattr(self, verb) for verb in own},
            "start": self.start_here,
            "end": self.end_here,
            "next": self.next_wanted.emit,
            "draw": lambda: self.set_mode("add_rectangle"),
            "select": lambda: self.set_mode("select"),
            "undo": partial(self._step, self.session.undo),
            "redo": partial(self._step, self.session.redo),
            **{verb: partial(self._mask, verb) for verb in ("interpolate", "done", "leave")},
        }

    def _mask(self, verb: str) -> None:
        """Act on the mask that is painted; the keys are listed before there can be one."""
        getattr(self.masking, verb)()

    def _step(self, act: Callable[[], None]) -> None:
        """Undo or redo."""
        self.masking.settle()
        if not self.locked:
            act()

    def _slots(self) -> tuple[tuple[Any, Any], ...]:
        """What we listen to."""
        return (
            (self.session.changed, self._on_changed),
            (self.masking.message, self.message),
            (self.masking.turned, self._on_turned),
            (self.canvas.drawn, self._on_drawn),
            (self.canvas.reshaped, self._on_reshaped),
            (self.canvas.removed, self._on_deleted),
            (self.canvas.misplaced, self._refuse),
            (self.canvas.chosen, self.choose),
            (self.canvas.layer.events.mode, self._on_mode),
            (self._after_3d.timeout, self._take_mode),
            (self._layers.slice_shown, self._refresh),
            (self._layers.listed, self._refresh),  # the layer of previews may have gone
            (self._tools.removed, self._on_removed),
            (self._tools.regridded, self._lay_on),
        )

    def _connect(self) -> None:
        bind(self.canvas.layer, BOX_KEYS, verbs=self.verbs)
        for signal, slot in self._slots():
            signal.connect(slot)

    def _has_chosen(self) -> bool:
        """Whether there is a box to act on; says so if not."""
        if not self.locked and not self.chosen:
            self.message.emit(_NONE_CHOSEN)
        return not self.locked and bool(self.chosen)

    def _on_mode(self, _event: object = None) -> None:
        if not self._tools.in_3d:
            self._mode = str(self.canvas.layer.mode)
        self._refresh()

    def _take_mode(self) -> None:
        """Back from 3D, where napari lays every pencil down."""
        if not self._tools.in_3d and not self.locked:
            self.canvas.layer.mode = self._mode

    def _refresh(self, _event: object = None) -> None:
        if self._was_deep and not self._tools.in_3d:
            self._after_3d.start()  # when napari is done with it, too
        self._was_deep = self._tools.in_3d
        which = self._layers.shown_slice()
        found = self._find_previewed(which)
        table = self.session.table
        row = table.row(self.value) or table.rows[0]
        view = View(table, frozenset(self.chosen), which, deep=self._tools.in_3d, color=row.color, found=found)
        self.canvas.show(view)
        self.refreshed.emit()

    def _find_previewed(self, which: SliceIndex | None) -> NDArray[np.int64] | None:
        """Give the boxes of the preview, in its slice or in 3D, as long as there is a layer of it."""
        preview = self._preview
        if preview is None or self._layers.preview_of(preview.slice) is None:
            return None
        if self._tools.in_3d:
            return preview.boxes
        if preview.slice != which:
            return None
        return bounds_in(preview.labels, preview.slice) if preview.boxes is None else preview.boxes

    def _on_changed(self) -> None:
        table = self.session.table
        there = set(table.ids.tolist())
        self.chosen = tuple(each for each in self.chosen if each in there)
        if table.row(self.value) is None:
            self.value = table.rows[0].value
        self._refresh()

    def _on_turned(self) -> None:
        """A mask's layer has come or gone."""
        self._layers.activate(self.layer)
        self._refresh()

    def _on_drawn(self, flat: NDArray[np.int64]) -> None:
        which = self._layers.shown_slice()
        if which is not None and not self.locked:
            spacing, _ = spacing_of(self.image_layer)
            self.choose(steps.draw(self.session, flat, which=which, value=self.value, spacing=spacing))

    def _on_reshaped(self, ids: list[int], flat: NDArray[np.int64]) -> None:
        which = self._layers.shown_slice()
        if which is not None and not self.locked:
            steps.reshape_flat(self.session, ids, flat, axis=which[0])

    def _on_deleted(self, ids: list[int]) -> None:
        if not self.locked:
            self.session.delete(ids)

    def _on_removed(self, layer: Any) -> None:
        """What the user takes out of the viewer is not lost: boxes and masks are not in the layers."""
        if layer is self.masking.layer:
            self.masking.leave()
        else:
            self.message.emit(f"{layer.name} was removed from the viewer, and is kept: press Select to see it again")

    def _lay_on(self, grid: Grid) -> None:
        self.canvas.lay_on(grid)
        self.masking.lay_on(grid)
