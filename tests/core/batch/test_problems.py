"""The same problems are read whatever the format, the encoding and the place of a file; and sets of them are made."""

from __future__ import annotations

import csv
import hashlib
import importlib
import importlib.util
import json
from dataclasses import dataclass
from io import BytesIO, StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baton_reasoning.core.batch.reading.columns import ColumnNames
from baton_reasoning.core.batch.reading.problems import read_problems
from baton_reasoning.core.batch.reading.source import ProblemSource
from baton_reasoning.core.problem import Problem
from tests.core.batch.files import read, texts, written
from tests.tiers import size

LETTERS = "ABC"
WESTERN = st.sampled_from([*"\",;\t\n'“ß{}[]|\\ :?.-=1", '""', "\n\n", "A) "])
ANY = WESTERN | st.sampled_from("\u2028\x85π😀") | st.characters(codec="utf-8", exclude_categories=["C"])
"""All but control characters, of which a workbook takes none."""
NAMES = {
    "id": ["id", "unique_id", "ID"],
    "problem": ["problem", "question", "Frage", "Prompt"],
    "answer": ["answer", "Expected Answer", "Antwort", "target"],
    "level": ["level"],
}
TEXT_ENDINGS = ("", ".txt", ".csv", ".tsv", ".json", ".jsonl", ".JSONLINES", ".ndjson")
LINE_ENDS = ["\n", "\r\n"]
FORMATS = ["document", "lines", "delimited", "workbook"]
if importlib.util.find_spec("pyarrow"):  # an extra
    FORMATS.append("parquet")

Row = dict[str, Any]


@dataclass(frozen=True)
class Drawn:
    """A problem as a person knows it; the answer of one with options is a letter."""

    id: str
    problem: str
    answer: str | None
    level: str
    options: tuple[str, ...]

    def as_read(self) -> tuple[str, str, str | None, dict[str, str]]:
        below = "".join(f"\n{letter}) {text}" for letter, text in zip(LETTERS, self.options, strict=False))
        text = f"{self.problem}\n{below}" if below else self.problem
        return self.id, text, self.answer, {"level": self.level} if self.level else {}


@st.composite
def problems(draw: st.DrawFn) -> list[Drawn]:
    texts = st.lists(draw(st.sampled_from([WESTERN, ANY])), max_size=8).map("".join).map(str.strip)
    filled = texts.filter(bool)
    answers = filled.filter(lambda text: "####" not in text)  # GSM8K's sign before an answer
    found = []
    numbers = st.integers(1, 4).map(lambda last: [str(number) for number in range(1, last + 1)])
    for identity in draw(numbers | st.lists(filled, min_size=1, max_size=4, unique=True)):
        if draw(st.booleans()):  # nothing but the problem: a short row
            found.append(Drawn(identity, draw(filled), None, "", ()))
            continue
        options = [f"{name} {draw(texts)}".strip() for name in draw(st.sampled_from([[], ["red", "green", "blue"]]))]
        answer = draw(st.none() | (st.sampled_from(LETTERS) if options else answers))
        found.append(Drawn(identity, draw(filled), answer, draw(texts), tuple(options)))
    return found


@st.composite
def files(draw: st.DrawFn, drawn: list[Drawn]) -> tuple[str, bytes]:
    """A file that holds these problems: its ending, which need not fit its format, and its bytes."""
    names = {part: draw(st.sampled_from(usual)) for part, usual in NAMES.items()}
    # Without a column of ids, problems are numbered.
    are_numbered = [each.id for each in drawn] == [str(number) for number in range(1, len(drawn) + 1)]
    parts = draw(st.permutations([part for part in names if not (are_numbered and part == "id")]))
    kind = draw(st.sampled_from(FORMATS))
    in_one_column = kind not in ("delimited", "workbook") and draw(st.booleans())
    answers_are_options = draw(st.booleans())
    rows: list[Row] = []
    for each in drawn:
        answer = each.answer
        if answer and each.options and answers_are_options:
            answer = each.options[LETTERS.index(answer)]
        fields: Row = {"id": each.id, "problem": each.problem, "answer": answer, "level": each.level}
        options = {f"option_{letter}": text for letter, text in zip("abc", each.options or ["", "", ""], strict=True)}
        rows.append(
            {names[part]: fields[part] for part in parts}
            | ({"choices": list(each.options)} if in_one_column else options)
        )
    if kind in ("workbook", "parquet"):
        ending = draw(st.sampled_from([*TEXT_ENDINGS, {"workbook": ".xlsx", "parquet": ".parquet"}[kind]]))
        data = as_workbook(rows) if kind == "workbook" else as_parquet(rows)
    else:
        ending = draw(st.sampled_from(TEXT_ENDINGS))
        text = {"document": as_document, "lines": as_lines, "delimited": as_delimited}[kind](draw, rows)
        if kind == "document" and "\n" not in text and text.startswith("{"):
            ending = draw(st.sampled_from(("", ".json", ".txt")))  # one line of JSON Lines would be one record
        data = encoded(draw, text)
    return ending, data


