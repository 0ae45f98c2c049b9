"""The tool that clicks cells: what its buttons and keys do, on the clicks of one image."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_weak3d.app.canvas_view import CanvasView
from napari_weak3d.app.grid import Grid
from napari_weak3d.app.layers import Layers
from napari_weak3d.app.tool_layers import ToolLayers
from napari_weak3d.app.tools.centroids import proposing, taking, verbs
from napari_weak3d.app.tools.centroids.clicks import Clicks, clicks_of
from napari_weak3d.app.tools.centroids.keys import bind, unbind
from napari_weak3d.app.tools.centroids.panel import CentroidsPanel, Content
from napari_weak3d.app.tools.centroids.wording import WORDS, counter_line, obstacle_of, proposal_line
from napari_weak3d.app.tools.centroids.work import ClickWork
from napari_weak3d.app.tools.effort import EffortClock
from napari_weak3d.app.tools.planes import name_of
from napari_weak3d.app.tools.tool import Obstacle
from napari_weak3d.errors import AnnotationError, Weak3DError
from napari_weak3d.io.annotations import read_centroids, write_centroids
from napari_weak3d.io.project import CentroidsState, Kind
from napari_weak3d.types import Centroids, SliceIndex

_CSV = "Tables (*.csv)"


class CentroidsTool(QObject):
    """Clicks the cells of one image at a time; owns the keys of the layer of clicks.

    Signals
    -------
    changed(), message(text), next_requested()
        As :class:`~napari_weak3d.app.tools.tool.Tool` has them.
    more_requested()
        The user wants more points like these: answer with :meth:`show_proposals`.

    Parameters
    ----------
    layers, tools, view
        The viewer's layers, those of tools, and its view.
    """

    method, words = "centroids", WORDS
    kind: Kind = "centroids"
    paint_layer = None
    changed = Signal()
    message = Signal(str)
    next_requested = Signal()
    more_requested = Signal()

    def __init__(self, layers: Layers, tools: ToolLayers, view: CanvasView, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._layers, self._tools, self._view = layers, tools, view
        self._panel = CentroidsPanel()
        self._clock = EffortClock()
        self._work: ClickWork | None = None
        self._suggested: tuple[SliceIndex, ...] = ()
        self._asked = False
        self._verbs = {
            "remove": self._on_work(verbs.remove),
            "centre": self._on_work(verbs.centre),
            "find": self.find_more,
            "accept": self._on_work(partial(proposing.answer, accepted=True)),
            "refuse": self._on_work(partial(proposing.answer, accepted=False)),
            "accept_all": self._on_work(partial(proposing.answer_all, accepted=True)),
            "refuse_all": self._on_work(partial(proposing.answer_all, accepted=False)),
            "next": self.next_slice,
            "undo": self._on_work(lambda work: work.session.undo()),
            "redo": self._on_work(lambda work: work.session.redo()),
            "import": self._choose_table,
            "export": self._choose_target,
        }
        self._connect()
        self._refresh()

    # ---- begin, end, and what there is

    @property
    def panel(self) -> QWidget:
        """What goes into the dock."""
        return self._panel

    @property
    def layer(self) -> Any:
        """The Points layer of clicks; None before :meth:`begin`."""
        return None if self._work is None else self._work.session.layer

    @property
    def clicks(self) -> Clicks:
        """What is clicked and proposed.

        Raises
        ------
        AnnotationError
            There is no image yet.
        """
        return self._require().clicks

    def begin(
        self, image_layer: Any, centroids: Centroids | None = None, *, state: CentroidsState | None = None
    ) -> None:
        """Start clicking in an image, from nothing or with what the project has kept: all of it is in ``state``."""
        del centroids
        self.end()
        self._clock = EffortClock(state.effort_s if state is not None else 0.0)
        self._work = work = ClickWork(
            self._layers,
            self._tools,
            self._view,
            image_layer=image_layer,
            clicks=clicks_of(state),
            say=self.message.emit,
            parent=self,
        )
        work.session.changed.connect(self._on_changed)
        work.session.message.connect(self.message)
        work.box.drawn.connect(lambda axis, spans: verbs.take_drawn(work, axis, spans))
        bind(work.session.layer, self._verbs)
        work.show()
        self._offer_points()
        self._refresh()

    def end(self) -> None:
        """Stop; the layers go, for all that they show is kept."""
        work, self._work = self._work, None
        if work is None:
            return
        unbind(work.session.layer)
        work.close()
        self._suggested, self._asked = (), False
        while self._panel.bar.current is not None:  # what was asked was about this image
            self._panel.bar.dismiss()
        self._refresh()

    def lock(self) -> None:
        """Let nothing be changed: it would be lost."""
        work = self._require()
        work.lock()
        self._refresh()

    def state(self) -> CentroidsState:
        """Give all of the annotation, as the project keeps it."""
        clicks = self.clicks
        return CentroidsState(
            points_vox=_as_tuples(clicks.points),
            refused_vox=_as_tuples(clicks.refused),
            region=clicks.region,
            effort_s=self._clock.seconds,
        )

    # ---- what the dock asks for

    def find_obstacle(self) -> Obstacle | None:
        """Say what has to be settled before a training."""
        session = self._require().session
        return obstacle_of(
            session.clicks,
            shape=session.shape,
            act=lambda name, change: session.step(name, change(session.clicks)),
        )

    def preview_colours(self) -> Any:
        """Give the colormap of previews: many colours in turn."""
        return None

    def complete_shown(self) -> None:
        """Say that slices need not be complete."""
        self.message.emit("Clicks know no complete slices: where not all cells are clicked, set a box")

    def next_slice(self) -> None:
        """Go to the next point that is proposed, or else to a slice that a model suggests."""
        work = self._work
        if work is None:
            return
        if len(work.clicks.proposed):
            proposing.go_to_next(work)
            self._refresh()
        else:
            self._asked = True
            if self._suggested:
                self._go_on(work)
            else:
                self.next_requested.emit()

    def show_suggestion(self, slices: Sequence[SliceIndex]) -> None:
        """Take suggested slices, best first; a user who waits is taken there."""
        self._suggested = tuple(slices)
        if self._asked and self._work is not None:
            self._go_on(self._work)

    def take_over(self, labels_layer: Any, *, classes: Any = None) -> None:
        """Propose the centres of the objects that a Labels layer shows in this slice, where there is no click."""
        del classes  # a click has none
        work = self._work
        shown = None if work is None else work.shown()
        if work is None or shown is None or work.refuses():
            return
        try:
            labels = self._layers.labels_of(labels_layer, work.image_layer)
        except AnnotationError as error:
            self.message.emit(error.message)
            return
        centres = taking.centres_in(labels, shown, reach=2 * work.n_seen(shown[0]))
        proposing.propose(work, centres, np.ones(len(centres)), name=f"propose the centres of {name_of(shown)}")

    # ---- verbs

    def find_more(self) -> None:
        """Ask for points like those that are clicked."""
        work = self._work
        if work is None or work.locked:
            return
        if len(work.clicks.points) == 0:
            self.message.emit("Click at least one cell first: what is like it is looked for")
        else:
            self._clock.tick()
            self.more_requested.emit()

    def show_proposals(
        self, points: NDArray[np.float64], scores: NDArray[np.float64], *, radius: float | None = None
    ) -> None:
        """Propose points (N, 3) zyx in voxels, (N,) 0..1 sure, but for those that are clicked or were refused.

        ``radius`` is that of a typical cell, in the unit of the image's scale, if it is known.
        """
        if self._work is not None:
            self._work.found_radius = radius or self._work.found_radius
            proposing.propose(self._work, points, scores, name="find more")
            self._refresh()

    def take_points(self, points_layer: Any) -> None:
        """Click where a Points layer of the user's has points; asks where its scale is another than the image's."""
        work = self._require()
        if work.refuses():
            return
        if other_time := self._layers.other_time():
            self.message.emit(other_time)
            return
        time = self._view.first_shown(work.image_layer)
        try:
            ways = taking.read_layer(points_layer, work.image_layer, first=time)
        except AnnotationError as error:
            self.message.emit(error.message)
            return
        if len(ways) == 1:
            verbs.take(work, ways[0].points, name=points_layer.name)
            return
        self._panel.ask(
            taking.scale_question(points_layer, work.image_layer),
            {way.title: partial(verbs.take, work, way.points, name=points_layer.name) for way in ways},
        )

    def read_table(self, path: Path) -> None:
        """Click where a CSV file says."""
        work = self._require()
        if work.refuses():
            return
        try:
            verbs.take(work, read_centroids(path).points_vox, name=path.name)
        except Weak3DError as error:
            self.message.emit(error.message[:1].upper() + error.message[1:])

    def write_table(self, path: Path) -> None:
        """Write the clicks to a CSV file."""
        try:
            write_centroids(path, Centroids(self.clicks.points))
            self.message.emit(f"Written: {path}")
        except Weak3DError as error:
            self.message.emit(error.message)

    # ---- inside

    def _require(self) -> ClickWork:
        if self._work is None:
            raise AnnotationError("nothing to click in: choose an image first", where="image")
        return self._work

    def _on_work(self, verb: Any) -> Any:
        """A verb on the work, that does nothing while there is none."""

        def act() -> None:
            if self._work is not None and not self._work.locked:
                verb(self._work)
                self._refresh()

        return act

    def _connect(self) -> None:
        panel = self._panel
        panel.pressed.connect(lambda verb: self._verbs[verb]())
        panel.points_wanted.connect(lambda number: self.take_points(self._points_layers()[number]))
        panel.region.chosen.connect(lambda how: self._on_work(partial(verbs.choose_region, how=how))())
        panel.region.edited.connect(lambda region: self._on_work(partial(verbs.set_region, region=region))())
        self._layers.slice_shown.connect(self._refresh)
        self._layers.listed.connect(self._offer_points)
        self._tools.removed.connect(self._on_removed)
        self._tools.regridded.connect(self._lay_on)

    def _go_on(self, work: ClickWork) -> None:
        self._asked = False
        rest = [which for which in self._suggested if which != self._layers.shown_slice()]
        if not rest:
            self.message.emit("No model says where to look: train one, or press F for more cells like these")
            return
        self._suggested = tuple(rest[1:])
        self._layers.go_to(rest[0], work.image_layer)
        self._layers.activate(self.layer)

    def _on_changed(self) -> None:
        work = self._require()
        self._clock.tick()
        work.current = min(work.current, max(len(work.clicks.proposed) - 1, 0))
        self._refresh()
        self.changed.emit()

    def _on_removed(self, layer: Any) -> None:
        work = self._work
        if work is not None and layer is work.session.layer:
            question = "The layer of clicks was removed from the viewer. The clicks are kept."
            self._panel.ask(question, {"Show it again": work.show})

    def _lay_on(self, grid: Grid) -> None:
        if self._work is not None:
            self._work.lay_on(grid)
            self._refresh()

    def _choose_table(self) -> None:
        if self._require().refuses():
            return
        path, _ = QFileDialog.getOpenFileName(self._panel, "Read points from a table", "", _CSV)
        if path:
            self.read_table(Path(path))

    def _choose_target(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self._panel, "Write the clicks to a table", "clicks.csv", _CSV)
        if path:
            self.write_table(Path(path) if Path(path).suffix else Path(f"{path}.csv"))

    def _points_layers(self) -> list[Any]:
        own = () if self._work is None else (self._work.session.layer, self._work.session.proposals)
        return self._view.points_layers(but=own)

    def _offer_points(self) -> None:
        self._panel.show_points([layer.name for layer in self._points_layers()])

    def _refresh(self) -> None:
        work = self._work
        self._panel.setEnabled(work is not None)
        if work is None:
            return
        work.refresh()
        undo, redo = work.session.history.names()
        self._panel.show_content(
            Content(
                counter=counter_line(work.clicks, seconds=self._clock.seconds),
                n_clicks=len(work.clicks.points),
                n_proposed=len(work.clicks.proposed),
                proposal=proposal_line(work.clicks, work.current),
                region=work.clicks.region,
                shape=work.session.shape,
                undo=undo,
                redo=redo,
                locked=work.locked,
            )
        )


def _as_tuples(points: NDArray[np.float64]) -> tuple[tuple[float, float, float], ...]:
    return tuple((float(z), float(y), float(x)) for z, y, x in points)
