"""A form of a method's settings, made from its config class: a new method gets one without a line of code."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from enum import Enum
from typing import Any

from magicgui.widgets import Widget, create_widget
from pydantic.fields import FieldInfo
from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QComboBox,
    QDoubleSpinBox,
    QGridLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QWidget,
)

from napari_weak3d.app.accents import Accent, accent, follow_theme
from napari_weak3d.config import Config
from napari_weak3d.errors import ConfigError

_LARGEST_INT = 2**31 - 1  # of Qt's spin box
_LARGEST_FLOAT = 1e9
_DECIMALS = 6


class ConfigForm(QWidget):
    """One row per field of a config class: title, widget, and below it what is wrong with the value.

    The config class itself checks each value, as it does for the command line.

    Parameters
    ----------
    config_class
        Any config; its fields are bool, int, float, enum, text or fixed tuples.
    leave_out
        Names of fields that are set elsewhere.
    """

    changed = Signal()
    """A value was changed, by the user or by a setter."""

    def __init__(
        self, config_class: type[Config], *, leave_out: Collection[str] = (), parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._config_class = config_class
        self._settings: dict[str, Any] = {}
        self._wrong: dict[str, str] = {}
        self._told: dict[str, tuple[str, Any]] = {}
        self._rows = {
            name: _Row(name, info) for name, info in config_class.model_fields.items() if name not in leave_out
        }
        self.reset_button = QPushButton("Reset to defaults")
        self.reset_button.setToolTip("Set everything here back to what the method comes with")
        self.reset_button.clicked.connect(self.reset)
        self._general = _make_note()
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setVerticalSpacing(2)
        layout.setColumnStretch(1, 1)
        for place, row in enumerate(self._rows.values()):
            layout.addWidget(row.label, 2 * place, 0)
            layout.addWidget(row.field, 2 * place, 1)
            layout.addWidget(row.note, 2 * place + 1, 0, 1, 2)
            row.widget.changed.connect(self._check)
        layout.addWidget(self._general, 2 * len(self._rows), 0, 1, 2)
        layout.addWidget(self.reset_button, 2 * len(self._rows) + 1, 0, 1, 2)
        follow_theme(self, self._paint)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the fields, from top to bottom."""
        return tuple(self._rows)

    @property
    def is_valid(self) -> bool:
        """Whether the config class takes the values that are shown; errors told from elsewhere do not count."""
        return not self._wrong

    @property
    def errors(self) -> dict[str, str]:
        """What is wrong, by field; under "" what is wrong between fields."""
        return {name: text for name, (text, _) in self._told.items()} | self._wrong

    def widget(self, name: str) -> QWidget:
        """Return the Qt widget of a field."""
        return self._rows[name].field

    def settings(self) -> dict[str, Any]:
        """Return the settings that differ from the defaults, as JSON can hold them; refused values are left out."""
        return dict(self._settings)

    def set_settings(self, settings: Mapping[str, Any]) -> None:
        """Show these settings, and the defaults for all others; names that the form has no row for are passed over.

        A value that its widget cannot show (of a wrong type, or out of bounds) is shown as an error at its field.
        """
        refused = {}
        for name, row in self._rows.items():
            try:
                row.set(self._checked(name, settings[name]) if name in settings else row.default)
            except ConfigError as error:
                row.set(row.default)
                refused[name] = error.message
        self._check()
        for name, text in refused.items():
            self.show_error(name, text)

    def reset(self) -> None:
        """Go back to the defaults."""
        self.set_settings({})

    def show_error(self, name: str, text: str) -> None:
        """Show at a field an error found elsewhere, until its value changes or :meth:`forget_errors`."""
        self._told[name] = (text, self._rows[name].shown)
        self._paint()

    def forget_errors(self) -> None:
        """Drop the errors that came from elsewhere."""
        self._told = {}
        self._paint()

    def _checked(self, name: str, value: Any) -> Any:
        return getattr(self._config_class.from_settings({name: value}), name)

    def _check(self) -> None:
        """Ask the config class about each value by itself, so that all errors show, then about all together."""
        shown = {name: row.shown for name, row in self._rows.items() if row.shown != row.shown_default}
        alone = {name: self._error_of({name: value}) for name, value in shown.items()}
        self._wrong = {name: errors[name] for name, errors in alone.items() if name in errors}
        taken = {name: value for name, value in shown.items() if name not in self._wrong}
        together = self._error_of(taken)
        self._wrong |= together
        self._settings = self._plain({name: value for name, value in taken.items() if name not in together})
        self._told = {name: told for name, told in self._told.items() if told[1] == self._rows[name].shown}
        self._paint()
        self.changed.emit()

    def _error_of(self, settings: Mapping[str, Any]) -> dict[str, str]:
        try:
            self._config_class.from_settings(settings)
        except ConfigError as error:
            # "patch.0", of a tuple, belongs to the field "patch"; what is wrong between fields belongs to none.
            name = error.where.partition(".")[0]
            return {name if name in self._rows else "": error.message}
        return {}

    def _plain(self, shown: Mapping[str, Any]) -> dict[str, Any]:
        """Turn what widgets show into JSON's values, without those that are the default written another way."""
        try:
            config = self._config_class.from_settings(shown)
        except ConfigError:  # wrong together: as it is shown, for whoever says so
            return dict(shown)
        values = config.model_dump(mode="json")
        return {name: values[name] for name in shown if getattr(config, name) != self._rows[name].default}

    def _paint(self) -> None:
        colour, errors = accent(self.palette(), Accent.ERROR).name(), self.errors
        for name, row in self._rows.items():
            row.paint(errors.get(name, ""), colour=colour)
        _paint_note(self._general, errors.get("", ""), colour=colour)


