"""Numbers as people write them."""

import pytest

from napari_weak3d.app.numbers import write_number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.12684, "0.1268"),
        (49.56, "49.56"),
        (999.96, "1000"),
        (50019.3, "50019"),
        (999_999.0, "999999"),
        (1_178_300.0, "1.178e6"),
        (2.5e12, "2.500e12"),
        (-2470.0, "-2470"),
    ],
)
def test_number_is_written_with_four_digits_and_an_exponent_from_a_million_on(value, text):
    assert write_number(value) == text
