"""Files of any format, encoding and data set are read alike, and damaged ones as far as it goes or refused in words."""

import contextlib
import csv
import gzip
import hashlib
import importlib
import importlib.util
import json
import os
import random
import re
import sys
import zipfile
from datetime import date, datetime
from io import BytesIO, StringIO
from itertools import chain
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from typing import Any

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from baton_reasoning.core.batch.reading.columns import Columns, Corrections, guess_columns
from baton_reasoning.core.batch.reading.problems import can_hold_problems, read_problems
from baton_reasoning.core.batch.reading.records import ENDINGS
from baton_reasoning.core.batch.reading.source import ProblemSource, Record
from baton_reasoning.core.errors import ProblemFileError, UnknownEncoding
from baton_reasoning.core.export.json_format import to_json
from baton_reasoning.core.export.markdown import to_markdown
from baton_reasoning.core.grading.extract import extract_answer
from baton_reasoning.core.grading.verdict import Outcome
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.thinking.trace import Trace
from tests.conftest import peak_memory
from tests.core.batch.counting import read, texts, written
from tests.core.store.made import a_run, an_answer
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
HAS_PYARROW = importlib.util.find_spec("pyarrow") is not None  # an extra
FORMATS = ["document", "lines", "delimited", "workbook", *(["parquet"] if HAS_PYARROW else [])]

Row = dict[str, Any]


def as_read(drawn):
    """What is read of a problem as a person knows it; the answer of one with options is a letter."""
    below = "".join(f"\n{letter}) {text}" for letter, text in zip(LETTERS, drawn["options"], strict=False))
    text = f"{drawn['problem']}\n{below}" if below else drawn["problem"]
    return drawn["id"], text, drawn["answer"], {"level": drawn["level"]} if drawn["level"] else {}


@st.composite
def problems(draw):
    texts = st.lists(draw(st.sampled_from([WESTERN, ANY])), max_size=8).map("".join).map(str.strip)
    filled = texts.filter(bool)
    answers = filled.filter(lambda text: "####" not in text)  # GSM8K's sign before an answer
    found = []
    numbers = st.integers(1, 4).map(lambda last: [str(number) for number in range(1, last + 1)])
    for identity in draw(numbers | st.lists(filled, min_size=1, max_size=4, unique=True)):
        drawn = {"id": identity, "problem": draw(filled), "answer": None, "level": "", "options": []}
        found.append(drawn)
        if draw(st.booleans()):  # otherwise nothing but the problem: a short row
            names = draw(st.sampled_from([[], ["red", "green", "blue"]]))
            drawn["options"] = [f"{name} {draw(texts)}".strip() for name in names]
            drawn["answer"] = draw(st.none() | (st.sampled_from(LETTERS) if names else answers))
            drawn["level"] = draw(texts)
    return found


@st.composite
def files(draw, drawn):
    """A file that holds these problems: its ending, which need not fit its format, and its bytes."""
    names = {part: draw(st.sampled_from(usual)) for part, usual in NAMES.items()}
    # Without a column of ids, problems are numbered.
    are_numbered = [each["id"] for each in drawn] == [str(number) for number in range(1, len(drawn) + 1)]
    parts = draw(st.permutations([part for part in names if not (are_numbered and part == "id")]))
    kind = draw(st.sampled_from(FORMATS))
    in_one_column = kind not in ("delimited", "workbook") and draw(st.booleans())
    answers_are_options = draw(st.booleans())
    rows: list[Row] = []
    for each in drawn:
        answer, texts = each["answer"], each["options"]
        if answer and texts and answers_are_options:
            answer = texts[LETTERS.index(answer)]
        options: Row = {"choices": texts}
        if not in_one_column:
            options = {f"option_{at}": text for at, text in zip("abc", texts or ["", "", ""], strict=True)}
        rows.append({names[part]: (each | {"answer": answer})[part] for part in parts} | options)
    if kind in ("workbook", "parquet"):
        own, write = {"workbook": (".xlsx", as_workbook), "parquet": (".parquet", as_parquet)}[kind]
        return draw(st.sampled_from([*TEXT_ENDINGS, own])), write(rows)
    ending = draw(st.sampled_from(TEXT_ENDINGS))
    text = {"document": as_document, "lines": as_lines, "delimited": as_delimited}[kind](draw, rows)
    if kind == "document" and "\n" not in text and text.startswith("{"):
        ending = draw(st.sampled_from(("", ".json", ".txt")))  # one line of JSON Lines would be one record
    return ending, encoded(draw, text)


def as_document(draw, rows):
    nested = draw(st.sampled_from([rows, {"data": rows}, {"version": "1", "problems": rows, "splits": ["a"]}]))
    return json.dumps(nested, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 2])))


def as_lines(draw, rows):
    ensure_ascii, end = draw(st.booleans()), draw(st.sampled_from(LINE_ENDS))
    return "".join(json.dumps(row, ensure_ascii=ensure_ascii) + end for row in rows)


def as_delimited(draw, rows):
    delimiter, end = draw(st.sampled_from(",;\t")), draw(st.sampled_from(LINE_ENDS))
    quoting = draw(st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]))
    text = StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator=end)
    writer.writerows([list(rows[0]), *(row.values() for row in rows)])
    return text.getvalue()


def encoded(draw, text):
    choices = [text.encode(name) for name in ("utf-8", "utf-8-sig", "utf-16")] + [f"\ufeff{text}".encode("utf-16-be")]
    windows = text.encode("cp1252", "replace")
    is_utf8 = any("�" not in line.decode(errors="replace") for line in windows.split(b"\n") if not line.isascii())
    looks_western = not re.search(r"[^\x00-\x7f]{3}|\w[¡-¿]\w", text)
    if windows.decode("cp1252") == text and not is_utf8 and looks_western:
        choices.append(windows)
    return draw(st.sampled_from(choices))


def as_workbook(rows):
    return workbook([list(rows[0]), *(row.values() for row in rows)], are_texts=True)


def workbook(*sheets, are_texts=False):
    """A hidden sheet, if there are several, then these. `are_texts`: no cell is a formula, whatever it starts with."""
    book = openpyxl.Workbook()
    notes = book.active
    assert notes is not None
    notes.append(("Question", "Answer"))
    notes.sheet_state = "hidden"
    if len(sheets) == 1:
        book.remove(notes)
    for number, rows in enumerate(sheets, start=1):
        sheet = book.create_sheet(f"Sums {number}")
        for row in rows:
            sheet.append(list(row))
        for cell in chain.from_iterable(sheet.iter_rows() if are_texts else ()):
            cell.data_type = "s"
    book.save(packed := BytesIO())
    return packed.getvalue()


