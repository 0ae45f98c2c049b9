"""The list of models: what it says of each, and what its buttons ask for."""

from dataclasses import replace

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLineEdit

from napari_weak3d.app.models_panel import ModelsPanel
from napari_weak3d.io.project import ModelEntry

pytestmark = pytest.mark.window

GOOD = ModelEntry("aaaa", "nuclei", "slices", ("i1", "i2"), "2026-01-02T03:04:05+00:00", 0.823, trained=True)
HALF = ModelEntry("bbbb", "vessels", "slices", ("i1",), "2026-01-03T03:04:05+00:00", trained=True, unfinished=True)
NONE = ModelEntry("cccc", "new", "slices", ())


@pytest.fixture
def panel(qtbot):
    panel = ModelsPanel()
    qtbot.addWidget(panel)
    panel.resize(366, 300)
    with qtbot.waitExposed(panel):
        panel.show()
    return panel


@pytest.fixture
def heard(panel):
    calls = []
    for name in ("apply", "train_on", "rename", "export", "import", "remove"):
        getattr(panel, f"{name}_requested").connect(lambda *values, name=name: calls.append((name, *values)))
    return calls


def rows(panel):
    items = [panel.list.topLevelItem(row) for row in range(panel.list.topLevelItemCount())]
    return [[item.text(column) for column in range(item.columnCount())] for item in items]


def press(qtbot, button):
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def choose(panel, row):
    panel.list.setCurrentItem(panel.list.topLevelItem(row))


def rename(qtbot, panel, name):
    """Type a name into the selected row, as F2 opens it."""
    item = panel.list.currentItem()
    qtbot.keyClick(panel.list, Qt.Key.Key_F2)
    editor = panel.list.findChild(QLineEdit)
    editor.selectAll()
    if name:
        qtbot.keyClicks(editor, name)
    else:
        qtbot.keyClick(editor, Qt.Key.Key_Delete)
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: panel.list.findChild(QLineEdit) is None)  # Qt writes the text back in an event of its own
    return item


def menu_action(button, text):
    return next(action for action in button.menu().actions() if action.text() == text)


def test_a_row_says_name_method_images_and_held_out_score(panel):
    panel.show_models([GOOD, HALF, NONE])
    assert rows(panel) == [
        ["nuclei", "slices", "2", "0.82"],
        ["vessels", "slices", "1", "unfinished"],
        ["new", "slices", "0", "empty"],
    ]
    assert panel.list.topLevelItem(0).toolTip(0) == "nuclei: made 2026-01-02 03:04, held-out score 0.82"


def test_without_models_the_panel_says_where_they_come_from_and_can_import(panel, heard, qtbot):
    assert (panel.empty.isVisible(), panel.list.isVisible(), panel.selected()) == (True, False, None)
    assert not any(button.isEnabled() for button in (panel.apply, panel.train_on, panel.more))
    press(qtbot, panel.import_)
    assert heard == [("import",)]


def test_clicks_and_boxes_are_used_unless_that_is_unticked(panel, heard):
    panel.show_models([replace(GOOD, method="centroids")])
    assert panel.uses_known
    menu_action(panel.apply, "Use its clicks or boxes").trigger()
    assert (panel.uses_known, heard) == (False, [])


@pytest.mark.parametrize(
    ("method", "offered"), [("slices", (False, False)), ("centroids", (True, True)), ("boxes", (True, False))]
)
def test_apply_offers_what_the_method_knows_of(panel, method, offered):
    panel.show_models([replace(GOOD, method=method)])
    assert (panel.use_known.isVisible(), panel.with_responses.isVisible()) == offered


@pytest.mark.parametrize("scope", ["image", "times", "project", "folder"])
def test_apply_names_the_selected_model_and_the_scope(panel, heard, scope):
    panel.show_models([GOOD, HALF])
    choose(panel, 1)
    panel.apply.menu().actions()[["image", "times", "project", "folder"].index(scope)].trigger()
    assert heard == [("apply", "bbbb", scope)]


def test_train_on_and_export_name_the_selected_model(panel, heard, qtbot):
    panel.show_models([GOOD, HALF])
    press(qtbot, panel.train_on)
    menu_action(panel.more, "Export...").trigger()
    assert heard == [("train_on", "aaaa"), ("export", "aaaa")]


