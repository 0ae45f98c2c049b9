import pytest
from napari.utils.theme import get_theme
from qtpy.QtGui import QColor, QPalette
from qtpy.QtWidgets import QLabel

from napari_weak3d.app.accents import ACTION_TEXT, Accent, accent, follow_theme

pytestmark = pytest.mark.window
THEMES = ("dark", "light")


def window_palette(theme: str) -> QPalette:
    palette = QPalette()
    palette.setColor(QPalette.ColorRole.Window, QColor(get_theme(theme).background.as_hex(format="long")))
    return palette


def luminance(colour: QColor) -> float:
    """Relative luminance of WCAG 2.1."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour.getRgbF()[:3]]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: QColor, other: QColor) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_of_black_to_white_is_21(qapp):
    assert contrast(QColor("black"), QColor("white")) == pytest.approx(21)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("meaning", [Accent.LOSS, Accent.SCORE, Accent.WARNING, Accent.ERROR])
def test_accents_read_on_the_windows_of_napari(qapp, theme, meaning):
    palette = window_palette(theme)
    assert contrast(accent(palette, meaning), palette.color(QPalette.ColorRole.Window)) > 4.5


@pytest.mark.parametrize("theme", THEMES)
def test_text_of_the_main_button_reads(qapp, theme):
    assert contrast(accent(window_palette(theme), Accent.ACTION), QColor(ACTION_TEXT)) > 4.5


def test_a_widget_hears_of_another_theme_once_and_of_no_change_never(qtbot, qapp):
    label, heard = QLabel("text"), []
    qtbot.addWidget(label)
    label.setStyleSheet("background-color: #202020; color: #f0f0f0;")
    label.show()
    follow_theme(label, lambda: heard.append(label.palette().color(QPalette.ColorRole.Window).name()))
    assert heard == ["#202020"]
    label.setStyleSheet("background-color: #202020; color: #f0f0f0; padding: 1px;")
    qapp.processEvents()
    assert heard == ["#202020"]
    label.setStyleSheet("background-color: #e0e0e0; color: #101010;")
    qtbot.waitUntil(lambda: len(heard) > 1)
    qapp.processEvents()
    assert heard == ["#202020", "#e0e0e0"]