def as_parquet(rows):
    pyarrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    parquet.write_table(pyarrow.Table.from_pylist(rows), packed := BytesIO())
    return packed.getvalue()


@pytest.mark.scaled
@settings(max_examples=size(150, long=3_000))
@given(st.data())
def test_the_same_problems_are_read_from_any_format_encoding_and_place(data):
    drawn = data.draw(problems())
    place = data.draw(st.sampled_from(["file", "folder", "input"]))
    middle = data.draw(st.integers(0, len(drawn) - 1)) if place == "folder" else 0
    parts = [data.draw(files(part)) for part in (drawn[:middle], drawn[middle:]) if part]
    with TemporaryDirectory() as name:
        folder = Path(name)
        for number, (ending, content) in enumerate(parts):
            is_left_out = place == "folder" and not ending  # a folder needs a usual ending
            written(folder, f"{number}{'.txt' if is_left_out else ''}{ending}", content)
        source = ProblemSource("standard-input", parts[0][1])
        places: dict[str, Path | ProblemSource] = {"folder": folder, "file": next(folder.iterdir()), "input": source}
        found = read_problems(places[place])
    assert found.rejected == ()
    assert [(each.id, each.text, each.expected, each.metadata) for each in found.problems] == list(map(as_read, drawn))


WORDS_OF_A_LINE = st.text("bcdé 12,;|$", min_size=1, max_size=12).map(str.strip).filter(bool)
INTEGERS = st.integers(-(10**14), 10**14)
"""As many digits as a workbook keeps."""
TYPED: dict[str, st.SearchStrategy[Any]] = {
    "words": WORDS_OF_A_LINE,
    "number": INTEGERS,
    "truth": st.booleans(),
    "day": st.dates(),
    "numbers": st.lists(INTEGERS, min_size=2, unique=True),
    "bytes": st.sampled_from([b"12", "é".encode(), b"\xff\xfe", b"3\xe9"]),
    "moment": st.sampled_from([datetime(2024, 1, 2), datetime(2024, 1, 2, 3)]),
    "time": st.times(),
    "decimal": st.decimals(-1_000, 1_000, places=2),
    "days": st.lists(st.dates(), min_size=2, unique=True).map(lambda days: [days[0], None, *days[1:]]),
}
"""Answers that a file can hold, by their kind."""
AS_TEXT = ["words", "number", "truth", "day"]
AS_JSON = ["words", "number", "truth", "numbers"]
HELD = {"delimited": AS_TEXT, "text": AS_TEXT, "workbook": AS_TEXT, "document": AS_JSON, "lines": AS_JSON}
HELD |= {"parquet": list(TYPED)} if HAS_PYARROW else {}


def as_blocks(draw, rows):
    end, head = draw(st.sampled_from(["\n", "\n---\n"])), draw(st.sampled_from(["Answer: ", "A: ", "**Answer:**\n"]))
    return "".join(f"{row['question']}\n{head}{row['answer']}{end}" for row in rows)


def expected_of(value):
    """What is expected of a model where a file gives this answer; None if it gives none that can be read."""
    match value:
        case bool():
            return str(value).lower()  # however the format writes it
        case list():
            return ", ".join(str(each) for each in value if each is not None)
        case bytes():
            return None if "�" in value.decode(errors="replace") else value.decode()
        case datetime() if value.hour:
            return value.isoformat()
        case datetime():
            return str(value.date())
    return str(value)


@pytest.mark.scaled
@pytest.mark.parametrize(("kind", "answer"), [(kind, answer) for kind, answers in HELD.items() for answer in answers])
@settings(max_examples=size(10, long=200))
@given(data=st.data())
def test_what_is_read_equals_what_was_written_or_a_remark_says_what_was_not_taken(data, kind, answer):
    asked = data.draw(st.lists(WORDS_OF_A_LINE, min_size=1, max_size=4))
    rows = [{"question": f"Q{at} {text}", "answer": data.draw(TYPED[answer])} for at, text in enumerate(asked)]
    if kind == "parquet":
        ending, content = ".parquet", as_parquet(rows)
    elif kind == "workbook":
        ending, content = ".xlsx", workbook([list(rows[0]), *(row.values() for row in rows)])
    else:
        write = {"document": as_document, "lines": as_lines, "delimited": as_delimited, "text": as_blocks}[kind]
        ending = {"document": ".json", "lines": ".jsonl", "delimited": ".csv", "text": ".txt"}[kind]
        content = encoded(data.draw, write(data.draw, rows))
    if kind == "workbook" and answer == "day":
        with pytest.raises(ProblemFileError, match="The cell B2 is a date"):
            read_problems(ProblemSource(f"p{ending}", content))
        return
    found = read_problems(ProblemSource(f"p{ending}", content))
    truths = {"True": "true", "False": "false", "TRUE": "true", "FALSE": "false"}
    read_as = [(each.text, truths.get(each.expected or "", each.expected)) for each in found.problems]
    assert read_as == [(row["question"], expected_of(row["answer"])) for row in rows]
    assert found.rejected == ()
    told = "p.parquet: the bytes in “answer” are no text, and were not taken."
    assert (told in found.notes) == any(each is None for _, each in read_as)


