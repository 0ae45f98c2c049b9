import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QGuiApplication

from napari_weak3d.app.message_bar import Message, MessageBar

pytestmark = pytest.mark.window


@pytest.fixture
def bar(qtbot):
    bar = MessageBar()
    qtbot.addWidget(bar)
    return bar


def texts_until_empty(bar: MessageBar) -> list[str]:
    """What is shown, one after the other, when each is closed."""
    shown = []
    while bar.current is not None:
        shown.append(bar.current.text)
        bar.close_button.click()
    return shown


def nothing() -> None: ...


def test_nothing_said_takes_no_room(bar):
    assert bar.isHidden()


def test_what_is_said_is_shown_and_closed_away(bar):
    bar.say("Saved.")
    assert not bar.isHidden()
    assert bar.text.text() == "Saved."
    bar.close_button.click()
    assert bar.isHidden()


def test_the_same_text_does_not_stack(bar):
    for _ in range(5):
        bar.say("The disk is full.", kind="error")
    assert bar.waiting == 0
    assert texts_until_empty(bar) == ["The disk is full."]


def test_news_give_way_to_later_news(bar):
    bar.say("first")
    bar.say("second")
    assert texts_until_empty(bar) == ["second"]


def test_errors_stand_before_warnings_before_news_and_the_latest_before_earlier(bar):
    for text, kind in {"e1": "error", "w1": "warning", "news": "info", "e2": "error", "w2": "warning"}.items():
        bar.say(text, kind=kind)
    assert bar.waiting == 4
    assert texts_until_empty(bar) == ["e2", "e1", "w2", "w1", "news"]


def test_many_errors_do_not_pile_up_for_ever(bar):
    for n in range(50):
        bar.say(f"error {n}", kind="error")
    assert texts_until_empty(bar) == [f"error {n}" for n in range(49, 29, -1)]


def test_questions_queue_in_the_order_asked_and_stand_before_errors(bar):
    bar.say("broken", kind="error")
    bar.ask("first?", {"yes": nothing})
    bar.ask("second?", {"yes": nothing})
    assert bar.waiting == 2
    assert texts_until_empty(bar) == ["first?", "second?", "broken"]


def test_an_answer_calls_its_function_once_after_the_question_is_gone(bar, qtbot):
    heard = []
    bar.ask(
        "z 3 and 10 are painted but not complete",
        {
            "They are complete": lambda: heard.append(("complete", bar.current)),
            "Only the painted voxels count": lambda: heard.append(("voxels", bar.current)),
        },
    )
    bar.show()
    assert [button.text() for button in bar.answer_buttons] == ["They are complete", "Only the painted voxels count"]
    qtbot.mouseClick(bar.answer_buttons[1], Qt.MouseButton.LeftButton)
    assert heard == [("voxels", None)]
    assert bar.isHidden()


def test_an_answer_may_ask_the_next_question(bar):
    bar.ask("first?", {"go on": lambda: bar.ask("second?", {"yes": nothing})})
    bar.answer_buttons[0].click()
    assert bar.text.text() == "second?"
    assert [button.text() for button in bar.answer_buttons] == ["yes"]


def test_asking_the_same_again_replaces_its_answers(bar):
    heard = []
    bar.ask("sure?", {"yes": lambda: heard.append("old")})
    bar.ask("sure?", {"yes": lambda: heard.append("new")})
    assert bar.waiting == 0
    bar.answer_buttons[0].click()
    assert heard == ["new"]


def test_clearing_messages_keeps_questions(bar):
    bar.say("broken", kind="error")
    bar.ask("sure?", {"yes": nothing})
    bar.clear_messages()
    assert texts_until_empty(bar) == ["sure?"]


def test_details_are_folded_and_copied_with_the_text(bar):
    bar.say("Something unexpected went wrong.", kind="error", details="Traceback\n  line 3")
    bar.show()
    assert bar.details.isHidden()
    bar.details_button.click()
    assert bar.details.toPlainText() == "Traceback\n  line 3"
    assert not bar.details.isHidden()
    bar.copy_button.click()
    assert QGuiApplication.clipboard().text() == "Something unexpected went wrong.\n\nTraceback\n  line 3"


def test_text_is_shown_as_it_is_and_can_be_selected(bar):
    bar.say("a<b>.tif is not an image")
    assert bar.text.textFormat() == Qt.TextFormat.PlainText
    assert bar.text.textInteractionFlags() & Qt.TextInteractionFlag.TextSelectableByMouse


def test_a_long_path_does_not_widen_the_bar(bar):
    bar.say("x" * 2000)
    assert bar.minimumSizeHint().width() < 380


def test_what_is_said_keeps_its_field(bar):
    bar.say("too small", kind="error", field="patch")
    assert bar.current == Message("too small", "error", "", "patch")


def test_every_button_has_a_tooltip(bar):
    bar.ask("sure?", {"yes": nothing})
    for button in (bar.close_button, bar.details_button, bar.copy_button, *bar.answer_buttons):
        assert button.toolTip()
