from enum import StrEnum

import pytest
from pydantic import Field, model_validator
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QApplication, QCheckBox, QComboBox, QDoubleSpinBox, QLineEdit

from napari_weak3d.app.form import ConfigForm
from napari_weak3d.config import Device, TrainConfig
from napari_weak3d.methods import METHODS, load_config

pytestmark = pytest.mark.window


class Shape(StrEnum):
    ROUND = "round"
    FLAT = "flat"


class Invented(TrainConfig):
    """Every kind of field that a config may have."""

    count: int = Field(4, ge=2, le=40, multiple_of=2, title="Count", description="How many (voxels).")
    rate: float = Field(0.003, gt=0, le=1, title="Rate", description="How fast.")
    shape: Shape = Field(Shape.ROUND, title="Shape", description="Of objects.")
    smooth: bool = Field(True, title="Smooth", description="Round the edges.")
    extent: tuple[float, float, float] = Field((1.0, 2.5, 2.5), title="Extent", description="z, y, x (um).")
    name: str = Field("a", title="Name", description="Of the run.")
    low: int = Field(1, title="Low", description="Below high.")
    high: int = Field(5, title="High", description="Above low.")

    @model_validator(mode="after")
    def _ordered(self):
        if self.low >= self.high:
            raise ValueError("low must be below high")
        return self


OUTSIDE = ("minutes", "device")


@pytest.fixture
def form(qtbot):
    form = ConfigForm(Invented, leave_out=OUTSIDE)
    qtbot.addWidget(form)
    form.show()
    return form


def type_into(form: ConfigForm, name: str, text: str) -> None:
    """Type into a text or number field, as a user does."""
    field = form.widget(name)
    line = field if isinstance(field, QLineEdit) else field.lineEdit()
    line.setText(text)
    if line is not field:
        field.interpretText()


def test_fields_are_in_the_order_of_the_config_without_those_left_out(form):
    assert form.names == tuple(name for name in Invented.model_fields if name not in OUTSIDE)


def test_an_untouched_form_has_no_settings_and_no_errors(form):
    assert form.settings() == {}
    assert form.errors == {}


def test_each_kind_of_field_has_its_widget(form):
    kinds = {"rate": QDoubleSpinBox, "shape": QComboBox, "smooth": QCheckBox, "extent": QLineEdit, "name": QLineEdit}
    for name, kind in kinds.items():
        assert isinstance(form.widget(name), kind), name


def test_bounds_and_steps_are_the_widgets(form):
    count, rate = form.widget("count"), form.widget("rate")
    assert (count.minimum(), count.maximum(), count.singleStep()) == (2, 40, 2)
    assert (rate.minimum(), rate.maximum(), rate.singleStep()) == (0.0, 1.0, 0.0001)


def test_a_bound_that_is_excluded_is_an_error(form):
    type_into(form, "rate", "0")
    assert set(form.errors) == {"rate"}


def test_tooltip_says_description_bounds_default_and_name(form):
    assert form.widget("count").toolTip() == (
        "How many (voxels).\nAt least 2, at most 40, a multiple of 2\nDefault: 4. Name: count"
    )
    assert form.widget("extent").toolTip() == "Z, y, x (um).\nDefault: 1.0, 2.5, 2.5. Name: extent"


def test_choices_are_the_values_of_the_enum(form):
    box = form.widget("shape")
    assert [box.itemText(i) for i in range(box.count())] == ["round", "flat"]


def test_settings_are_what_differs_from_the_defaults(form):
    type_into(form, "count", "6")
    type_into(form, "rate", "0.01")
    form.widget("shape").setCurrentIndex(1)
    form.widget("smooth").click()
    type_into(form, "extent", "1, 2, 2")
    type_into(form, "name", "b")
    expected = {
        "count": 6,
        "rate": 0.01,
        "shape": "flat",
        "smooth": False,
        "extent": [1.0, 2.0, 2.0],
        "name": "b",
    }
    assert form.settings() == expected
    assert Invented.from_settings(form.settings()).extent == (1.0, 2.0, 2.0)


