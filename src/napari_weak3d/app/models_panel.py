"""The models of a project: how good they are, and what can be done with each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QAction
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QMenu,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_weak3d.io.project import ModelEntry
from napari_weak3d.methods import METHODS

_HEIGHT = 140
"""Of the list, pixels; it scrolls inside."""
_ROW_HEIGHT = 20
_EMPTY = "No models yet. Annotate and press Train, or import the folder of a model that was exported."
_HEADERS = {
    "Name": "Double-click or F2 to rename",
    "Method": "What the model learned from",
    "Images": "Of how many images of the project it learned; a row's own says of which",
    "Held-out score": "On annotation that was held out of training, 0 to 1: overlap (IoU) with painted slices, F1 of "
    "found cells. A dash: not measured",
}
_SCOPES = {
    "image": ("This image", "Segment the image that is chosen in step 1"),
    "times": ("All time points of this image", "Segment one after the other; the results are kept in the project"),
    "project": ("All images of the project", "Segment one after the other; the results are kept in the project"),
    "folder": ("A folder of files...", "Segment all images of a folder and write the labels into another"),
}


class ModelsPanel(QWidget):
    """The list of models, with buttons for the one that is selected.

    Signals fire on what the user does, never on a setter. All carry the model's id.
    """

    apply_requested = Signal(str, str)
    """Id, and "image", the chosen one; "times", all time points of it; "project", all images of it; or "folder"."""
    train_on_requested = Signal(str)
    rename_requested = Signal(str, str)
    """Id, and the new name: not empty, and another one."""
    export_requested = Signal(str)
    import_requested = Signal()
    remove_requested = Signal(str)
    """After the user has said yes."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._models: tuple[ModelEntry, ...] = ()
        self._names: dict[str, str] = {}
        self._scopes: dict[str, QAction] = {}
        self._busy = self._read_only = False
        self.empty = QLabel(_EMPTY)
        self.empty.setWordWrap(True)
        self.list = _make_list()
        self.apply = QPushButton("Apply to")
        self.apply.setToolTip("Segment with the selected model")
        self.train_on = QPushButton("Train on")
        self.train_on.setToolTip("Go on training the selected model with the paint of now")
        self.more = QPushButton("More")
        self.more.setToolTip("Rename, export or remove the selected model")
        self.import_ = QPushButton("Import...")
        self.import_.setToolTip("Add the folder of a model to the project")
        self.question = _Question()
        self._add_menus()
        self._lay_out()
        self._connect()
        self.show_models([])

    def show_models(self, models: Sequence[ModelEntry], *, image_names: Mapping[str, str] | None = None) -> None:
        """Show the project's models in this order; the selected one stays selected, else it is the first.

        ``image_names``: what the images are called that they learned from, by id.
        """
        names = image_names or {}
        shown = [item.text(0) for item in self._items()]
        if models and (tuple(models), names) == (self._models, self._names) and shown == [m.name for m in models]:
            return  # an editor that is open stays open
        selected = self.selected()
        self._models, self._names = tuple(models), dict(names)
        self.question.hide()
        self.list.blockSignals(True)
        self.list.clear()
        self.list.addTopLevelItems([_make_item(model, names, editable=not self._read_only) for model in models])
        ids = [model.id for model in models]
        if ids:
            self.list.setCurrentItem(self.list.topLevelItem(ids.index(selected) if selected in ids else 0))
        self.list.blockSignals(False)
        self.list.setVisible(bool(ids))
        self.empty.setVisible(not ids)
        self._update_buttons()

    def selected(self) -> str | None:
        """Return the id of the selected model, or None."""
        entry = self._entry()
        return None if entry is None else entry.id

    def show_times(self, n: int) -> None:
        """Offer to segment all time points of the chosen image, where it has several."""
        self._scopes["times"].setVisible(n > 1)
        self._scopes["times"].setText(f"All {n} time points of this image")

    def set_busy(self, busy: bool) -> None:
        """Lock what needs the child process, while a job runs."""
        self._busy = busy
        self._update_buttons()

    def set_read_only(self, read_only: bool) -> None:
        """Lock what changes the project, while somebody else has it open."""
        self._read_only = read_only
        for item in self._items():
            _set_editable(item, editable=not read_only)
        self._update_buttons()

    @property
    def uses_known(self) -> bool:
        """Whether what is annotated in an image that is segmented are its objects."""
        return bool(self.use_known.isChecked())

    @property
    def wants_responses(self) -> bool:
        """Whether response maps are wanted beside the objects."""
        return bool(self.with_responses.isChecked())

    def _items(self) -> list[QTreeWidgetItem]:
        return [self.list.topLevelItem(row) for row in range(self.list.topLevelItemCount())]

    def _entry(self) -> ModelEntry | None:
        row = self.list.indexOfTopLevelItem(self.list.currentItem()) if self.list.currentItem() is not None else -1
        return self._models[row] if 0 <= row < len(self._models) else None

    def _update_buttons(self) -> None:
        entry = self._entry()
        free = entry is not None and not self._busy and not self._read_only
        self.apply.setEnabled(free and entry is not None and entry.trained)
        self.train_on.setEnabled(free and entry is not None and entry.trained)
        self.more.setEnabled(entry is not None)
        self._export.setEnabled(entry is not None and entry.trained)
        method = METHODS.get("" if entry is None else entry.method)
        self.use_known.setVisible(method is not None and bool(method.use_known))
        self.with_responses.setVisible(method is not None and bool(method.responses))
        self._rename.setEnabled(not self._read_only)
        self._remove.setEnabled(not self._read_only and not self._busy)
        self.import_.setEnabled(not self._read_only)

    def _on_edited(self, item: QTreeWidgetItem) -> None:
        entry = self._entry()
        if entry is None or item is not self.list.currentItem():
            return
        name = item.text(0).strip()
        self.list.blockSignals(True)
        item.setText(0, name or entry.name)
        self.list.blockSignals(False)
        if name not in ("", entry.name):
            self.rename_requested.emit(entry.id, name)

    def _ask_remove(self) -> None:
        entry = self._entry()
        if entry is not None:
            text = f"Remove the model {entry.name}? It cannot be brought back; results made with it stay."
            self.question.ask(text, lambda: self.remove_requested.emit(entry.id))

    def _emit(self, signal: Signal, *arguments: str) -> None:
        model = self.selected()
        if model is not None:
            signal.emit(model, *arguments)

    def _add_menus(self) -> None:
        scopes, more = QMenu(self.apply), QMenu(self.more)
        for menu, button in ((scopes, self.apply), (more, self.more)):
            menu.setToolTipsVisible(True)
            button.setMenu(menu)
        for scope, (title, tip) in _SCOPES.items():
            action = scopes.addAction(title)
            action.setToolTip(tip)
            action.triggered.connect(lambda _=False, scope=scope: self._emit(self.apply_requested, scope))
            self._scopes[scope] = action
        scopes.addSeparator()
        self.use_known = scopes.addAction("Use its clicks or boxes")
        self.use_known.setToolTip("Cells that are clicked, or objects that are boxed, in an image need not be found")
        self.use_known.setCheckable(True)
        self.use_known.setChecked(True)
        self.with_responses = scopes.addAction("With response maps")
        self.with_responses.setToolTip("Show, too, what in the image made the model see each cell; takes a while")
        self.with_responses.setCheckable(True)
        self.show_times(1)
        self._rename = more.addAction("Rename")
        self._rename.triggered.connect(lambda: self.list.editItem(self.list.currentItem(), 0))
        self._export = more.addAction("Export...")
        self._export.setToolTip("Copy the model's folder to another place, for others to import")
        self._export.triggered.connect(lambda: self._emit(self.export_requested))
        self._remove = more.addAction("Remove")
        self._remove.triggered.connect(self._ask_remove)

    def _connect(self) -> None:
        self.list.itemChanged.connect(lambda item, _: self._on_edited(item))
        self.list.currentItemChanged.connect(lambda *_: self.question.hide())
        self.list.currentItemChanged.connect(lambda *_: self._update_buttons())
        self.train_on.clicked.connect(lambda: self._emit(self.train_on_requested))
        self.import_.clicked.connect(self.import_requested)

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.setSpacing(4)
        for button in (self.apply, self.train_on, self.more, self.import_):
            buttons.addWidget(button, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.empty)
        layout.addWidget(self.list)
        layout.addWidget(self.question)
        layout.addLayout(buttons)
        layout.addStretch()


