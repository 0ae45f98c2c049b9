"""The dock: three steps from top to bottom, each of which can be folded away."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from qtpy.QtCore import QEvent, QObject, QSize, Qt
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import QHBoxLayout, QScrollArea, QSizePolicy, QTabWidget, QToolButton, QVBoxLayout, QWidget

from napari_weak3d.app.commands import COMMANDS, bind_keys
from napari_weak3d.app.controller import Controller, controller_of

_WIDTH = 380
_LEAST = 90
"""Height of a step's content when there is no room, pixels."""
_ALL = 100
"""Share of the height that is left; the empty end of the dock has 1."""


class Dock(QWidget):
    """The panels of this viewer's controller, put together, with one tool shown.

    A dock that is closed and opened again shows the same panels: the controller keeps them, and goes on meanwhile.
    There is one in a window: another one takes the panels over, and the earlier one goes.

    Parameters
    ----------
    napari_viewer
        napari's.
    method
        Which tool is shown at first.
    """

    def __init__(self, napari_viewer: Any, method: str) -> None:
        super().__init__()
        self.controller: Controller = controller_of(napari_viewer)
        panels = self.controller.panels
        self.look = _Tabs()
        for title, panel in (("Training", panels.train), ("Result", panels.result), ("Models", panels.models)):
            self.look.addTab(_Scrolled(panel), title)
        self.steps = (
            Step("1  Image", panels.image),
            Step("2  Annotate", _Scrolled(panels.tool), beside=panels.tool.chooser),
            Step("3  Train and look", _stack(panels.train.top, self.look)),
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 2, 6, 4)
        layout.setSpacing(4)
        layout.addWidget(panels.project)
        for step in self.steps:
            layout.addWidget(step)
        layout.addStretch(1)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.steps[1].header.set_subject(panels.tool.image_name)
        panels.tool.image_named.connect(self.steps[1].header.set_subject)
        panels.tool.tool_shown.connect(self._share_room)
        self.steps[1].header.toggled.connect(self._share_room)
        self._share_room()
        bind_keys(self.controller)
        panels.train.name_keys({command.verb: command.key for command in COMMANDS})
        earlier, self.controller.dock = self.controller.dock, self
        if earlier is not None:
            with suppress(LookupError, RuntimeError):  # it was closed
                self.controller.viewer.window.remove_dock_widget(earlier)
        self.controller.choose_tool(method)

    def minimumSizeHint(self) -> QSize:
        """Give what the panels need in napari's font size, and not less than they look good in."""
        least = super().minimumSizeHint()
        return QSize(max(least.width(), _WIDTH), least.height())

    def _share_room(self) -> None:
        """Give height that is left to step 2, where there is a list in it that can use it."""
        grows = self.steps[1].header.isChecked() and self.controller.panels.tool.grows
        self.layout().setStretchFactor(self.steps[1], _ALL if grows else 0)


class _Tabs(QTabWidget):
    """As high as the tab that is shown needs, not as the highest of them: the room goes to what is painted."""

    def __init__(self) -> None:
        super().__init__()
        self.currentChanged.connect(lambda _: self.updateGeometry())

    def sizeHint(self) -> QSize:
        every, shown = super().sizeHint(), self.currentWidget()
        if shown is None:
            return every
        highest = max(self.widget(tab).sizeHint().height() for tab in range(self.count()))
        return QSize(every.width(), every.height() - highest + shown.sizeHint().height())


class _Scrolled(QScrollArea):
    """As high as its panel would be; where the window is too low it scrolls, and the other steps stay in sight.

    The panel may be taken over by another dock, and is gone from here then.
    """

    def __init__(self, panel: QWidget) -> None:
        super().__init__()
        viewport = panel.parentWidget()
        if viewport is not None and isinstance(viewport.parentWidget(), QScrollArea):
            viewport.parentWidget().takeWidget()  # of a dock that was closed: two areas would resize it in turns
        self.setWidget(panel)
        self.setWidgetResizable(True)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        panel.setVisible(True)

    def sizeHint(self) -> QSize:
        inside = super().sizeHint() if self.widget() is None else self.widget().sizeHint()
        return QSize(super().sizeHint().width(), inside.height() + 2 * self.frameWidth())  # a theme may draw one

    def minimumSizeHint(self) -> QSize:
        inside = super().minimumSizeHint() if self.widget() is None else self.widget().minimumSizeHint()
        bar = self.verticalScrollBar().sizeHint().width()  # also while there is none: else it came and went in turns
        return QSize(inside.width() + bar + 2 * self.frameWidth(), _LEAST)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Follow the panel when something in it appears or goes."""
        if watched is self.widget() and event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return bool(super().eventFilter(watched, event))


class Step(QWidget):
    """A titled part of the dock; a click on the title folds it. ``beside`` stands at the right of the title."""

    def __init__(self, title: str, body: QWidget, *, beside: QWidget | None = None) -> None:
        super().__init__()
        self.header = _Title(title)
        self.header.setCheckable(True)
        self.header.setChecked(True)
        self.header.setArrowType(Qt.ArrowType.DownArrow)
        self.header.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.header.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        font = self.header.font()
        font.setBold(True)
        self.header.setFont(font)
        self.header.toggled.connect(self._fold)
        self.body = body
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        top = QHBoxLayout()
        top.setSpacing(4)
        top.addWidget(self.header, 1)
        if beside is not None:
            top.addWidget(beside)
        layout.addLayout(top)
        layout.addWidget(body)

    def _fold(self, open_: bool) -> None:
        self.header.setArrowType(Qt.ArrowType.DownArrow if open_ else Qt.ArrowType.RightArrow)
        self.body.setVisible(open_)


class _Title(QToolButton):
    """The title of a step, and the name of what it is about, as much of that as there is room for."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title, self._subject = title, ""
        self.setText(title)
        self.set_subject("")

    def set_subject(self, subject: str) -> None:
        """Name what the step is about; empty: nothing."""
        self._subject = subject
        self.setToolTip(f"{subject}. Click to fold or unfold this step" if subject else "Fold or unfold this step")
        self._show()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Show as much of the name as there is room for now."""
        super().resizeEvent(event)
        self._show()

    def sizeHint(self) -> QSize:
        """Give the size of the title alone: a long name must not widen the dock."""
        hint, metrics = super().sizeHint(), self.fontMetrics()
        beside = hint.width() - metrics.horizontalAdvance(self.text())
        return QSize(beside + metrics.horizontalAdvance(self._title), hint.height())

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def _show(self) -> None:
        metrics, start = self.fontMetrics(), f"{self._title}: "
        room = self.width() - (self.sizeHint().width() - metrics.horizontalAdvance(self._title))
        room -= metrics.horizontalAdvance(start)
        name = metrics.elidedText(self._subject, Qt.TextElideMode.ElideMiddle, max(room, 0)).replace("&", "&&")
        text = start + name if self._subject else self._title
        if text != self.text():
            self.setText(text)


def _stack(*widgets: QWidget) -> QWidget:
    """Put widgets below each other, as one; the last takes the room that is left."""
    whole = QWidget()
    layout = QVBoxLayout(whole)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(4)
    for widget in widgets:
        layout.addWidget(widget, 1 if widget is widgets[-1] else 0)
    return whole