def as_document(draw: st.DrawFn, rows: list[Row]) -> str:
    nested = draw(st.sampled_from([rows, {"data": rows}, {"version": "1", "problems": rows, "splits": ["a"]}]))
    return json.dumps(nested, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 2])))


def as_lines(draw: st.DrawFn, rows: list[Row]) -> str:
    ensure_ascii, end = draw(st.booleans()), draw(st.sampled_from(LINE_ENDS))
    return "".join(json.dumps(row, ensure_ascii=ensure_ascii) + end for row in rows)


def as_delimited(draw: st.DrawFn, rows: list[Row]) -> str:
    delimiter, end = draw(st.sampled_from(",;\t")), draw(st.sampled_from(LINE_ENDS))
    quoting: Literal[0, 1] = csv.QUOTE_ALL if draw(st.booleans()) else csv.QUOTE_MINIMAL
    text = StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator=end)
    writer.writerows([list(rows[0]), *(row.values() for row in rows)])
    return text.getvalue()


def encoded(draw: st.DrawFn, text: str) -> bytes:
    choices = [text.encode(name) for name in ("utf-8", "utf-8-sig", "utf-16")] + [f"\ufeff{text}".encode("utf-16-be")]
    windows = text.encode("cp1252", "replace")
    is_utf8 = any("�" not in line.decode(errors="replace") for line in windows.split(b"\n") if not line.isascii())
    if windows.decode("cp1252") == text and not is_utf8:
        choices.append(windows)
    return draw(st.sampled_from(choices))


def as_workbook(rows: list[Row]) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for number, cells in enumerate([list(rows[0]), *(row.values() for row in rows)], start=1):
        for column, cell in enumerate(cells, start=1):
            if cell:
                sheet.cell(number, column, cell).data_type = "s"  # no formula, whatever it starts with
    book.save(packed := BytesIO())
    return packed.getvalue()


def as_parquet(rows: list[Row]) -> bytes:
    pyarrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    parquet.write_table(pyarrow.Table.from_pylist(rows), packed := BytesIO())
    return packed.getvalue()


@pytest.mark.scaled
@settings(max_examples=size(150, long=3_000))
@given(st.data())
def test_the_same_problems_are_read_from_any_format_encoding_and_place(data):
    drawn = data.draw(problems())
    place = data.draw(st.sampled_from(["file", "folder", "standard input"]))
    middle = data.draw(st.integers(0, len(drawn) - 1)) if place == "folder" else 0
    parts = [data.draw(files(part)) for part in (drawn[:middle], drawn[middle:]) if part]
    with TemporaryDirectory() as name:
        folder = Path(name)
        for number, (ending, content) in enumerate(parts):
            is_left_out = place == "folder" and not ending  # a folder needs a usual ending
            written(folder, f"{number}{'.txt' if is_left_out else ''}{ending}", content)
        match place:
            case "folder":
                found = read_problems(folder)
            case "file":
                found = read_problems(next(folder.iterdir()))
            case _:
                found = read_problems(ProblemSource("standard-input", parts[0][1]))
    assert found.rejected == ()
    assert [(each.id, each.text, each.expected, each.metadata) for each in found.problems] == [
        each.as_read() for each in drawn
    ]


@pytest.mark.parametrize(
    ("text", "problems_of_it"),
    [
        ("\nOne?\nTwo?\n", [("One?", None, 2), ("Two?", None, 3)]),
        (
            "A train leaves.\nWhen?\nAnswer: 5\n\n\nTwo?\n**Answer:** 6\n",
            [("A train leaves.\nWhen?", "5", 1), ("Two?", "6", 6)],
        ),
        ("There are two.\n\nHow many?\nAnswer: 2\n", [("There are two.\n\nHow many?", "2", 1)]),
        ("One\nor more?\n\n\nTwo?\n", [("One\nor more?", None, 1), ("Two?", None, 5)]),
        ("One\n\nmore?\n---\nTwo?\n", [("One\n\nmore?", None, 1), ("Two?", None, 5)]),
        ("First, add 1 to 2.\nThen, add 3.\n", [("First, add 1 to 2.", None, 1), ("Then, add 3.", None, 2)]),
        ("Problem\n\nWhy, and how?\nAnswer: 2\n", [("Problem\n\nWhy, and how?", "2", 1)]),
        ("{1, 2} has how many subsets?", [("{1, 2} has how many subsets?", None, 1)]),
    ],
)
@pytest.mark.parametrize("name", ["p.txt", "standard-input"])
def test_lines_blank_lines_answers_or_rules_part_the_problems_of_a_text(name, text, problems_of_it):
    found = read_problems(ProblemSource(name, text.encode()))
    assert [(each.text, each.expected, each.source_line) for each in found.problems] == problems_of_it