TABLE = "a | b\n--|:-:\n1 | 2"
ROWS = "| # | Question | Answer |\n|---|---|---|\n| 1 | What is \\|1\\|? | 1 |\n| 2 | Two? | 2 |\n| 3 | Three? | |"


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
        ("What is 2 + 2?\nA: 4\nWhat is 3 + 3?\n**A:** 6", [("What is 2 + 2?", "4", 1), ("What is 3 + 3?", "6", 3)]),
        ("Let\na = 5\n\nTwo?", [("Let\na = 5", None, 1), ("Two?", None, 4)]),
        ("Which?\nA: red\nB: green\nAnswer: B", [("Which?\nA: red\nB: green", "B", 1)]),
        (
            "One?\nAnswer:\n1\nTwo?\nCorrect answer:\n\nThree?",
            [("One?", "1", 1), ("Two?", None, 4), ("Three?", None, 7)],
        ),
        ("One?\nSolution: It is 1.\nAnswer: 1\nWas?\n**Lösung:** 2", [("One?", "1", 1), ("Was?", "2", 4)]),
        ("One?\nAnswer: 1\nBecause 1 is 1.\n---\nTwo?\nAnswer:\n\n2\n", [("One?", "1", 1), ("Two?", "2", 5)]),
        (
            f"Prices:\n\n{TABLE}\n\nWhat costs b?\n\nTwo?",
            [(f"Prices:\n\n{TABLE}\n\nWhat costs b?", None, 1), ("Two?", None, 9)],
        ),
        (f"What costs b?\n\n{TABLE}\n\nTwo?", [(f"What costs b?\n\n{TABLE}", None, 1), ("Two?", None, 7)]),
        (f"Prices:\n{TABLE}\nWhat costs b?\nTwo?", [(f"Prices:\n{TABLE}\nWhat costs b?", None, 1), ("Two?", None, 6)]),
        (f"What costs b?\n{TABLE}\nTwo?", [(f"What costs b?\n{TABLE}", None, 1), ("Two?", None, 5)]),
        (f"# Sums\n\n{ROWS}\n", [("What is |1|?", "1", 5), ("Two?", "2", 6), ("Three?", None, 7)]),
    ],
)
@pytest.mark.parametrize("name", ["p.txt", "standard-input"])
def test_lines_blank_lines_answers_or_rules_part_the_problems_of_a_text(name, text, problems_of_it):
    found = read_problems(ProblemSource(name, text.encode()))
    assert [(each.text, each.expected, each.source_line) for each in found.problems] == problems_of_it


def test_a_text_in_which_problems_and_answers_do_not_match_is_not_guessed_at(tmp_path):
    found = read(tmp_path, "p.txt", "One?\nAnswer: 1\nTwo?\nAnswer: 2\n---\nThree?\n---\nAnswer: 3\n")
    assert (texts(found), found.available_columns) == (["Three?"], ("problem",))
    several = "It has several answers; write a rule such as --- between problems."
    assert rejected(found) == [(1, several), (8, "It is an answer without a problem above it.")]
    found = read(tmp_path, "p.txt", f"{ROWS}\n| 4 | Is |x| = 1? | yes |\n")
    assert [reason for _, reason in rejected(found)] == ["The row has 5 fields, the header 3."]


def test_lines_ids_and_values_that_are_missing(tmp_path):
    """Pandas writes NaN for a missing value; an infinite one is a value. Ids are unique, half characters replaced."""
    lines = [
        '{"id": "a", "problem": "P?", "answer": NaN, "x": NaN}',
        '{"id": "a", "problem": "P?", "answer": Infinity}',
        "",
        '{"id": "b", "problem": "P?", "answer": "NaN"}',
        '{"id": "a#2", "problem": "P?", "answer": null}',
        '{"id": "a", "problem": "P?"}',
        r'{"problem": "How \ud83d many?", "answer": "\ud83d\ude00", "\ud83d": "x"}',
    ]
    found = read(tmp_path, "two.jsonl", "\n".join(lines))
    assert found.name == "two"
    assert found.problems == (
        Problem("a", "P?", None, {}, 1, "two.jsonl"),
        Problem("a#3", "P?", "Infinity", {}, 2, "two.jsonl"),
        Problem("b", "P?", "NaN", {}, 4, "two.jsonl"),
        Problem("a#2", "P?", None, {}, 5, "two.jsonl"),
        Problem("a#4", "P?", None, {}, 6, "two.jsonl"),
        Problem("6", "How ? many?", "😀", {"?": "x"}, 7, "two.jsonl"),
    )
    assert any("more than once: 1." in note for note in found.notes)


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
    written(tmp_path, "set/a.jsonl", "not json\n" * 9 + '{"problem": "First?"}\n{"problem": "Second?"}\n')
    for limit in (1, 2, 3):
        expected = ["First?", "Second?", "From CSV?"][:limit]
        assert texts(read_problems(tmp_path / "set", limit=limit)) == expected
    assert can_hold_problems(tmp_path / "set")
    assert not can_hold_problems(tmp_path / "set.docx")


def test_a_folder_has_the_same_order_where_paths_compare_without_case(tmp_path, monkeypatch):
    monkeypatch.setattr(PurePath, "__lt__", lambda one, other: str(one).lower() < str(other).lower())  # as on Windows
    for name in ("a.txt", "B.txt", "c/D.txt", "c/e.txt", "a.png", "B.png"):
        written(tmp_path, f"set/{name}", f"From {name}?\n")
    found = read_problems(tmp_path / "set")
    assert [problem.source for problem in found.problems] == ["B.txt", "a.txt", "c/D.txt", "c/e.txt"]
    assert found.notes[0].endswith("no problems: B.png, a.png.")


def test_the_summary_names_columns_answers_and_what_was_dropped(tmp_path):
    lines = [{"question": "One?", "answer": "1", "level": 5}, {"question": "Two?", "answer": ""}, {"question": ""}]
    found = read(tmp_path, "p.jsonl", "\n".join(map(json.dumps, lines)))
    assert "The problem is the column “question”." not in found.summary(seen=("problem",))
    assert found.summary() == [
        "Read 2 problems, 1 with an answer, 1 cannot be graded.",
        "The problem is the column “question”.",
        "The answer is the column “answer”.",
        "Other columns are kept as metadata: level.",
        "1 record was dropped:",
        "  p.jsonl line 3: Its “question” is empty.",
    ]
    assert read(tmp_path, "p.jsonl", '{"problem": "One?"}\n' + "1\n" * 7).summary() == [
        "Read 1 problem, 0 with an answer, 1 cannot be graded.",
        "The problem is the column “problem”.",
        "No column is read as the answer.",
        "7 records were dropped:",
        *(f"  p.jsonl line {line}: This is JSON, but not an object with fields." for line in range(2, 7)),
        "  and 2 more",
    ]


# Columns of public data sets and of other tools

