"""Step 2: which tool annotates, and its panel; the panels of the others wait out of sight."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QSizePolicy, QVBoxLayout, QWidget

from napari_weak3d.app.tools.tool import Tool

_TIP = "How to annotate. What was annotated otherwise is kept, and comes back when it is chosen again"
_BUSY_TIP = "Stop what is running first: it goes with the way of annotating that is chosen"


class ToolBox(QWidget):
    """The panels of the tools, of which one is shown.

    Signals
    -------
    chosen(method)
        The user wants another tool; it is shown when :meth:`show_tool` says so.
    image_named(name)
        :meth:`name_image` was called.
    tool_shown()
        Another panel is shown.

    Attributes
    ----------
    chooser
        The list of tools; the dock puts it beside the step's title. Out of sight where there is but one.
    image_name
        Of the image that is annotated; the dock puts it into the step's title. Empty: there is none.
    """

    chosen = Signal(str)
    image_named = Signal(str)
    tool_shown = Signal()

    def __init__(self, tools: Sequence[Tool], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._panels = {tool.method: tool.panel for tool in tools}
        self.image_name = ""
        self.chooser = QComboBox()
        for tool in tools:
            self.chooser.addItem(tool.words.choice, tool.method)
        self.chooser.activated.connect(self._choose)
        self.chooser.setVisible(len(tools) > 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for panel in self._panels.values():
            layout.addWidget(panel)
        self.show_tool(tools[0].method)
        self.set_busy(False)

    def show_tool(self, method: str) -> None:
        """Show the panel of a tool."""
        self._method = method
        self.chooser.setCurrentIndex(self.chooser.findData(method))
        for each, panel in self._panels.items():
            panel.setVisible(each == method)
        policy = QSizePolicy.Policy.Expanding if self.grows else QSizePolicy.Policy.Maximum
        self.setSizePolicy(QSizePolicy.Policy.Preferred, policy)
        self.tool_shown.emit()

    @property
    def grows(self) -> bool:
        """Whether the shown panel can use more height than it needs."""
        return bool(self._panels[self._method].sizePolicy().verticalPolicy() == QSizePolicy.Policy.Expanding)

    def name_image(self, name: str) -> None:
        """Tell which image is annotated: step 1 may show another one."""
        self.image_name = name
        self.image_named.emit(name)

    def set_busy(self, busy: bool) -> None:
        """While a job runs the tool stays."""
        self.chooser.setEnabled(not busy)
        self.chooser.setToolTip(_BUSY_TIP if busy else _TIP)

    def _choose(self) -> None:
        wanted = self.chooser.currentData()
        self.chooser.setCurrentIndex(self.chooser.findData(self._method))
        if wanted != self._method:
            self.chosen.emit(wanted)
