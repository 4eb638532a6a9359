"""Columns are guessed from the names of public data sets."""

import pytest

from baton_reasoning.core.batch.reading.columns import ColumnNames, Columns, guess_columns
from baton_reasoning.core.batch.reading.record import Record


def guessed(*names: str, **values: str) -> Columns | None:
    return guess_columns([Record(1, {**dict.fromkeys(names, "x"), **values})])


@pytest.mark.parametrize(
    ("names", "columns"),
    [
        (
            ("problem", "solution", "answer", "subject", "level", "unique_id"),
            Columns("problem", "answer", "solution", "unique_id"),
        ),
        (("question", "answer"), Columns("question", "answer")),
        (("Frage", "Antwort"), Columns("Frage", "Antwort")),
        (("Nr", "Aufgabe", "Lösung"), Columns("Aufgabe", None, "Lösung")),
        (("Pregunta", "Respuesta"), Columns("Pregunta", "Respuesta")),
        (("Prompt", "Expected Answer"), Columns("Prompt", "Expected Answer")),
        (("input", "target", "id"), Columns("input", "target", id="id")),
        (("id", "problem", "solution"), Columns("problem", solution="solution", id="id")),
        (("instruction", "input", "output"), Columns("instruction", "output", context="input")),
        (("ctx", "endings", "label"), Columns("ctx", "label", choices="endings")),
        (("question", "choices", "answerKey"), Columns("question", "answerKey", choices="choices")),
        (
            ("Question", "Correct Answer", "Incorrect Answer 1", "Incorrect Answer 2", "Record ID"),
            Columns(
                "Question",
                "Correct Answer",
                id="Record ID",
                wrong=("Incorrect Answer 1", "Incorrect Answer 2"),
            ),
        ),
    ],
)
def test_known_names_are_found(names: tuple[str, ...], columns: Columns) -> None:
    assert guessed(*names) == columns


def test_without_a_known_name_the_longest_text_is_the_problem() -> None:
    assert guessed("a", b="What is the sum of one and two?", answer="3") == Columns("b", "answer")


def test_without_any_text_nothing_is_guessed() -> None:
    assert guessed("a", "b") is None


def test_columns_that_a_person_names_are_not_guessed() -> None:
    row = Record(1, dict.fromkeys(("instruction", "input", "output", "note", "id", "solution"), "x"))
    named = guess_columns([row], ColumnNames("instruction", "note", ""))
    assert named == Columns("instruction", "note", "solution", context="input")
    assert guess_columns([row], ColumnNames(answer="")) == Columns("instruction", id="id", context="input")


def test_the_named_columns_are_those_with_a_part() -> None:
    assert Columns("q", "a", id="i", wrong=("w",)).named() == ("q", "a", "i", "w")