ARC = {"id": "a", "question": {"stem": "How many?"}, "answerKey": "34"}
NESTED = {"id": "a", "doc": {"question": "How many?"}, "extra": {"more": {"ground_truth": "34"}}}
OLYMPIAD = {"id": 3, "question": "How many?", "final_answer": ["34"]}
MATH = {"problem": "How many?", "solution": r"We add: $\boxed{34}$.", "answer": "34", "level": 1, "unique_id": "a.json"}
GSM8K = {"question": "How many?", "answer": "It is 9 * 2 = <<9*2=18>>18, and 16 more.\n#### 34"}
SVAMP = {"ID": "a", "Body": "", "Question": "How many?", "Equation": "( 30.0 + 4.0 )", "Answer": "34"}
ALPACA = {"instruction": "How many?", "input": "", "output": "34"}
GERMAN = {"Nr": 1, "Aufgabe": "How many?", "Antwort": "", "Lösung": "Die Antwort.\n$\\boxed{34}$"}
UNNAMED = {"a": "x", "b": "How many?".ljust(40, " "), "expected": 34, "steps": "We add the two numbers. " * 9}
RESULT = {"id": "a", "problem": "How many?", "answer": "33", "expected": "34", "outcome": "wrong", "steps": 2}
MGSM = {"question": "How many?", "answer": "It is 18, and 16 more, so there are 34.", "answer_number": 34}


@pytest.mark.parametrize("record", [RESULT, ARC, NESTED, OLYMPIAD, MATH, GSM8K, SVAMP, ALPACA, GERMAN, UNNAMED, MGSM])
def test_a_problem_and_its_answer_are_found(tmp_path, record):
    (problem,) = read(tmp_path, "p.jsonl", json.dumps(record)).problems
    assert read(tmp_path, "p.json", json.dumps(record)).problems[0].expected == "34"
    assert (problem.text, problem.expected) == ("How many?", "34")
    assert problem.id in ("1", "a", "a.json", "3")


@pytest.mark.parametrize(
    "fields",
    [
        {"choices": ["1", "2", "3"], "answer": 1},
        {"choices": ["red", "green", "blue"], "answer": "B) green"},
        {"choices": ["red", "green", "blue", None], "answer": "1"},
        {"choices": {"text": ["red", "green", "blue"], "label": ["1", "2", "3"]}, "answerKey": "2"},
        {"options": {"A": "red", "B": "green", "C": "blue", "D": None, "E": " "}, "answer": "(B)"},
        {"options": {"A": "red", "B": None, "C": "green", "D": "blue"}, "answer": "C"},
        {"options": ["A)red", "B)green", "C)blue"], "correct": "B"},
        {"Option 1": "red", "Option 2": "green", "correct": "Option 2"},
        {"question.choices": [{"label": "x", "text": "red"}, {"label": "y", "text": "green"}], "answerKey": "y"},
        {"choice1": "red", "choice2": "green", "label": "2"},
        {"choice0": "red", "choice1": "green", "label": 1},
        {"opa": "red", "opb": "green", "opc": "blue", "cop": 1},
        {"A": "red", "B": "green", "C": "blue", "D": "black", "answer": "B"},
        {"a": "red", "b": "green", "answer": " b"},
        {"a": "B", "b": "2", "c": "3", "answer": "B"},
    ],
)
def test_options_are_found_wherever_they_stand(tmp_path, fields):
    found = read(tmp_path, "p.jsonl", json.dumps({"question": "Which?", **fields}))
    first, blank, *options = texts(found)[0].split("\n")
    assert (first, blank, options[1][:2], found.problems[0].expected) == ("Which?", "", "B)", "B")
    assert options[1] in ("B) green", "B) 2")
    assert options[2:] in ([], ["C) blue"], ["C) 3"], ["C) blue", "D) black"])


@pytest.mark.parametrize(
    ("answers", "letters"),
    [
        ([1, 2, 3], ["A", "B", "C"]),
        (["3", "1", "2"], ["C", "A", "B"]),
        ([0, 1, 2], ["A", "B", "C"]),
        ([0, 3, 1], ["A", None, "B"]),  # no counting has an option for 3
        ([[1, 3], 2, [3]], ["A, C", "B", "C"]),
        ([[0, 2], 1, ["red", "B"]], ["A, C", "B", "A, B"]),
    ],
)
@pytest.mark.parametrize("names", [["options"], ["option_a", "option_b", "option_c"]])
def test_a_file_shows_by_its_answers_whether_options_are_counted_from_0_or_1(tmp_path, names, answers, letters):
    texts = ["red", "green", "blue"]
    options = {"options": texts} if len(names) == 1 else dict(zip(names, texts, strict=True))
    rows = [{"question": "Which?", "answer": answer, **options} for answer in answers]
    found = read(tmp_path, "p.jsonl", "\n".join(map(json.dumps, rows)))
    assert [each.expected for each in found.problems] == letters
    assert found.notes == ()


def test_numbers_that_can_count_no_options_are_options_themselves(tmp_path):
    rows = [{"question": "Which?", "options": [2, 4, 6], "answer": 4}]
    rows.append({"question": "Which?", "options": [1, 2, 3], "answer": 2})
    found = read(tmp_path, "p.jsonl", "\n".join(map(json.dumps, rows)))
    assert [each.expected for each in found.problems] == ["B", "B"]
    assert found.notes == ()


def test_where_no_answer_shows_from_where_options_are_counted_a_remark_says_so(tmp_path):
    row = {"question": "Which?", "options": ["red", "green", "blue"], "answer": 1}
    found = read(tmp_path, "p.jsonl", f"{json.dumps(row)}\n{json.dumps(row | {'answer': 2})}")
    assert [each.expected for each in found.problems] == ["B", "C"]
    (told,) = found.notes
    assert told == "p.jsonl: no answer shows whether options are counted from 0 or 1; they were counted from 0."
    row["options"] = ["x"] * 27
    found = read(tmp_path, "p.jsonl", f"{json.dumps(row)}\n{json.dumps(row | {'options': ['x'] * 26, 'answer': 25})}")
    assert [each.expected for each in found.problems] == ["Z"]
    assert rejected(found) == [(1, "It has 27 options; there are letters for 26.")], "the bare question is not asked"