class _Row:
    """The widgets of one field."""

    def __init__(self, name: str, info: FieldInfo) -> None:
        self.default = info.default
        self.widget = _make_widget(name, info)
        self.field: QWidget = self.widget.native
        if isinstance(self.field, QDoubleSpinBox):
            self.field.setDecimals(_decimals(self.field.singleStep()))
        self.field.installEventFilter(_WheelGuard(self.field))
        self.field.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.field.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.label = QLabel(info.title or name)
        self.note = _make_note()
        tip = _tooltip(name, info)
        for each in (self.label, self.field):
            each.setToolTip(tip)
        self.label.setBuddy(self.field)
        self.shown_default = self.shown

    @property
    def shown(self) -> Any:
        """The value as the widget gives it; a tuple is text."""
        return self.widget.value

    def set(self, value: Any) -> None:
        with self.widget.changed.blocked():
            self.widget.value = _as_text(value) if isinstance(value, tuple) else value

    def paint(self, error: str, *, colour: str) -> None:
        _paint_note(self.note, error, colour=colour)
        kind = type(self.field).__name__
        _set_style(self.field, f"{kind} {{ border: 1px solid {colour}; }}" if error else "")


class _WheelGuard(QObject):
    """Keeps the wheel, which scrolls the form, from changing values on the way."""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        guarded = isinstance(watched, QAbstractSpinBox | QComboBox)
        if event.type() == QEvent.Type.Wheel and guarded and not watched.hasFocus():
            event.ignore()
            return True
        return False


def _make_widget(name: str, info: FieldInfo) -> Widget:
    default = info.default
    if isinstance(default, tuple):
        return create_widget(value=_as_text(default), annotation=str, name=name)
    if isinstance(default, bool):
        widget = create_widget(value=default, annotation=bool, name=name)
        widget.native.setText("")  # the title stands on the left
        return widget
    if isinstance(default, Enum):
        choices = [(str(member.value), member) for member in type(default)]
        return create_widget(value=default, widget_type="ComboBox", name=name, options={"choices": choices})
    if isinstance(default, int | float):
        return create_widget(value=default, annotation=type(default), name=name, options=_bounds(info))
    return create_widget(value=str(default), annotation=str, name=name)


def _bounds(info: FieldInfo) -> dict[str, Any]:
    """Min, max and step of a spin box; a float that may not be its bound is refused by the config class."""
    whole = isinstance(info.default, int)
    largest = _LARGEST_INT if whole else _LARGEST_FLOAT
    step = _bound(info, "multiple_of") or (1 if whole else _step(info.default))
    edge = 1 if whole else 0
    low, above = _bound(info, "ge"), _bound(info, "gt")
    high, below = _bound(info, "le"), _bound(info, "lt")
    least = low if low is not None else -largest if above is None else above + edge
    most = high if high is not None else largest if below is None else below - edge
    return {"min": max(least, -largest), "max": min(most, largest), "step": step}


def _bound(info: FieldInfo, name: str) -> Any:
    return next((getattr(each, name) for each in info.metadata if getattr(each, name, None) is not None), None)


def _step(value: float) -> float:
    """A tenth of the value, as a power of ten: 0.25 -> 0.01, 0.003 -> 0.0001, 5 -> 0.1, 0 -> 0.1."""
    return 10.0 ** max(math.floor(math.log10(abs(value))) - 1, 1 - _DECIMALS) if value else 0.1


def _decimals(step: float) -> int:
    """One digit more than the step has."""
    return min(max(1 - math.floor(math.log10(step)), 2), _DECIMALS)


def _tooltip(name: str, info: FieldInfo) -> str:
    """Description, bounds, default, and the name on the command line."""
    words = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than", "multiple_of": "a multiple of"}
    bounds = [f"{word} {_bound(info, key):g}" for key, word in words.items() if _bound(info, key) is not None]
    default = info.default
    shown = default.value if isinstance(default, Enum) else _as_text(default) if isinstance(default, tuple) else default
    lines = [info.description or "", ", ".join(bounds), f"Default: {shown}. Name: {name}"]
    return "\n".join(line[:1].upper() + line[1:] for line in lines if line)


def _as_text(values: tuple[Any, ...]) -> str:
    return ", ".join(str(value) for value in values)


def _make_note() -> QLabel:
    note = QLabel()
    note.setWordWrap(True)
    note.setTextFormat(Qt.TextFormat.PlainText)
    note.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    note.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    note.hide()
    return note


def _paint_note(note: QLabel, text: str, *, colour: str) -> None:
    note.setText(text)
    note.setVisible(bool(text))
    _set_style(note, f"color: {colour};")


def _set_style(widget: QWidget, style: str) -> None:
    if widget.styleSheet() != style:
        widget.setStyleSheet(style)
