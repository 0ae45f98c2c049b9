import pytest
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QAbstractButton

from napari_weak3d.app.jobs import JobState
from napari_weak3d.app.progress_line import progress_text, time_words
from napari_weak3d.app.train_panel import TrainPanel
from napari_weak3d.errors import Weak3DError
from napari_weak3d.messages import Advanced, DeviceInfo, Hello
from napari_weak3d.methods.slices.config import SlicesConfig

pytestmark = pytest.mark.window

SIGNALS = ("train", "stop", "kill", "pause", "resume")


@pytest.fixture
def panel(qtbot):
    panel = TrainPanel()
    qtbot.addWidget(panel)
    panel.set_method("slices")
    panel.resize(380, 300)
    panel.show()
    return panel


@pytest.fixture
def heard(panel):
    """The panel's requests in the order they came."""
    names = []
    for name in SIGNALS:
        getattr(panel, f"{name}_requested").connect(lambda name=name: names.append(name))
    return names


def visible_buttons(panel: TrainPanel) -> dict[str, bool]:
    """The buttons of the top row that are there, and whether they can be pressed."""
    names = ("train", "pause", "resume", "stop", "kill")
    buttons = {name: getattr(panel.buttons, name) for name in names}
    return {name: button.isEnabled() for name, button in buttons.items() if button.isVisible()}


def press(qtbot, panel: TrainPanel, name: str) -> None:
    qtbot.mouseClick(getattr(panel.buttons, name), Qt.MouseButton.LeftButton)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (JobState.IDLE, {"train": True}),
        (JobState.STARTING, {"pause": False, "stop": True}),
        (JobState.RUNNING, {"pause": True, "stop": True}),
        (JobState.PAUSED, {"resume": True, "stop": True}),
        (JobState.STOPPING, {"pause": False, "stop": False}),
    ],
)
def test_each_state_has_its_buttons(panel, state, expected):
    panel.set_state(state)
    assert visible_buttons(panel) == expected


def test_a_job_that_cannot_pause_has_stop_only(panel):
    panel.set_state(JobState.RUNNING, can_pause=False)
    assert visible_buttons(panel) == {"stop": True}


def test_each_button_asks_for_one_thing_in_the_order_pressed(panel, heard, qtbot):
    press(qtbot, panel, "train")
    for state in (JobState.STARTING, JobState.RUNNING):
        panel.set_state(state)
    press(qtbot, panel, "pause")
    panel.set_state(JobState.PAUSED)
    press(qtbot, panel, "resume")
    panel.set_state(JobState.RUNNING)
    press(qtbot, panel, "stop")
    panel.set_state(JobState.STOPPING)
    panel.set_state(JobState.IDLE)
    assert heard == ["train", "pause", "resume", "stop"]


def test_setting_states_asks_for_nothing(panel, heard):
    for state in JobState:
        panel.set_state(state)
    assert heard == []


def test_stop_answers_at_once_and_is_heard_once(panel, heard, qtbot):
    panel.set_state(JobState.RUNNING)
    press(qtbot, panel, "stop")
    assert visible_buttons(panel) == {"pause": False, "stop": False}
    assert panel.buttons.stop.text() == "Stopping..."
    press(qtbot, panel, "stop")
    assert heard == ["stop"]


def test_a_stop_that_takes_long_says_what_it_waits_for_and_offers_to_stop_at_once(panel, heard, qtbot):
    panel.buttons.set_patience(1)
    panel.set_state(JobState.RUNNING)
    panel.show_progress(Advanced("a", 12, 400, "scoring the held-out slices"))
    press(qtbot, panel, "stop")
    panel.set_state(JobState.STOPPING)
    qtbot.waitUntil(lambda: "kill" in visible_buttons(panel))
    assert panel.buttons.waiting.text() == "Waiting for: scoring the held-out slices."
    assert panel.buttons.kill.text() == "Stop at once, keep the last checkpoint"
    press(qtbot, panel, "kill")
    press(qtbot, panel, "kill")
    assert heard == ["stop", "kill"]
    panel.set_state(JobState.IDLE)
    assert visible_buttons(panel) == {"train": True}
    assert panel.buttons.waiting.isHidden()


