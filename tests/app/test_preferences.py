"""Our page of napari's Preferences."""

import dataclasses

import napari.settings
import pytest
from npe2 import PluginManifest

from napari_weak3d.app import preferences
from napari_weak3d.app.preferences import PLUGIN, Preferences
from napari_weak3d.config import Device, TrainConfig
from napari_weak3d.messages import DeviceInfo, Hello

pytestmark = pytest.mark.window


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """Settings of their own, kept in a temporary folder."""
    monkeypatch.setattr(napari.settings, "_PLUGIN_SETTINGS", {})
    return napari.settings.get_plugin_settings(PLUGIN, path_dir=tmp_path)


def test_preferences_that_nobody_touched_are_the_defaults(settings):
    assert preferences.read() == Preferences()


def test_what_is_set_in_the_page_is_read_at_once(settings):
    settings.weak3d.device = "cpu"
    settings.weak3d.minutes = 12.5
    settings.weak3d.autosave_seconds = 10.0
    assert preferences.read() == Preferences(device="cpu", minutes=12.5, autosave_seconds=10.0)


def test_what_is_set_is_there_in_the_next_session(settings, tmp_path, monkeypatch):
    settings.weak3d.minutes = 12.5
    settings.save()
    monkeypatch.setattr(napari.settings, "_PLUGIN_SETTINGS", {})
    napari.settings.get_plugin_settings(PLUGIN, path_dir=tmp_path)
    assert preferences.read().minutes == 12.5


def test_device_that_does_not_exist_is_refused_by_the_page(settings):
    with pytest.raises(ValueError, match="allowed enum values"):
        settings.weak3d.device = "tpu"


def test_plugin_that_is_switched_off_has_the_defaults(monkeypatch):
    def refuse(plugin):
        raise KeyError(plugin)

    monkeypatch.setattr(napari.settings, "get_plugin_settings", refuse)
    assert preferences.read() == Preferences()


def test_napari_without_plugin_settings_has_the_defaults(monkeypatch):
    monkeypatch.delattr(napari.settings, "get_plugin_settings")
    assert preferences.read() == Preferences()


def test_page_and_code_have_the_same_defaults_and_devices():
    page = PluginManifest.from_distribution(PLUGIN).contributions.configurations["weak3d"].properties
    assert {name: each.default for name, each in page.items()} == dataclasses.asdict(Preferences())
    assert page["device"].enum == [device.value for device in Device]
    assert page["minutes"].default == TrainConfig().minutes
    assert page["minutes"].maximum == 10_000


@pytest.mark.slow
def test_preferences_dialog_shows_the_page(settings, qtbot):
    from napari._qt.dialogs.preferences_dialog import PreferencesDialog
    from qtpy.QtWidgets import QLabel

    dialog = PreferencesDialog()
    qtbot.addWidget(dialog)
    pages = [dialog._list.item(row).text() for row in range(dialog._list.count())]
    assert "Weak3D" in pages
    words = {label.text() for label in dialog._stack.widget(pages.index("Weak3D")).findChildren(QLabel)}
    assert {"Device", "Minutes", "Autosave, seconds"} <= words


@pytest.fixture
def controller(settings, make_napari_viewer, fake_jobs):
    from napari_weak3d.app.controller import Controller

    made = Controller(make_napari_viewer(), jobs=fake_jobs)
    yield made
    made.close()


def test_what_is_set_counts_in_the_open_dock_at_once(settings, controller, fake_jobs):
    gpu = DeviceInfo("cuda", "a card", 2**34)
    fake_jobs.hello.emit(Hello("1", "2", (gpu, DeviceInfo("cpu", "a processor"))))
    assert "a card" in controller.panels.train.device.text.text()
    settings.weak3d.device = "cpu"
    settings.weak3d.minutes = 12.5
    settings.weak3d.autosave_seconds = 10.0
    assert "CPU" in controller.panels.train.device.text.text()
    assert controller.panels.train.minutes.value() == 12.5
    assert (controller.desk.autosave.seconds, controller.results.autosave.seconds) == (5.0, 5.0)


def test_minutes_set_in_the_dock_stay_when_another_preference_changes(settings, controller):
    controller.panels.train.minutes.setValue(3.0)
    settings.weak3d.autosave_seconds = 10.0
    assert controller.panels.train.minutes.value() == 3.0


def test_dock_that_is_closed_follows_no_more(settings, controller):
    controller.close()
    settings.weak3d.minutes = 12.5
    assert controller.panels.train.minutes.value() != 12.5
