"""Loss and held-out score over the steps, as small curves."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QPalette, QShowEvent
from qtpy.QtWidgets import QLabel, QStackedLayout, QVBoxLayout, QWidget

from napari_weak3d.app.accents import Accent, accent, follow_theme
from napari_weak3d.app.series import Series, smooth
from napari_weak3d.messages import Advanced

LOSS = "loss"
HELD_OUT = "held_out"
"""How names of held-out scores begin; they lie in 0..1."""

_HEIGHT = 110
_DRAW_MS = 1000
"""Between two drawings: a report need not wait for one, and for each the whole window is put together anew."""
_EMPTY = "Loss and held-out score appear here while training."


class Curves(QWidget):
    """Loss on the left axis, as a line over its faint points; held-out score on the right, 0 to 1, as dots.

    The plot, and the library that draws it, come with the first point that is to be seen: the dock opens sooner.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._loss, self._score = Series(), Series()
        self._latest: dict[Accent, str] = {}
        self._job, self._step = "", 0
        self._plot: _Plot | None = None
        self.legend = QLabel()
        self.legend.setTextFormat(Qt.TextFormat.RichText)
        self.empty = QLabel(_EMPTY, alignment=Qt.AlignmentFlag.AlignCenter)
        self.empty.setWordWrap(True)
        self._page = QStackedLayout()
        self._page.addWidget(self.empty)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.legend)
        layout.addLayout(self._page, 1)
        self.setFixedHeight(_HEIGHT)
        self._timer = QTimer(self, singleShot=True, interval=_DRAW_MS)
        self._timer.timeout.connect(self.draw)
        follow_theme(self, self._paint)

    @property
    def points(self) -> dict[str, tuple[Any, Any]]:
        """The points of both curves: step and value, (N,) float each."""
        return {LOSS: self._loss.points, HELD_OUT: self._score.points}

    def add(self, progress: Advanced) -> None:
        """Take what a report has of loss and held-out score; another job's, or an earlier step, begins new curves."""
        losses = [value for name, value in progress.metrics.items() if name == LOSS]
        scores = [value for name, value in progress.metrics.items() if name.startswith(HELD_OUT)]
        if not losses and not scores:
            return
        if progress.job != self._job or progress.step < self._step:
            self.clear()
        self._job, self._step = progress.job, progress.step
        for value in losses[:1]:
            self._loss.add(progress.step, value)
            self._latest[Accent.LOSS] = f"loss {value:.3g}"
        for value in scores[:1]:
            self._score.add(progress.step, value)
            self._latest[Accent.SCORE] = f"held-out score {value:.2f}"
        if self.isVisible() and not self._timer.isActive():
            self._timer.start()

    def clear(self) -> None:
        """Forget all points."""
        self._loss.clear()
        self._score.clear()
        self._latest = {}
        self._job, self._step = "", 0
        self.draw()

    def draw(self) -> None:
        """Show all points now; nothing is done while hidden."""
        has_points = bool(len(self._loss) or len(self._score))
        if has_points and self._plot is None and self.isVisible():
            self._plot = _Plot(self)
            self._page.addWidget(self._plot.widget)
            self._plot.paint(self.palette())
        if self._plot is not None:
            self._plot.draw(self._loss, self._score)
            self._page.setCurrentIndex(1 if has_points else 0)
        self._show_legend()

    def showEvent(self, event: QShowEvent) -> None:
        """Draw what came while hidden."""
        super().showEvent(event)
        self.draw()

    def plot_items(self) -> tuple[Any, ...]:
        """Return what is drawn, as pyqtgraph's items: loss points and line, score points and line."""
        return () if self._plot is None else self._plot.items

    def _paint(self) -> None:
        if self._plot is not None:
            self._plot.paint(self.palette())
        self._show_legend()

    def _show_legend(self) -> None:
        signs = {Accent.LOSS: "━", Accent.SCORE: "●"}
        parts = [
            f'<span style="color: {accent(self.palette(), each).name()}">{signs[each]} {text}</span>'
            for each, text in sorted(self._latest.items())
        ]
        self.legend.setText("&nbsp;&nbsp;&nbsp;".join(parts))
        self.legend.setVisible(bool(parts))


class _Plot:
    """The two axes and what they hold."""

    def __init__(self, parent: QWidget) -> None:
        import pyqtgraph  # noqa: PLC0415  # 0.2 to 0.5 s

        self._library = pyqtgraph
        self.widget = pyqtgraph.PlotWidget(parent, enableMenu=False)
        self._item = self.widget.getPlotItem()
        self._item.hideButtons()
        self._item.setMouseEnabled(x=False, y=False)
        self._item.getAxis("left").setWidth(38)  # else the curve jumps sideways with the digits of the loss
        self._points, self._line = pyqtgraph.ScatterPlotItem(pxMode=True, size=2, pen=None), pyqtgraph.PlotCurveItem()
        self._scores = pyqtgraph.ScatterPlotItem(pxMode=True, size=6, pen=None)
        self._score_line = pyqtgraph.PlotCurveItem()
        self.items = (self._points, self._line, self._scores, self._score_line)
        self._right = self._add_right_axis()
        for item in (self._points, self._line):
            self._item.addItem(item)
        for item in (self._score_line, self._scores):
            self._right.addItem(item)

    def draw(self, loss: Series, score: Series) -> None:
        """Show these points."""
        x, y = loss.points
        self._points.setData(x, y)
        # A thirtieth of the curve: flattens the noise of single batches, keeps its shape.
        self._line.setData(x, smooth(y, window=len(y) // 30 + 1))
        x, y = score.points
        self._scores.setData(x, np.clip(y, 0, 1))
        self._score_line.setData(x, np.clip(y, 0, 1))

    def paint(self, palette: QPalette) -> None:
        """Take the colours of a palette."""
        pen, brush = self._library.mkPen, self._library.mkBrush
        text, loss, score = palette.color(QPalette.ColorRole.WindowText), *_colours(palette)
        self.widget.setBackground(palette.color(QPalette.ColorRole.Window))
        faint = loss.toRgb()
        faint.setAlpha(90)
        self._points.setBrush(brush(faint))
        self._line.setPen(pen(loss, width=2))
        self._scores.setBrush(brush(score))
        self._score_line.setPen(pen(score, width=1))
        for name, colour in {"left": loss, "right": score, "bottom": text}.items():
            self._item.getAxis(name).setPen(pen(colour))
            self._item.getAxis(name).setTextPen(pen(colour))

    def _add_right_axis(self) -> Any:
        """Make a second box over the first, with the same steps and 0 to 1 on the right."""
        box = self._library.ViewBox(enableMenu=False, enableMouse=False)
        self._item.showAxis("right")
        self._item.scene().addItem(box)
        self._item.getAxis("right").linkToView(box)
        self._item.getAxis("right").setWidth(30)
        self._item.getAxis("right").setTicks([[(0, "0"), (0.5, "0.5"), (1, "1")]])
        box.setXLink(self._item)
        box.setYRange(-0.05, 1.15, padding=0)  # room for the highest number
        main = self._item.getViewBox()
        main.sigResized.connect(lambda *_: box.setGeometry(main.sceneBoundingRect()))
        return box


def _colours(palette: QPalette) -> tuple[Any, Any]:
    return accent(palette, Accent.LOSS), accent(palette, Accent.SCORE)