def test_stop_at_once_speaks_of_a_checkpoint_only_where_there_is_one(panel, qtbot):
    panel.buttons.set_patience(1)
    panel.set_state(JobState.STOPPING, can_pause=False)
    qtbot.waitUntil(lambda: "kill" in visible_buttons(panel))
    assert panel.buttons.kill.text() == "Stop at once"


def test_patience_begins_anew_with_each_stop(panel, qtbot):
    panel.buttons.set_patience(1)
    panel.set_state(JobState.STOPPING)
    qtbot.waitUntil(lambda: "kill" in visible_buttons(panel))
    panel.set_state(JobState.IDLE)
    panel.set_state(JobState.STOPPING)
    assert "kill" not in visible_buttons(panel)
    qtbot.waitUntil(lambda: visible_buttons(panel).get("kill", False))


def test_an_end_in_time_offers_nothing(panel, qtbot):
    panel.buttons.set_patience(5)
    panel.set_state(JobState.STOPPING)
    panel.set_state(JobState.IDLE)
    later = QTimer(singleShot=True, interval=10)
    with qtbot.waitSignal(later.timeout):
        later.start()
    assert visible_buttons(panel) == {"train": True}


def test_progress_shows_step_total_and_time_left(panel):
    panel.set_state(JobState.RUNNING)
    panel.show_progress(Advanced("a", 12, 400, "training", {"loss": 0.5}, 130.2))
    assert (panel.progress.bar.value(), panel.progress.bar.maximum()) == (12, 400)
    assert panel.progress.bar.text() == "step 12 of 400, 2 min 10 s left"
    assert panel.progress.message.text() == "Training"
    assert panel.curves.points["loss"][1].tolist() == [0.5]


def test_progress_of_unknown_total_says_the_step_and_stands_still(panel):
    panel.show_progress(Advanced("a", 12, 0))
    assert panel.progress.bar.value() == 0
    assert panel.progress.bar.maximum() > 0, "Qt moves a bar without a maximum, and draws the window each time"
    assert panel.progress.bar.text() == "step 12"


def test_more_steps_than_expected_fill_the_bar(panel):
    panel.show_progress(Advanced("a", 410, 400))
    assert panel.progress.bar.value() == 400


def test_no_bar_is_left_when_idle(panel):
    panel.set_state(JobState.STARTING)
    assert panel.progress.isVisible()
    panel.show_progress(Advanced("a", 12, 400))
    panel.set_state(JobState.IDLE)
    assert not panel.progress.isVisible()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (-1, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (130, "2 min 10 s"),
        (599.6, "10 min"),
        (754, "13 min"),
        (3599, "1 h"),
        (3900, "1 h 5 min"),
    ],
)
def test_time_is_said_in_words(seconds, text):
    assert time_words(seconds) == text


def test_what_is_not_known_is_not_said():
    assert progress_text(Advanced("a", 3, 0)) == "step 3"


def test_curves_unfold_with_the_first_job(panel):
    assert not panel.curves.isVisible()
    panel.set_state(JobState.STARTING)
    assert panel.curves.isVisible()
    panel.set_state(JobState.IDLE)
    assert panel.curves.isVisible()


def test_curves_that_the_user_folded_stay_folded(panel):
    panel.set_state(JobState.RUNNING)
    panel.curves_button.click()
    panel.set_state(JobState.IDLE)
    panel.set_state(JobState.RUNNING)
    assert not panel.curves.isVisible()


def test_settings_are_empty_until_something_is_changed(panel):
    assert panel.settings() == {}


def test_minutes_are_a_setting(panel):
    panel.minutes.setValue(12.5)
    assert panel.settings() == {"minutes": 12.5}


def test_settings_go_in_and_come_out(panel):
    settings = {"minutes": 2.0, "width": 8, "network": "paper"}
    panel.set_settings(settings)
    assert panel.settings() == settings
    panel.set_settings({})
    assert panel.settings() == {}


def test_the_device_is_not_the_panels(panel):
    panel.set_settings({"device": "cpu"})
    assert panel.settings() == {}
    assert "device" not in panel.form.names
    assert "minutes" not in panel.form.names


def test_unfolding_shows_the_settings_of_the_method(panel):
    panel.settings_box.toggleButton().click()
    expected = [name for name in SlicesConfig.model_fields if name not in ("minutes", "device")]
    assert list(panel.form.names) == expected
    assert panel.form.isVisible()