@pytest.mark.parametrize(
    ("fields", "expected", "right", "wrong"),
    [
        ({"answer": ["1", "2"]}, "1, 2", "2 and 1", "1"),
        ({"answer": [1, 2.5, 1]}, "1, 2.5", r"\boxed{2.5}, \boxed{1}", "1, 2"),
        ({"solution": r"So $\boxed{1}$ or $\boxed{-2}$."}, "1, -2", r"\boxed{-2} and \boxed{1}", "-2"),
        ({"solution": r"First \boxed{1}. We go on, and get \boxed{-2}."}, "-2", "-2", "1"),
        ({"question": "Is it so?", "answer": True}, "true", "Yes, it is.", "No"),
        ({"question": "Is it so?", "answer": "False"}, "False", "no", "yes"),
        ({"question": "True or false: it is so.", "answer": False}, "false", "False", "true"),
    ],
)
def test_answers_that_are_several_or_truth_values_are_graded_as_they_are_meant(
    tmp_path, grader, fields, expected, right, wrong
):
    (problem,) = read(tmp_path, "p.jsonl", json.dumps({"question": "Which?", **fields})).problems
    assert problem.expected == expected
    for text, outcome in ((right, Outcome.CORRECT), (wrong, Outcome.WRONG)):
        assert grader.grade(expected, extract_answer(text, expected)).outcome is outcome


@pytest.mark.parametrize("names", ["ab", "AB", "abcd", "ABCD"])
def test_columns_of_single_letters_are_values_of_the_problem(tmp_path, names):
    record = {"question": "Solve a*x = b.", **{name: 3 * at for at, name in enumerate(names, 1)}, "answer": 1}
    found = read(tmp_path, "p.jsonl", json.dumps(record))
    assert [(each.text, each.expected) for each in found.problems] == [("Solve a*x = b.", "1")]
    assert found.problems[0].metadata[names[1]] == "6"


def test_options_that_stand_otherwise(tmp_path):
    """Labels from 0 as in COPA and PIQA, all options in one text, the right one in a column of its own as in GPQA."""
    piqa = {"goal": "To sleep", "sol1": "drink coffee after coffee until midnight", "sol2": "lie down", "label": 1}
    (problem,) = read(tmp_path, "piqa.jsonl", json.dumps(piqa)).problems
    assert (problem.text, problem.expected) == (f"To sleep\n\nA) {piqa['sol1']}\nB) lie down", "B")
    rows = [{"question": "Why?", "choice1": "sun", "choice2": "rain", "label": label} for label in (0, 1)]
    found = read(tmp_path, "copa.jsonl", "\n".join(map(json.dumps, rows)))
    assert [problem.expected for problem in found.problems] == ["A", "B"]
    lines = [{"question": "Which?", "options": "A) red B) green", "answer": "B"}, {"question": "How many?"}]
    found = read(tmp_path, "p.jsonl", "\n".join(map(json.dumps, lines)))
    assert texts(found) == ["How many?"]
    assert "line 1: Its “options” is one text; write a list, or a column for each: option_a" in found.summary()[-1]
    header = "Question,Correct Answer,Incorrect Answer 1,Incorrect Answer 2,Incorrect Answer 3\n"
    gpqa = header + "".join(f"What is {n}+{n}?,right,w1,w2,w3\n" for n in range(40))
    found = read(tmp_path, "gpqa.csv", gpqa)
    assert found == read(tmp_path, "gpqa.csv", gpqa), "shuffled in the same way each time"
    assert all(f"{problem.expected}) right" in problem.text for problem in found.problems)
    assert {problem.expected for problem in found.problems} == set("ABCD")


def test_the_context_stands_before_the_question_where_there_is_one(tmp_path):
    for names in (("Body", "Question", "Answer"), ("input", "instruction", "output")):
        rows = [dict(zip(names, cells, strict=True)) for cells in (("It costs 76.", "How much?", 51.0), ("", "Or?", 4))]
        found = read(tmp_path, "svamp.json", json.dumps(rows))
        read_as = [(each.text, each.expected) for each in found.problems]
        assert read_as == [("It costs 76.\nHow much?", "51.0"), ("Or?", "4")]


@pytest.mark.parametrize(
    ("fields", "before"),
    [
        ({"article": "Tom ran.", "options": ["Tom", "Ann"], "answer": "A"}, "Tom ran."),  # RACE
        ({"title": "Tom", "context": "Tom ran.", "answers": {"text": ["Tom"]}}, "Tom ran."),  # SQuAD
        ({"passage": "Tom ran.", "answer": True}, "Tom ran."),  # BoolQ, DROP
        ({"paragraph.text": "Tom ran."}, ""),
        ({"background": "Who runs is fast.", "situation": "Tom ran."}, "Who runs is fast.\nTom ran."),  # ROPES
        ({"context": {"contexts": ["Tom ran.", "Ann did not."]}, "final_decision": "yes"}, "Tom ran.\nAnn did not."),
        ({"dialogue": ["Ann: Tom ran.", "Tom: I did."]}, "Ann: Tom ran.\nTom: I did."),  # DREAM
    ],
)
def test_what_data_sets_ask_about_is_asked_with_the_question(tmp_path, fields, before):
    found = read(tmp_path, "p.jsonl", json.dumps({"id": "x", "question": "Who ran?", **fields}))
    assert texts(found)[0].split("\n\n")[0] == f"{before}\nWho ran?".strip()
    assert not before or "context" in found.columns[0].parts


def test_a_conversation_is_refused_and_another_column_can_be_named(tmp_path):
    """Chat files, verl: the problem is a list of messages."""
    record = {"prompt": [{"role": "user", "content": "How many?"}], "extra_info": {"text": "How?", "answer": "34"}}
    path = written(tmp_path, "p.json", json.dumps(record))
    with pytest.raises(ProblemFileError, match=r"“prompt” is a structure.* another column: prompt, extra_info\.text"):
        read_problems(path)
    (problem,) = read_problems(path, named=Corrections("extra_info.text")).problems
    assert (problem.text, problem.expected) == ("How?", "34")


def test_an_empty_column_does_not_beat_a_filled_one_nor_a_guess_what_a_person_names(tmp_path):
    found = read(tmp_path, "p.csv", "question,answer,target\nHow many?,,34\nHow few?,,3\n")
    assert [problem.expected for problem in found.problems] == ["34", "3"]
    for nothing in ("", "N/A", "nan"):
        assert read(tmp_path, "p.csv", f"question,answer\nHow many?,{nothing}\n").problems[0].expected is None
    found = read(tmp_path, "p.csv", "question,answer,steps\nHow many?,,3\n")
    assert [(each.expected, each.metadata) for each in found.problems] == [(None, {"steps": "3"})], "a count"
    path = written(tmp_path, "p.csv", "id,question,hint,choice_a,choice_b,value\nx,Which?,Look.,red,green,B\n")
    found = read_problems(path, named=Corrections("question", "value"))
    (problem,) = found.problems
    assert (problem.id, problem.text, problem.expected) == ("x", "Which?\n\nA) red\nB) green", "B")
    assert "The answer is the column “value”." in found.summary()
    for missing in (Corrections("task"), Corrections(answer="task")):
        with pytest.raises(ProblemFileError, match=r"no column “task”\. Choose one of: id, question, hint"):
            read_problems(path, named=missing)
    row = Record(1, dict.fromkeys(("instruction", "input", "output", "id", "solution"), "x"))
    assert guess_columns([row], Corrections(answer="")) == Columns("instruction", id="id", context=("input",))
    named = guess_columns([row], Corrections(answer="solution"))
    assert named == Columns("instruction", "solution", id="id", context=("input",)), "it is not the solution, too"