def test_without_a_name_rows_of_the_same_width_are_a_table(tmp_path):
    text = "a;b\nWhy is it so?;2\nWhat is this, then?;3\n"
    for source in (ProblemSource("standard-input", text.encode()), written(tmp_path, "p.csv", text)):
        found = read_problems(source, named=ColumnNames(answer="b"))
        assert [(each.text, each.expected) for each in found.problems] == [
            ("Why is it so?", "2"),
            ("What is this, then?", "3"),
        ]


def test_a_problem_knows_its_line_and_its_file_and_needs_no_answer(tmp_path):
    found = read(tmp_path, "two.jsonl", '{"problem": "One?"}\n\n{"problem": "Two?"}\n')
    assert found.name == "two"
    assert found.problems == (
        Problem("1", "One?", None, {}, 1, "two.jsonl"),
        Problem("2", "Two?", None, {}, 3, "two.jsonl"),
    )


def test_a_missing_number_is_no_answer_and_an_infinite_one_is(tmp_path):
    """Pandas writes NaN for a missing value."""
    answers = ("NaN", "Infinity", "-Infinity", '"NaN"', "null")
    found = read(tmp_path, "p.jsonl", "\n".join(f'{{"problem": "P?", "answer": {each}, "x": NaN}}' for each in answers))
    assert [each.expected for each in found.problems] == [None, "Infinity", "-Infinity", "NaN", None]
    assert not any(each.metadata for each in found.problems)


def test_a_limit_reads_the_first_good_ones_of_a_file_or_a_folder(tmp_path):
    lines = "not json\n" + "".join(f'{{"problem": "Problem {n}?"}}\n' for n in range(50))
    found = read_problems(written(tmp_path, "many.jsonl", lines), limit=3)
    assert texts(found) == ["Problem 0?", "Problem 1?", "Problem 2?"]
    for name in "ab":
        written(tmp_path, f"set/{name}.txt", "One?\nTwo?\n")
    assert texts(read_problems(tmp_path / "set", limit=3)) == ["One?", "Two?", "One?"]


def test_repeated_ids_are_made_unique_and_noted(tmp_path):
    ids = ["a", "a", "b", "a#2", "a"]
    found = read(tmp_path, "p.jsonl", "\n".join(json.dumps({"id": each, "problem": "P?"}) for each in ids))
    assert [problem.id for problem in found.problems] == ["a", "a#3", "b", "a#2", "a#4"]
    assert any("more than once" in note for note in found.notes)


def test_a_folder_is_read_file_by_file(tmp_path):
    written(tmp_path, "set/a.jsonl", '{"id": "1", "problem": "From JSON?"}\nbroken\n')
    written(tmp_path, "set/b.csv", "question,answer\nFrom CSV?,2\n")
    written(tmp_path, "set/deeper/c.txt", "From a text?\n")
    written(tmp_path, "set/broken.json", "{")
    written(tmp_path, "set/README.md", "# About\nThis is no problem.\n")
    written(tmp_path, "set/LICENSE.txt", "You may.")
    written(tmp_path, "set/deeper/notes.md", "None.")
    written(tmp_path, "set/picture.png", b"\x89PNG")
    written(tmp_path, "set/.hidden.jsonl", '{"problem": "Hidden?"}')
    found = read_problems(tmp_path / "set")
    assert found.name == "set"
    assert texts(found) == ["From JSON?", "From CSV?", "From a text?"]
    assert [problem.source for problem in found.problems] == ["a.jsonl", "b.csv", "deeper/c.txt"]
    assert [(bad.source, bad.line) for bad in found.rejected] == [("broken.json", 0), ("a.jsonl", 2)]
    assert found.available_columns == ("id", "problem", "question", "answer")
    assert "The problem is the column “problem” or “question”." in found.summary()
    assert not any(line.startswith("Other columns") for line in found.summary())
    assert found.notes[0].endswith("no problems: LICENSE.txt, README.md, deeper/notes.md and 1 more.")
    assert [file.name for file in found.origin.files] == ["a.jsonl", "b.csv", "deeper/c.txt"]
    assert found.origin.files[2].sha256 == hashlib.sha256(b"From a text?\n").hexdigest()


def test_the_summary_names_columns_answers_and_what_was_dropped(tmp_path):
    lines = [{"question": "One?", "answer": "1", "level": 5}, {"question": "Two?", "answer": ""}, {"question": ""}]
    assert read(tmp_path, "p.jsonl", "\n".join(map(json.dumps, lines))).summary() == [
        "Read 2 problems, 1 with an answer, 1 cannot be graded.",
        "The problem is the column “question”.",
        "The answer is the column “answer”.",
        "Other columns are kept as metadata: level.",
        "1 record was dropped:",
        "  p.jsonl line 3: Its “question” is empty.",
    ]
    assert "No column holds an answer." in read(tmp_path, "p.jsonl", '{"problem": "One?"}').summary()