def test_a_method_that_is_not_there_is_an_error(panel):
    with pytest.raises(Weak3DError, match="cubes"):
        panel.set_method("cubes")


def test_train_with_a_setting_in_error_asks_for_nothing_and_shows_it(panel, heard, qtbot):
    panel.form.widget("width").setValue(17)
    press(qtbot, panel, "train")
    assert heard == []
    assert panel.settings_box.isExpanded()
    assert panel.messages.current.kind == "error"
    panel.set_settings({"width": 8})
    press(qtbot, panel, "train")
    assert heard == ["train"]
    assert panel.messages.current is None


def test_an_error_about_a_setting_shows_at_its_field_too(panel):
    panel.say("too large for the memory of this GPU", kind="error", field="patch")
    assert panel.form.errors == {"patch": "too large for the memory of this GPU"}
    assert panel.settings_box.isExpanded()


def test_what_the_engine_refused_does_not_keep_from_another_try(panel, heard, qtbot):
    panel.say("too large for the memory of this GPU", kind="error", field="patch")
    press(qtbot, panel, "train")
    assert heard == ["train"]
    assert panel.form.errors == {}


def test_an_error_about_something_else_leaves_the_form_alone(panel):
    panel.say("no paint in z 3", kind="error", field="image layer")
    assert panel.messages.text.text() == "no paint in z 3"
    assert not panel.settings_box.isExpanded()


def test_questions_are_asked_inside_the_panel(panel, qtbot):
    answers = []
    panel.ask("z 3 is not complete", {"It is": lambda: answers.append("is"), "Voxels": lambda: answers.append("v")})
    assert panel.messages.isVisible()
    qtbot.mouseClick(panel.messages.answer_buttons[0], Qt.MouseButton.LeftButton)
    assert answers == ["is"]
    assert not panel.messages.isVisible()


def test_train_sweeps_away_what_was_said_before_it_asks(panel, qtbot):
    panel.train_requested.connect(lambda: panel.say("new"))
    panel.say("old", kind="error")
    press(qtbot, panel, "train")
    assert panel.messages.current.text == "new"
    assert panel.messages.waiting == 0


def test_the_device_line_waits_for_the_process(panel):
    panel.show_device(None)
    assert panel.device.text.text() == "Starting..."
    panel.show_device(Hello("1.0", "2.13.0+cu130", (DeviceInfo("cuda", "NVIDIA H200", 139 * 2**30),)))
    assert panel.device.text.text() == "Runs on: NVIDIA H200 (139 GB)"


def test_an_idle_card_gives_a_command_to_copy(panel, monkeypatch, qapp):
    monkeypatch.setattr("napari_weak3d.app.device_line.find_nvidia", lambda: True)
    panel.show_device(Hello("1.0", "2.13.0+cpu", (DeviceInfo("cpu", "x86_64"),)))
    assert panel.device.warning.isVisible()
    panel.device.copy_button.click()
    assert qapp.clipboard().text() == panel.device.command.text() != ""


def test_keys_are_named_in_the_tooltips(panel):
    panel.name_keys({"train": "Ctrl+Alt+T"})
    assert panel.buttons.train.toolTip().endswith("(Ctrl+Alt+T)")
    assert "(" not in panel.buttons.stop.toolTip()


def test_every_button_with_a_text_has_a_tooltip(panel):
    panel.settings_box.expand(animate=False)
    panel.ask("sure?", {"yes": lambda: None})
    buttons = [button for button in panel.findChildren(QAbstractButton) if button.text()]
    assert len(buttons) > 10
    assert [button.text() for button in buttons if not button.toolTip()] == []


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_the_panel_fits_its_place_while_training(panel, qtbot, theme):
    from napari.qt import get_stylesheet

    panel.setStyleSheet(get_stylesheet(theme))
    panel.set_state(JobState.RUNNING)
    panel.show_device(Hello("1.0", "2.13.0", (DeviceInfo("mps", "Apple GPU"),)))
    panel.show_progress(Advanced("a", 12, 400, "training", {"loss": 0.5, "held_out_iou": 0.5}, 130.2))
    qtbot.waitUntil(lambda: not panel.curves.empty.isVisible())
    panel.adjustSize()
    assert panel.minimumSizeHint().width() <= 380
    assert panel.sizeHint().height() < 260
