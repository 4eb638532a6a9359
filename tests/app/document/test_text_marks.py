"""Where a mark of a text's source stands in the text as it is rendered."""

from __future__ import annotations

import pytest

from baton_reasoning.app.document.text_marks import LONGEST, rendered_place

FORMULA = "\ufffc"


@pytest.mark.parametrize(
    ("source", "rendered", "marked", "shown"),
    [
        ("So 2 + 2 is 5.\n\n", "So 2 + 2 is 5.", "5", "5"),
        ("\n\nSo 2 + 2 is 5.", "So 2 + 2 is 5.", "5", "5"),
        ("So **2 + 2** is *5*, not 4.", "So 2 + 2 is 5, not 4.", "5", "5"),
        ("So **2 + 2** is *5*, not 4.", "So 2 + 2 is 5, not 4.", "4", "4"),
        (r"Then \(2 + 2 = 5\) holds.", f"Then {FORMULA} holds.", "5", FORMULA),
        (r"Then \(2 + 2 = 5\) holds.", f"Then {FORMULA} holds.", "holds", "h"),
        ("- one\n- two is 5", "one\ntwo is 5", "5", "5"),
        ("", "", "", ""),
    ],
)
def test_a_character_is_found_where_it_is_rendered(source, rendered, marked, shown):
    at = rendered_place(source, rendered, source.index(marked))
    assert rendered[at : at + 1] == shown


def test_in_a_long_text_the_place_is_near_and_never_outside():
    source = "So **2 + 2** is 5. " * LONGEST
    assert rendered_place(source, source.replace("*", ""), len(source) - 1) == len(source.replace("*", "")) - 1
