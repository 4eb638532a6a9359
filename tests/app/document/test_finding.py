"""Words are found in the letters of a document and in the source of its formulas."""

from __future__ import annotations

import pytest
from PySide6.QtGui import QFont, QTextCursor, QTextDocument

from baton_reasoning.app.document import DocumentMatches, TextStyle, pattern_of, render_into
from baton_reasoning.app.toolkit.theme import LIGHT

pytestmark = pytest.mark.usefixtures("qapp")


def document_of(markdown: str) -> QTextDocument:
    document = QTextDocument()
    render_into(document, markdown, TextStyle.of(LIGHT, QFont()))
    return document


def found(document: QTextDocument, words: str) -> list[str]:
    pattern = pattern_of(words)
    assert pattern
    matches = DocumentMatches(document, pattern)
    matches.search(1000)
    assert matches.complete
    return [selected(document, start, end) for start, end in matches.ranges]


def selected(document: QTextDocument, start: int, end: int) -> str:
    cursor = QTextCursor(document)
    cursor.setPosition(start)
    cursor.setPosition(end, QTextCursor.MoveMode.KeepAnchor)
    return cursor.selectedText()


def test_words_are_found_in_either_case_and_through_marks() -> None:
    document = document_of("**Wait**, so\n\nlet me wait. A | await")
    assert found(document, "wait") == ["Wait", "wait", "wait"]
    assert found(document, "wait, SO") == ["Wait, so"]


def test_nothing_is_looked_for_without_words() -> None:
    assert pattern_of("  ") is None


def test_the_signs_of_a_pattern_are_plain_letters() -> None:
    assert found(document_of("f(x) = [a.b]* and fxx"), "f(x)") == ["f(x)"]
    assert found(document_of("a.b, axb"), "a.b") == ["a.b"]


def test_a_formula_is_found_by_its_source_blanks_aside() -> None:
    document = document_of("So $2 + 3 = 5$ and $\\frac{1}{2}$, then $2 - 3$.")
    assert found(document, "2+3") == ["\ufffc"]
    assert found(document, "\\frac{1}") == ["\ufffc"]
    assert found(document, "= 5$ and $\\frac") == ["\ufffc and \ufffc"]
    assert found(document, "then") == ["then"]


def test_formulas_side_by_side_are_told_apart() -> None:
    document = document_of("$x$$x$$y$ x")
    pattern = pattern_of("y")
    assert pattern
    matches = DocumentMatches(document, pattern)
    matches.search(10)
    assert [(start, end) for start, end in matches.ranges] == [(2, 3)]


def test_letters_of_two_positions_move_nothing() -> None:
    assert found(document_of("😀 𝑥 is seven 😀 seven"), "seven") == ["seven", "seven"]
    assert found(document_of("😀 $y$ 😀 seven"), "seven") == ["seven"]
    assert found(document_of("a 😀 b"), "😀") == ["😀"]


def test_the_word_copy_over_code_is_not_part_of_the_text() -> None:
    assert found(document_of("```python\ncopy(1)\n```"), "copy") == ["copy"]


def test_a_document_that_grows_is_searched_again_from_where_it_changed() -> None:
    document = document_of("one seven\n\ntwo seven")
    pattern = pattern_of("seven")
    assert pattern
    matches = DocumentMatches(document, pattern)
    matches.search(100)
    assert matches.complete
    first = matches.ranges[0]
    cursor = QTextCursor(document)
    cursor.movePosition(QTextCursor.MoveOperation.End)
    cursor.insertText(" and seventy")
    assert not matches.complete
    assert matches.ranges == [first]  # what stands before the change is not searched again
    matches.search(100)
    assert len(matches.ranges) == 3


def test_a_search_in_portions_finds_what_one_in_one_go_finds() -> None:
    document = document_of("\n\n".join(f"Step {number} of seven." for number in range(50)))
    pattern = pattern_of("seven")
    assert pattern
    matches = DocumentMatches(document, pattern)
    for _ in range(5):
        matches.search(10)
        if matches.complete:
            break
    assert len(matches.ranges) == 50
