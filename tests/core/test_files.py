"""Names of files that every system takes."""

import pytest

from baton_reasoning.core.files import file_name


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Is 1/2 < 2/3?", "Is 1-2 - 2-3"),
        (" ..? ", "conversation"),
        ("CON", "_CON"),
        ("nul.a", "_nul.a"),
        ("Aux .b", "_Aux .b"),
        ("com1", "_com1"),
        ("LPT³", "_LPT³"),
        ("CON-", "_CON"),
        ("Console", "Console"),
        ("COM10", "COM10"),
        ("A balcon", "A balcon"),
        ("null.b", "null.b"),
    ],
)
def test_a_title_becomes_a_name_that_every_system_takes(title, name):
    assert file_name(title, "conversation") == name