class _Question(QWidget):
    """Asks before something is removed, inside the panel."""

    def __init__(self) -> None:
        super().__init__()
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.yes = QPushButton("Remove")
        self.no = QPushButton("Keep")
        self.yes.setToolTip("Remove it for good")
        self.no.setToolTip("Leave everything as it is")
        self._act: Callable[[], None] = lambda: None
        self.yes.clicked.connect(self._on_yes)
        self.no.clicked.connect(self.hide)
        buttons = QHBoxLayout()
        buttons.addWidget(self.yes)
        buttons.addWidget(self.no)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.text)
        layout.addLayout(buttons)
        self.hide()

    def ask(self, text: str, act: Callable[[], None]) -> None:
        """Show a question; ``act`` is what happens on yes."""
        self.text.setText(text)
        self._act = act
        self.show()

    def _on_yes(self) -> None:
        self.hide()
        self._act()


def _make_list() -> QTreeWidget:
    tree = QTreeWidget()
    tree.setColumnCount(len(_HEADERS))
    tree.setHeaderLabels(list(_HEADERS))
    for column, tip in enumerate(_HEADERS.values()):
        tree.headerItem().setToolTip(column, tip)
    tree.setRootIsDecorated(False)
    tree.setUniformRowHeights(True)
    tree.setMaximumHeight(_HEIGHT)
    tree.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    triggers = QAbstractItemView.EditTrigger
    tree.setEditTriggers(triggers.DoubleClicked | triggers.EditKeyPressed)
    header = tree.header()
    header.setStretchLastSection(False)
    header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
    header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
    return tree


def _make_item(model: ModelEntry, names: Mapping[str, str], *, editable: bool) -> QTreeWidgetItem:
    score = "" if model.held_out is None else f"{model.held_out:.2f}"
    state = "unfinished" if model.unfinished else "" if model.trained else "empty"
    item = QTreeWidgetItem([model.name, model.method, str(len(model.images)), f"{score} {state}".strip() or "-"])
    item.setSizeHint(0, QSize(0, _ROW_HEIGHT))
    _set_editable(item, editable=editable)
    says = f"held-out score {score}" if score else "no held-out score"
    ends = {"unfinished": "its training can go on", "empty": "nothing was learned yet"}.get(state)
    tip = ", ".join(part for part in (f"made {model.created[:16].replace('T', ' ')}", says, ends) if part)
    for column in range(item.columnCount()):
        item.setToolTip(column, f"{model.name}: {tip}")
    learned = [names.get(image_id, "one that is not in the project") for image_id in model.images]
    if learned:
        item.setToolTip(list(_HEADERS).index("Images"), f"{model.name} learned from " + ", ".join(learned))
    return item


def _set_editable(item: QTreeWidgetItem, *, editable: bool) -> None:
    flags = Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsEnabled
    item.setFlags(flags | Qt.ItemFlag.ItemIsEditable if editable else flags)
