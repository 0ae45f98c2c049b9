"""What the app has to say, and to ask, inside the panel: no dialogs, which hide the image that they speak of."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from qtpy.QtCore import Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QFlowLayout

from napari_weak3d.app.accents import Accent, accent, follow_theme

Kind: TypeAlias = Literal["info", "warning", "error"]
Answers: TypeAlias = Mapping[str, Callable[[], None]]

_SEVERITY: dict[Kind, int] = {"info": 0, "warning": 1, "error": 2}
_ACCENTS: dict[Kind, Accent] = {"info": Accent.SCORE, "warning": Accent.WARNING, "error": Accent.ERROR}
_MOST = 20
"""Messages that are kept; the oldest of the mildest give way."""


@dataclass(frozen=True)
class Message:
    """Something said: ``details`` is for reports (a traceback), ``field`` the setting it is about, or empty."""

    text: str
    kind: Kind = "info"
    details: str = ""
    field: str = ""


@dataclass(frozen=True)
class Question:
    """Something asked; ``answers`` maps the text of each button to what it does."""

    text: str
    answers: Answers = field(compare=False)


class MessageBar(QFrame):
    """Shows one message or question at a time, and how many more there are; hidden while there is none.

    Questions come first, in the order they were asked; then messages, errors before warnings before news, the latest
    first. News give way to later news. The same text is not shown twice.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._questions: list[Question] = []
        self._messages: list[Message] = []
        self.setObjectName("weak3d_message")
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self.text = _make_text()
        self._more = QLabel()
        self.close_button = QToolButton()
        self.close_button.setText("✕")
        self.close_button.setAutoRaise(True)
        self.close_button.clicked.connect(self.dismiss)
        self.details_button = _make_button("Details", "Show or hide what to send with a report")
        self.details_button.setCheckable(True)
        self.copy_button = _make_button("Copy", "Copy the message and its details")
        self.copy_button.clicked.connect(self._copy)
        self.details = QPlainTextEdit(readOnly=True)
        self.details.setMaximumHeight(90)
        self.details.setVisible(False)
        self.details_button.toggled.connect(self.details.setVisible)
        self._report_row, self._answer_row = QWidget(), QWidget()
        self._answers: list[QPushButton] = []
        self._lay_out()
        follow_theme(self, self._paint)
        self._show_current()

    @property
    def current(self) -> Message | Question | None:
        """What is shown."""
        if self._questions:
            return self._questions[0]
        return max(reversed(self._messages), key=lambda each: _SEVERITY[each.kind], default=None)

    @property
    def waiting(self) -> int:
        """How many messages and questions there are besides the shown one."""
        return max(len(self._questions) + len(self._messages) - 1, 0)

    @property
    def answer_buttons(self) -> tuple[QPushButton, ...]:
        """The buttons of the shown question."""
        return tuple(self._answers)

    def say(self, text: str, *, kind: Kind = "info", details: str = "", field: str = "") -> None:
        """Show a message, unless a question or a worse one is there: then it follows."""
        message = Message(text, kind, details, field)
        gives_way = {text} if kind != "info" else {text, *(each.text for each in self._messages if each.kind == kind)}
        self._messages = [each for each in self._messages if each.text not in gives_way] + [message]
        if len(self._messages) > _MOST:
            self._messages.remove(min(self._messages, key=lambda each: _SEVERITY[each.kind]))
        self._show_current()

    def ask(self, text: str, answers: Answers) -> None:
        """Ask; the chosen answer's function is called after the question is gone. Asking the same again replaces it."""
        question = Question(text, dict(answers))
        if question in self._questions:
            self._questions[self._questions.index(question)] = question
        else:
            self._questions.append(question)
        self._show_current()

    def dismiss(self) -> None:
        """Close what is shown; a question stays without an answer."""
        shown = self.current
        if isinstance(shown, Question):
            self._questions.remove(shown)
        elif shown is not None:
            self._messages.remove(shown)
        self._show_current()

    def withdraw(self, texts: Collection[str]) -> None:
        """Drop messages and questions of these texts: they are not true any more."""
        self._questions = [each for each in self._questions if each.text not in texts]
        self._messages = [each for each in self._messages if each.text not in texts]
        self._show_current()

    def clear_messages(self) -> None:
        """Drop all messages; questions stay until they are answered or closed."""
        self._messages = []
        self._show_current()

    def _lay_out(self) -> None:
        top = QHBoxLayout()
        top.addWidget(self.text, 1)
        side = QVBoxLayout()
        side.addWidget(self.close_button, 0, Qt.AlignmentFlag.AlignRight)
        side.addWidget(self._more, 0, Qt.AlignmentFlag.AlignRight)
        side.addStretch()
        top.addLayout(side)
        report = QHBoxLayout(self._report_row)
        report.setContentsMargins(0, 0, 0, 0)
        report.addWidget(self.details_button)
        report.addWidget(self.copy_button)
        report.addStretch()
        QFlowLayout(self._answer_row).setContentsMargins(0, 0, 0, 0)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 3, 3, 3)
        layout.setSpacing(3)
        layout.addLayout(top)
        for row in (self._answer_row, self._report_row, self.details):
            layout.addWidget(row)

    def _show_current(self) -> None:
        shown = self.current
        self.setVisible(shown is not None)
        if shown is None:
            return
        self.text.setText(shown.text)
        self._more.setText(f"+{self.waiting}" if self.waiting else "")
        self._more.setToolTip(f"{self.waiting} more to come" if self.waiting else "")
        details = shown.details if isinstance(shown, Message) else ""
        self.details.setPlainText(details)
        self.details_button.setChecked(False)
        self.details_button.setVisible(bool(details))
        self._show_answers(shown.answers if isinstance(shown, Question) else {})
        self._report_row.setVisible(isinstance(shown, Message) and (shown.kind == "error" or bool(details)))
        self.close_button.setToolTip("Close without an answer" if isinstance(shown, Question) else "Close this message")
        self._paint()

    def _show_answers(self, answers: Answers) -> None:
        flow = self._answer_row.layout()
        for button in self._answers:
            flow.removeWidget(button)
            button.hide()
            button.deleteLater()
        self._answers = []
        for text in answers:
            button = _make_button(text, f"Answer: {text}")
            button.clicked.connect(lambda _=False, chosen=text: self._answer(chosen))
            flow.addWidget(button)
            self._answers.append(button)
        self._answer_row.setVisible(bool(answers))

    def _answer(self, chosen: str) -> None:
        question = self._questions.pop(0)
        # Before the call: it may ask the next question.
        self._show_current()
        question.answers[chosen]()

    def _copy(self) -> None:
        shown = self.current
        if isinstance(shown, Message):
            text = f"{shown.text}\n\n{shown.details}" if shown.details else shown.text
            QGuiApplication.clipboard().setText(text)

    def _paint(self) -> None:
        kind = shown.kind if isinstance(shown := self.current, Message) else "info"
        colour = accent(self.palette(), _ACCENTS[kind]).name()
        style = f"#weak3d_message {{ border: 0px; border-left: 3px solid {colour}; }}"
        if style != self.styleSheet():
            self.setStyleSheet(style)


def _make_text() -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)  # a file's name may hold a "<"
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    # A long path without spaces must not widen the dock.
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    return label


def _make_button(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    return button