def test_a_model_is_renamed_in_its_row(panel, heard, qtbot):
    panel.show_models([GOOD, HALF])
    rename(qtbot, panel, " cells ")
    assert heard == [("rename", "aaaa", "cells")]


@pytest.mark.parametrize("name", ["", "  ", "nuclei"])
def test_no_name_or_the_same_renames_nothing(panel, heard, qtbot, name):
    panel.show_models([GOOD])
    item = rename(qtbot, panel, name)
    assert (heard, item.text(0)) == ([], "nuclei")


def test_remove_asks_inside_the_panel(panel, heard, qtbot):
    panel.show_models([GOOD, HALF])
    menu_action(panel.more, "Remove").trigger()
    assert panel.question.isVisible()
    assert "nuclei" in panel.question.text.text()
    assert heard == []
    press(qtbot, panel.question.no)
    assert (panel.question.isVisible(), heard) == (False, [])
    menu_action(panel.more, "Remove").trigger()
    press(qtbot, panel.question.yes)
    assert (panel.question.isVisible(), heard) == (False, [("remove", "aaaa")])


def test_the_question_goes_when_another_model_is_selected(panel):
    panel.show_models([GOOD, HALF])
    menu_action(panel.more, "Remove").trigger()
    choose(panel, 1)
    assert not panel.question.isVisible()


def test_the_selected_model_stays_selected_when_the_list_changes(panel, heard):
    panel.show_models([GOOD, HALF])
    choose(panel, 1)
    panel.show_models([NONE, HALF, GOOD])
    assert panel.selected() == "bbbb"
    panel.show_models([NONE, GOOD])
    assert panel.selected() == "cccc"
    assert heard == []


def test_the_same_list_again_leaves_an_open_editor_alone(panel, heard, qtbot):
    panel.show_models([GOOD])
    panel.list.editItem(panel.list.currentItem(), 0)
    panel.show_models([GOOD])
    assert panel.list.findChild(QLineEdit) is not None


def test_a_name_that_was_refused_is_put_back_by_the_old_list(panel, qtbot):
    panel.show_models([GOOD])
    rename(qtbot, panel, "cells")
    panel.show_models([GOOD])
    assert rows(panel)[0][0] == "nuclei"


def test_a_model_without_weights_can_only_be_renamed_and_removed(panel):
    panel.show_models([NONE])
    names = ("Export...", "Rename", "Remove")
    assert [menu_action(panel.more, name).isEnabled() for name in names] == [False, True, True]
    assert (panel.apply.isEnabled(), panel.train_on.isEnabled()) == (False, False)


def test_a_row_says_which_images_its_model_learned_from(panel):
    panel.show_models([GOOD, NONE], image_names={"i1": "ovule"})
    assert panel.list.topLevelItem(0).toolTip(2) == "nuclei learned from ovule, one that is not in the project"
    assert "learned from" not in panel.list.topLevelItem(1).toolTip(2)
    panel.show_models([GOOD, NONE], image_names={"i1": "ovule", "i2": "embryo"})
    assert panel.list.topLevelItem(0).toolTip(2) == "nuclei learned from ovule, embryo"


def test_a_running_job_locks_what_needs_the_child_process(panel):
    panel.show_models([GOOD])
    panel.set_busy(True)
    remove, export = menu_action(panel.more, "Remove"), menu_action(panel.more, "Export...")
    assert (panel.apply.isEnabled(), panel.train_on.isEnabled(), remove.isEnabled()) == (False, False, False)
    assert export.isEnabled()
    panel.set_busy(False)
    assert (panel.apply.isEnabled(), panel.train_on.isEnabled(), remove.isEnabled()) == (True, True, True)


def test_a_read_only_project_locks_what_changes_it(panel):
    panel.set_read_only(True)
    panel.show_models([GOOD])
    actions = [menu_action(panel.more, text).isEnabled() for text in ("Rename", "Export...", "Remove")]
    assert actions == [False, True, False]
    assert (panel.import_.isEnabled(), panel.train_on.isEnabled()) == (False, False)
    assert not panel.list.topLevelItem(0).flags() & Qt.ItemFlag.ItemIsEditable


def test_the_panel_fits_the_dock_and_everything_to_press_has_a_tooltip(panel):
    panel.show_models([GOOD])
    assert panel.minimumSizeHint().width() <= 366
    assert all(button.toolTip() for button in (panel.apply, panel.train_on, panel.more, panel.import_))