def test_a_tuple_written_another_way_is_still_the_default(form):
    type_into(form, "extent", "1,2.50,  2.5")
    assert form.settings() == {}


def test_an_error_shows_at_its_field_and_the_others_stay(form):
    type_into(form, "name", "b")
    type_into(form, "count", "5")
    assert set(form.errors) == {"count"}
    assert "multiple of 2" in form.errors["count"]
    assert form.settings() == {"name": "b"}
    assert "border" in form.widget("count").styleSheet()
    assert form.widget("name").styleSheet() == ""


def test_several_errors_show_at_once_and_go_one_by_one(form):
    type_into(form, "count", "5")
    type_into(form, "extent", "1, two, 3")
    assert set(form.errors) == {"count", "extent"}
    type_into(form, "count", "6")
    assert set(form.errors) == {"extent"}
    assert form.settings() == {"count": 6}
    assert form.widget("count").styleSheet() == ""


def test_what_is_wrong_between_fields_is_said_below(form):
    type_into(form, "low", "7")
    assert set(form.errors) == {""}
    assert "low must be below high" in form.errors[""]
    type_into(form, "high", "9")
    assert form.errors == {}
    assert form.settings() == {"low": 7, "high": 9}


def test_settings_go_in_and_come_out(form):
    settings = {"count": 8, "shape": "flat", "smooth": False, "extent": [3.0, 1.0, 1.0], "rate": 0.25}
    form.set_settings(settings)
    assert form.settings() == settings


def test_setting_replaces_all_that_was_set_before(form):
    form.set_settings({"count": 8})
    form.set_settings({"name": "b"})
    assert form.settings() == {"name": "b"}


def test_a_setting_that_is_refused_is_an_error_at_its_field(form):
    form.set_settings({"count": 5, "name": "b", "shape": "square", "unknown": 1})
    assert set(form.errors) == {"count", "shape"}
    assert form.settings() == {"name": "b"}


def test_an_error_from_elsewhere_stays_until_its_value_changes(form):
    type_into(form, "count", "8")
    form.show_error("count", "too many for this memory")
    assert form.errors == {"count": "too many for this memory"}
    assert form.is_valid
    assert form.settings() == {"count": 8}
    type_into(form, "name", "b")
    assert set(form.errors) == {"count"}
    type_into(form, "count", "6")
    assert form.errors == {}


def test_errors_from_elsewhere_are_forgotten_and_others_stay(form):
    type_into(form, "low", "3")
    type_into(form, "count", "5")
    form.show_error("name", "taken")
    assert set(form.errors) == {"count", "name"}
    form.forget_errors()
    assert set(form.errors) == {"count"}
    assert not form.is_valid


def test_reset_goes_back_to_the_defaults(form):
    form.set_settings({"count": 8, "extent": [3.0, 1.0, 1.0]})
    type_into(form, "rate", "0.5")
    form.reset_button.click()
    assert form.settings() == {}


def test_a_change_is_told(form, qtbot):
    with qtbot.waitSignal(form.changed):
        type_into(form, "count", "6")


def test_the_wheel_changes_nothing_on_its_way_through_the_form(form):
    box = form.widget("count")
    middle = QPointF(box.rect().center())
    turn = QWheelEvent(
        middle,
        QPointF(box.mapToGlobal(box.rect().center())),
        QPoint(),
        QPoint(0, 120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(box, turn)
    assert form.settings() == {}


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_a_form_that_starts_without_errors(qtbot, method):
    form = ConfigForm(load_config(method), leave_out=OUTSIDE)
    qtbot.addWidget(form)
    assert form.settings() == {}
    assert form.errors == {}
    for name in form.names:
        assert form.widget(name).toolTip()


def test_an_enum_of_the_base_has_its_values(qtbot):
    form = ConfigForm(TrainConfig)
    qtbot.addWidget(form)
    form.set_settings({"device": "cpu"})
    assert form.settings() == {"device": Device.CPU.value}
