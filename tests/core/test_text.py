"""Text of models, servers and files cannot steer a terminal, and cannot flood it."""

from __future__ import annotations

import json

import pytest

from baton_reasoning.core.text import safe_json, safe_line, safe_text, shortened


@pytest.mark.parametrize(
    ("attack", "shown"),
    [
        ("\x1b]52;c;cm0gLXJm\x07", "␛]52;c;cm0gLXJm␇"),
        ("\x1b[2J", "␛[2J"),
        ("\x9b2J", "\ufffd2J"),
        ("abc\rxyz", "abc␍xyz"),
        ("evil\u202egpj.exe", "evil\ufffdgpj.exe"),
        ("half \ud83d", "half \ufffd"),
        ("\x7f", "␡"),
    ],
)
def test_what_a_terminal_would_act_on_is_shown_instead(attack, shown):
    assert safe_text(attack) == shown


def test_text_in_any_language_stays_as_it_is():
    text = "Let x = 2.\n\tΔ ≠ 漢字, עברית, عربي 👩‍🔬\n"
    assert safe_text(text) == text
    assert safe_text("one\r\ntwo") == "one\ntwo"


def test_a_message_is_one_line_of_bounded_length():
    line = safe_line("x\n" * 5_000_000)
    assert "\n" not in line
    assert len(line) < 2_100
    assert line.endswith("more characters)")
    assert shortened("short") == "short"


def test_json_keeps_its_values_and_loses_what_a_terminal_acts_on():
    values = {"text": "\x9b2J \x7f \u202e \ud83d 漢"}
    document = safe_json(json.dumps(values, ensure_ascii=False))
    assert json.loads(document) == values
    assert document.encode("utf-8").decode("utf-8").isprintable()