def test_a_document_of_columns_is_read_as_pandas_writes_it(tmp_path):
    for columns in ({"0": "Why?", "1": "How?"}, {"0": 1, "1": None}), (["Why?", "How?"], [1, None]):
        found = read(tmp_path, "p.json", json.dumps(dict(zip(("question", "answer"), columns, strict=True))))
        assert [(each.text, each.expected) for each in found.problems] == [("Why?", "1"), ("How?", None)]


# What is damaged or doubtful

needs_pyarrow = pytest.mark.skipif(not HAS_PYARROW, reason="pyarrow is an extra")


def rejected(found):
    return [(bad.line, bad.reason) for bad in found.rejected]


def with_part(name, content):
    """A workbook with another text for one of its parts."""
    packed = BytesIO()
    with zipfile.ZipFile(BytesIO(workbook([("Question",), ("Why?",)]))) as old, zipfile.ZipFile(packed, "w") as new:
        for each in old.namelist():
            new.writestr(each, content if each == name else old.read(each))
    return packed.getvalue()


EXPORTED = r"is a conversation that Baton exported\. Export it as JSON"
NO_WORKBOOK = r"damaged or protected by a password, or no .* Save the sheet as CSV"
ENTITIES = '<!ENTITY e0 "0123456789">' + "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
"""The last one unpacks to ten billion characters."""


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("p.jsonl", b"", r"is empty\. Choose a file with at least one problem"),
        ("p.csv", b"\n \n\t\n", "is empty"),
        ("p.txt", b"\xff\xfe \x00", "is empty"),
        ("p.csv", b"question,answer\n", "no problem that can be read"),
        ("p.jsonl", b"nonsense\n", "Line 1: This is not valid JSON"),
        ("p.json", b'{"problem": "Why?",\n', r"cannot be read\. This is not valid JSON: .*\. Correct the file"),
        ("p.jsonl", b'{"question": ""}\n', r"Rename it to “problem”, or .* problem=NAME\. There are: question\."),
        ("p.jsonl", b'{"a": "Why is it?"}\n{"a": "And where is it?"}', "which column is the problem"),
        ("p.json", b"42", "does not hold one list of problems"),
        ("p.json", b'{"What is the sky?": "blue, by day"}', "does not hold one list of problems"),
        ("p.json", b'{"a": 1}', r"does not hold one list of problems\. It should be a JSON list of objects"),
        ("p.json", b'{"train": [{"problem": "Old?"}], "test": [{}]}', "does not hold one list of problems"),
        ("p.csv", b'question,answer\nOne?,1\n"Two?,2\nThree?,3\n', "quotes of the row in line 3 do not match up"),
        ("p.csv", b'question,answer\nOne?,1\n"Two" or three?,2\n', r"line 3 .*\. Write a quote inside .* twice"),
        ("p.txt", b"Why?\n\x00\x01", r"is packed, binary or in an unknown encoding\. Unpack it, or save"),
        ("p.csv", b"PK\x03\x04rest\x00", "is packed, binary"),
        ("p.jsonl", gzip.compress(b'{"problem": "One?"}' * 100, mtime=0), "is packed"),
        ("p.txt", bytes(range(1, 256)) * 20, "in an unknown encoding"),
        ("p.txt", "Größe?\n”Größe”?\n".encode() + b"Gr\xf6\xdfe?", r"mixes encodings: line 1 .* line 3 is not\. Save"),
        ("p.csv", "\ufefffrage\n".encode() + b"Gr\xf6\xdfe?", "line 1 is UTF-8, and line 2 is not"),
        ("p.txt", "Why?".encode("utf-16") + b"\x00", "in an unknown encoding"),
        ("p.jsonl.gz", b"\x1f\x8b", r"is not a supported format\. .* Unpack an archive first"),
        ("p.docx", b"Why?", r"is not a supported format\. Supported are \.jsonl, .*\.xlsx"),
        ("set/picture.png", b"{", r"no file of problems.*\.jsonl"),
        ("set/a.json", b"{", "not valid JSON"),
        ("p.json", to_json(an_answer(Trace.of(a_run()))), EXPORTED),
        ("p.md", to_markdown(an_answer(Trace.of(a_run()))), EXPORTED),
        ("p", to_markdown(an_answer(Trace.of(a_run()))), EXPORTED),
        ("sums.xlsx", b"PK\x03\x04rest", NO_WORKBOOK),
        ("sums.xlsx", b"\xd0\xcf\x11\xe0 EncryptedPackage", NO_WORKBOOK),
        ("sums.xlsx", workbook([("Question",)])[:-40], NO_WORKBOOK),
        ("sums.xlsx", with_part("xl/worksheets/sheet1.xml", "<worksheet><sheetData><row><c"), NO_WORKBOOK),
        ("sums.xlsx", with_part("xl/workbook.xml", "<workbook/>"), NO_WORKBOOK),
        ("sums.xlsx", with_part("xl/styles.xml", f"<!DOCTYPE x [{ENTITIES}]><x>&e9;</x>"), NO_WORKBOOK),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_reason_and_a_way_on(tmp_path, name, content, reason):
    path = written(tmp_path, name, content)
    with pytest.raises(ProblemFileError, match=reason):
        read_problems(tmp_path / "set" if "/" in name else path)


def test_what_is_not_there_is_no_file_or_is_too_much_is_refused(tmp_path, monkeypatch):
    with pytest.raises(ProblemFileError, match=r"nowhere\.jsonl cannot be read: "):
        read_problems(tmp_path / "nowhere.jsonl")
    if sys.platform != "win32":
        os.mkfifo(tmp_path / "p.jsonl")
        with pytest.raises(ProblemFileError, match="is not a file"):
            read_problems(tmp_path / "p.jsonl")
    monkeypatch.setattr("baton_reasoning.core.batch.reading.problems._MOST_FILES", 2)
    for name in "abc":
        written(tmp_path, f"set/{name}.txt", "One?\n")
    with pytest.raises(ProblemFileError, match=r"set has more than 2 files\. Put its problems into fewer"):
        read_problems(tmp_path / "set")
    (tmp_path / "set/c.txt").unlink()
    assert len(read_problems(tmp_path / "set").problems) == 2
    monkeypatch.setattr("baton_reasoning.core.batch.reading.tabular.UNPACKED_LIMIT", 1 << 20)
    with pytest.raises(ProblemFileError, match=r"unpacks to more than 1 MiB"):  # before it is unpacked
        read(tmp_path, "sums.xlsx", with_part("docProps/app.xml", " " * (2 << 20)))
    monkeypatch.setattr("baton_reasoning.core.batch.reading.source.FILE_LIMIT", 1 << 20)
    with pytest.raises(ProblemFileError, match=r"larger than 1 MiB\. Split it"):
        read(tmp_path, "p.txt", "One?\n" * (1 << 20))
    assert read(tmp_path, "p.txt", "One?\n".rjust(1 << 20))


def test_bad_lines_are_named_and_the_rest_is_read(tmp_path):
    lines = ['{"problem": "One?"}', '{"problem": ', "[1, 2]", '{"problem": " "}', '"Two\u2028?"', '{"other": 1}']
    found = read(tmp_path, "p.jsonl", "\n".join([*lines, '{"problem": ' + "9" * 10_000 + "}"]))
    assert texts(found) == ["One?", "Two\u2028?"]
    assert rejected(found) == [
        (2, "This is not valid JSON: Expecting value (column 13)."),
        (3, "This is JSON, but not an object with fields."),
        (4, "Its “problem” is empty."),
        (6, "Its “problem” is empty."),
        (7, "This JSON holds a number that is too long."),
    ]


@pytest.mark.parametrize("ending", ["jsonl", "json"])
def test_json_that_is_nested_too_deeply_is_refused_in_a_sentence(tmp_path, ending):
    for depth in (*range(900, 1_000), 100_000):
        deep = f'{{"problem": "Why?", "list": {"[" * depth}{"]" * depth}}}'
        with contextlib.suppress(ProblemFileError):
            read(tmp_path, f"p.{ending}", deep)
    with pytest.raises(ProblemFileError, match="nested too deeply"):
        read(tmp_path, f"p.{ending}", deep)


WESTERN_TEXTS = (
    "„Wie groß ist die Fläche?“ Der Bäcker verkauft für 3 € süße Brötchen – täglich außer samstags. ÄÖÜ",
    "« À côté de l’école créée en 1900 », dit l’héroïne ; où ça ? Résoudre x² + y³z.",
    "¿Cuántas niñas había? ¡Qué difícil! El 1º compró 3 kg de piñas en 2000; ¿y después?",
    "A solução da equação não é única: são três opções.",
    "Kuinka monta päärynää on pöydällä? Hääyö.",
    "créée",
)
OTHER_TEXTS = (
    ("gbk", "小明有三个苹果，吃了一个，还剩几个？"),
    ("gbk", "求x+1=3的解。"),
    ("big5", "小明有三個蘋果，吃了一個，還剩幾個？"),
    ("shift-jis", "りんごが三つあります。一つ食べました。"),
    ("euc-kr", "사과가 세 개 있습니다. 몇 개가 남습니까?"),
    ("windows-1251", "Сколько яблок осталось у Маши? 3 или 4"),
    ("koi8-r", "Сколько яблок осталось?"),
    ("windows-1253", "Πόσα μήλα έμειναν;"),
    ("windows-1250", "Ile jabłek zostało Małgosi? Oblicz długość boku trójkąta, jeżeli pole wynosi 6."),
)


@pytest.mark.parametrize("text", WESTERN_TEXTS)
def test_western_text_in_windows_1252_is_read_and_a_remark_says_so(tmp_path, text):
    found = read(tmp_path, "p.txt", f"What is 2 + 2?\n{text}\n".encode("cp1252"))
    assert texts(found) == ["What is 2 + 2?", text]
    assert found.notes == ("p.txt is not UTF-8 and was read as Windows-1252.",)
    assert found.encoding == "Windows-1252"


@pytest.mark.parametrize(("encoding", "text"), OTHER_TEXTS)
def test_text_in_another_encoding_is_refused_until_a_person_names_that(tmp_path, encoding, text):
    path = written(tmp_path, "set/p.csv", f"question\tanswer\nWhat is 2 + 2?\t4\n{text}\t{text}\n".encode(encoding))
    for place in (path, path.parent):
        with pytest.raises(
            UnknownEncoding, match=r"unknown encoding: it is not UTF-8 and not text in .*with --encoding, such as .*GBK"
        ):
            read_problems(place)
        found = read_problems(place, named=Corrections(encoding=encoding))
        assert [(each.text, each.expected) for each in found.problems][1:] == [(text, text)]
        assert found.encoding == encoding
    for other in ("ascii", "no-such-encoding", "base64"):
        with pytest.raises(UnknownEncoding, match=f"is not text in {other}"):
            read_problems(path, named=Corrections(encoding=other))
    written(tmp_path, "set/a.csv", f"question\tanswer\n{text}\t\n")
    found = read_problems(path.parent)
    assert (texts(found), found.encoding) == ([text], "Windows-1252"), "which can be corrected"
    found = read_problems(path.parent, named=Corrections(encoding=encoding))
    assert texts(found) == [text, "What is 2 + 2?", text], "UTF-8 stays UTF-8"


# Tables


def test_doubtful_rows_of_a_table(tmp_path):
    """Only a line break ends a row: a form feed, which is what becomes of \\frac in many files, needs no quotes."""
    long = "x\n" * 1_000_000
    rows = f'question,note,note,\n"{long}",1\nTwo?,1,2,3,4\nIs \x0crac\x0b{{3}}?\nFour?,a,b,c\n'
    found = read(tmp_path, "p.csv", rows)
    assert [(each.text, each.metadata) for each in found.problems] == [
        (long.strip(), {"note": "1"}),
        ("Is \x0crac\x0b{3}?", {}),
        ("Four?", {"note": "a", "note 3": "b", "column 4": "c"}),
    ]
    assert [reason for _, reason in rejected(found)] == ["The row has 5 fields, the header 4."]
    assert found.notes == ()
    found = read(tmp_path, "p.csv", "1,Wie groß ist die Fläche?\n2,“Und wo?”\n".encode("cp1252"))
    assert (texts(found), found.columns[0].problem) == (["Wie groß ist die Fläche?", "“Und wo?”"], "column 2")
    assert found.notes == ("p.csv is not UTF-8 and was read as Windows-1252.",)
    source = ProblemSource("standard-input", b"a;b\nWhy is it so?;2\nWhat is this, then?;3\n")
    found = read_problems(source, named=Corrections(answer="b"))
    assert [each.expected for each in found.problems] == ["2", "3"]


@pytest.mark.parametrize("above", ["", "sep=;\n", "Problems of the second grade\n", "# By: Anna\n\n", "Grade 2;\n"])
@pytest.mark.parametrize("delimiter", [";", "|"])
def test_a_table_begins_at_its_header(tmp_path, above, delimiter):
    rows = ["question;answer", "How much is |2| + |3|?", "Why is it so, then?;2;3", "What, in all, is it?;4"]
    if delimiter == "|":
        rows = [row.replace("|", "").replace(";", "|") for row in rows]
    found = read(tmp_path, "p.csv", above + "\n".join(rows))
    assert [(each.text, each.expected) for each in found.problems][1:] == [("What, in all, is it?", "4")]
    assert rejected(found) == [(3 + above.count("\n"), "The row has 3 fields, the header 2.")]


def test_the_first_visible_sheet_with_a_header_is_read_as_it_is_shown(tmp_path):
    shown: dict[object, str | None] = {4: "4", 1234567890123456: "1234567890123456", 0.1 + 0.2: "0.3"}
    shown |= {r"\frac{1}{2}": r"\frac{1}{2}", True: "TRUE", None: None}
    title = [("Questions of 2026",), (None,)]
    rows = [*title, ("Frage", None, "Antwort"), (None,), *(("What is 2 + 2?", None, cell) for cell in shown), ("Why?",)]
    found = read(tmp_path, "sums.xlsx", workbook(title, rows))
    assert [(each.text, each.expected, each.source_line) for each in found.problems] == [
        *(("What is 2 + 2?", expected, line) for line, expected in enumerate(shown.values(), 5)),
        ("Why?", None, 11),
    ]
    assert (found.rejected, found.notes) == ((), ("sums.xlsx: only the sheet “Sums 2” was read.",))
    assert texts(read(tmp_path, "sums.xlsx", workbook([], [("What is the sum?",)]))) == ["What is the sum?"]
    assert read(tmp_path, "sums.xlsx", workbook(rows)).notes == ()


def test_a_date_or_an_error_in_a_cell_would_be_a_wrong_answer(tmp_path):
    rows = [("Question", "Answer"), ("Which day?", date(2024, 1, 2)), ("What is 1 / 0?", "#DIV/0!"), ("How many?", 4)]
    found = read(tmp_path, "sums.xlsx", workbook(rows))
    assert texts(found) == ["How many?"]
    reason = "The cell {} is a date or an error; format it as text or correct it."
    assert rejected(found) == [(2, reason.format("B2")), (3, reason.format("B3"))]


@pytest.mark.parametrize(("module", "ending"), [("openpyxl", "xlsx"), ("pyarrow", "parquet")])
def test_without_its_package_a_sentence_says_how_to_get_it(tmp_path, monkeypatch, module, ending):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ProblemFileError, match=rf"pip install .*\[{ending}\]"):
        read(tmp_path, f"p.{ending}", b"")


@needs_pyarrow
def test_however_a_parquet_file_is_damaged_it_is_read_or_refused(tmp_path):
    """pyarrow raises OSError, UnicodeDecodeError and OverflowError besides its own."""
    pyarrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    path, draw = tmp_path / "p.parquet", random.Random(1)
    parquet.write_table(pyarrow.table({"question": ["One?", "Two?"] * 50, "answer": ["1", "2"] * 50}), path)
    sound = path.read_bytes()
    for _ in range(300):
        damaged = bytearray(sound)
        for _ in range(draw.randint(1, 6)):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        with contextlib.suppress(ProblemFileError):
            read(tmp_path, path.name, bytes(damaged))
    far = pyarrow.table({"question": ["One?"], "when": pyarrow.array([2**62], pyarrow.timestamp("us"))})
    parquet.write_table(far, path)
    with pytest.raises(ProblemFileError, match="damaged"):
        read_problems(path)


@needs_pyarrow
@pytest.mark.parametrize("store_schema", [True, False])
def test_a_text_that_many_rows_share_fills_no_memory(tmp_path, store_schema):
    pyarrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    shared = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * 30_000, pyarrow.int32()), ["x" * 900_000])
    path = tmp_path / "p.parquet"
    parquet.write_table(pyarrow.table({"question": shared}), path, store_schema=store_schema)
    assert path.stat().st_size < 100_000, "27 GB, packed"
    before = peak_memory()
    with pytest.raises(ProblemFileError, match="unpacks to more than 256 MiB"):
        read_problems(path)
    assert peak_memory() - before < 2**30


FIELDS = st.sampled_from(
    "problem question prompt messages answer target solution choices options body ground_truth A B choice1 choice2 "
    "id label text role content stem test train x.y".split(" ")
)
WORDS = st.sampled_from(["user", "A", "1", "A) red B) green", "['a', 'b']"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(FIELDS, inner, max_size=4),
    max_leaves=12,
)
RECORDS = st.lists(st.dictionaries(FIELDS, VALUES, max_size=6), min_size=1, max_size=4)
CONTENTS = st.one_of(
    RECORDS.map(lambda records: "\n".join(map(json.dumps, records)).encode()),
    RECORDS.map(lambda records: json.dumps({"data": records}).encode()),
    st.text(alphabet='|-#\n\t ,;"`Answer:12*', max_size=120).map(str.encode),
    st.binary(max_size=300),
)


@pytest.mark.slow
@settings(max_examples=size(250, long=10_000), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["", *ENDINGS]), CONTENTS)
def test_any_records_and_any_bytes_are_read_or_refused(tmp_path, ending, content):
    with contextlib.suppress(ProblemFileError):
        found = read(tmp_path, f"p{ending}", content)
        assert found.summary()
        for problem in found.problems:
            assert problem.text.strip()
            problem.text.encode()
