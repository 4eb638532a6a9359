"""Nasty files: every one is read as far as it goes, or refused with a sentence."""

import contextlib
import gzip
import importlib.util
import json
import os
import random
import sys
import tracemalloc
from pathlib import Path

import pytest

from baton_reasoning.core.batch.reading.formats import ending_of
from baton_reasoning.core.batch.reading.problem_set import ProblemSet
from baton_reasoning.core.batch.reading.problems import read_problems
from baton_reasoning.core.batch.reading.source import FIELD_LIMIT
from baton_reasoning.core.errors import ProblemFileError
from tests.conftest import peak_memory
from tests.core.batch.files import read, texts


def rejected(found: ProblemSet) -> list[tuple[int, str]]:
    return [(bad.line, bad.reason) for bad in found.rejected]


# JSON


def test_bad_lines_are_named_and_the_rest_is_read(tmp_path: Path) -> None:
    found = read(
        tmp_path, "p.jsonl", '{"problem": "One?"}\n{"problem": \n[1, 2]\n{"problem": " "}\n"Two?"\n{"other": 1}\n'
    )
    assert texts(found) == ["One?", "Two?"]
    lines = [line for line, _ in rejected(found)]
    assert lines == [2, 3, 4, 6]
    assert "not valid JSON" in rejected(found)[0][1]
    assert "empty" in rejected(found)[2][1]


@pytest.mark.parametrize("ending", ["jsonl", "json"])
def test_json_that_is_nested_too_deeply_is_refused_in_a_sentence(tmp_path: Path, ending: str) -> None:
    for depth in (*range(900, 1_000), 100_000):
        deep = f'{{"problem": "Why?", "list": {"[" * depth}{"]" * depth}}}'
        with contextlib.suppress(ProblemFileError):
            read(tmp_path, f"p.{ending}", deep)
    with pytest.raises(ProblemFileError, match="nested too deeply"):
        read(tmp_path, f"p.{ending}", deep)


def test_a_number_of_ten_thousand_digits_is_rejected(tmp_path: Path) -> None:
    found = read(tmp_path, "p.jsonl", '{"problem": ' + "9" * 10_000 + '}\n{"problem": "Fine?"}')
    assert "too long" in rejected(found)[0][1]


@pytest.mark.parametrize("field", ["problem", "messages"])
def test_a_field_that_is_too_long_is_rejected_also_where_it_is_nested(tmp_path: Path, field: str) -> None:
    texts_of = ("x" * (FIELD_LIMIT + 1), "Fine?")
    rows = [{field: text if field == "problem" else [{"role": "user", "content": text}]} for text in texts_of]
    found = read(tmp_path, "p.jsonl", "\n".join(map(json.dumps, rows)))
    assert texts(found) == ["Fine?"]
    assert rejected(found) == [(1, f"The field “{field}” has 1,000,001 characters; 1,000,000 are the limit.")]


def test_a_line_separator_inside_a_json_string_ends_no_line(tmp_path: Path) -> None:
    assert texts(read(tmp_path, "p.jsonl", '{"problem": "one\u2028two"}')) == ["one\u2028two"]


@pytest.mark.parametrize("document", ['{"a": 1}', '{"train": [{"problem": "Old?"}], "test": [{"problem": "New?"}]}'])
def test_a_document_that_does_not_hold_one_list_is_refused(tmp_path: Path, document: str) -> None:
    with pytest.raises(ProblemFileError, match="does not hold one list of problems"):
        read(tmp_path, "p.json", document)


def test_one_object_is_one_problem_whatever_lists_it_has(tmp_path: Path) -> None:
    document = {"problem": "Alone?", "answer": "4", "hints": {"all": [{"hint": "Count."}]}}
    assert texts(read(tmp_path, "p.json", json.dumps(document))) == ["Alone?"]


# Delimited


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("name", ["p.csv", "p.tsv"])
def test_the_delimiter_is_found(tmp_path: Path, name: str, delimiter: str) -> None:
    rows = [["id", "question", "answer"], ["a", "What, then; is it?", "1,5"], ["b", "And that?", "2"]]
    quoted = "\n".join(delimiter.join(f'"{cell}"' for cell in row) for row in rows)
    found = read(tmp_path, name, quoted)
    assert texts(found) == ["What, then; is it?", "And that?"]
    assert [problem.expected for problem in found.problems] == ["1,5", "2"]


def test_a_quoted_field_keeps_its_line_breaks_and_quotes(tmp_path: Path) -> None:
    found = read(tmp_path, "p.csv", 'question,answer\r\n"She said ""how\r\nmany?""",3\r\nNext?,4\r\n')
    assert texts(found) == ['She said "how\nmany?"', "Next?"]
    assert [problem.source_line for problem in found.problems] == [2, 4]


def test_only_a_line_break_ends_a_row(tmp_path: Path) -> None:
    """A form feed is what becomes of the LaTeX \\frac in many files; it needs no quotes."""
    cells = ("What is \x0crac{1}{2} of 4?", "One\u2028two?", "One\x85two?", "One\x0btwo?")
    found = read(tmp_path, "p.csv", "question,answer\n" + "".join(f"{cell},2\n" for cell in cells))
    assert texts(found) == list(cells)
    assert [problem.expected for problem in found.problems] == ["2"] * 4
    assert [problem.source_line for problem in found.problems] == [2, 3, 4, 5]


@pytest.mark.parametrize("row", ['"Two?,2', '"Two" or three?,2'])
def test_quotes_that_do_not_match_up_are_refused_with_their_line(tmp_path: Path, row: str) -> None:
    with pytest.raises(ProblemFileError, match="the quotes of the row in line 3 do not match up"):
        read(tmp_path, "p.csv", f"question,answer\nOne?,1\n{row}\nThree?,3\n")


def test_a_row_with_too_many_fields_is_rejected_and_a_short_one_is_not(tmp_path: Path) -> None:
    found = read(tmp_path, "p.csv", "question,answer\nOne?,1,2,3\nTwo?\nThree?,3\n")
    assert texts(found) == ["Two?", "Three?"]
    assert "4 fields, the header 2" in rejected(found)[0][1]


def test_a_long_quoted_field_does_not_cut_what_follows(tmp_path: Path) -> None:
    long = "x\n" * FIELD_LIMIT
    found = read(tmp_path, "p.csv", f'question,answer\n"{long}",1\nFine?,2\n')
    assert texts(found) == ["Fine?"]
    assert len(found.rejected) == 1


def test_a_file_without_header_gives_its_longest_column(tmp_path: Path) -> None:
    found = read(tmp_path, "p.csv", "1,What is one and one?\n2,What is two and two?\n")
    assert texts(found) == ["What is one and one?", "What is two and two?"]
    assert found.columns.problem == "column 2"


def test_repeated_header_cells_lose_no_value(tmp_path: Path) -> None:
    found = read(tmp_path, "p.csv", "question,note,note,\nWhy?,a,b,c\n")
    assert found.problems[0].metadata == {"note": "a", "note 3": "b", "column 4": "c"}


def test_a_single_column_needs_no_delimiter(tmp_path: Path) -> None:
    assert texts(read(tmp_path, "p.csv", "problem\nWhat is it?\nAnd that?\n")) == ["What is it?", "And that?"]


# Text without a name


@pytest.mark.parametrize(
    ("text", "ending"),
    [
        ('{"problem": "Why?"}\n{"problem": "How?"}\n', ".jsonl"),
        ('{\n "data": []\n}', ".json"),
        ("\n[]", ".json"),
        ("Frage;Antwort\nWarum?;2\nWie, wo?;3\n", ".csv"),
        ("a\tb\nWhy?\t2\n", ".csv"),
        ("problem\nWhy?\nHow?\n", ".csv"),
        ("First, add 1 to 2.\nThen, add 3.\n", ".txt"),
        ("Why, and how?\nAnswer: 2\n", ".txt"),
        ("Name the task, and solve it.", ".txt"),
        ("", ".txt"),
    ],
)
def test_a_text_without_a_name_gets_the_ending_that_its_content_has(text: str, ending: str) -> None:
    assert ending_of(text) == ending


# Text


@pytest.mark.parametrize(
    ("text", "problems", "answers"),
    [
        ("One?\nTwo?\n", ["One?", "Two?"], [None, None]),
        (
            "A train leaves.\nWhen?\nAnswer: 5\n\n\nTwo?\n**Answer:** 6\n",
            ["A train leaves.\nWhen?", "Two?"],
            ["5", "6"],
        ),
        (
            "There are two.\n\nHow many?\nAnswer: 2\n\nThere are three.\n\nHow many?\nAnswer: 3\n",
            ["There are two.\n\nHow many?", "There are three.\n\nHow many?"],
            ["2", "3"],
        ),
        ("One\n\nmore?\n---\nTwo?\n", ["One\n\nmore?", "Two?"], [None, None]),
    ],
)
def test_lines_blank_lines_answers_or_rules_part_the_problems_of_a_text(
    tmp_path: Path, text: str, problems: list[str], answers: list[str | None]
) -> None:
    found = read(tmp_path, "p.txt", text)
    assert texts(found) == problems
    assert [problem.expected for problem in found.problems] == answers


# Bytes


def test_what_is_not_utf_8_is_read_as_windows_1252_and_noted(tmp_path: Path) -> None:
    found = read(tmp_path, "p.txt", "Wie groß ist die Fläche?\n“Und wo?”\n".encode("cp1252"))
    assert texts(found) == ["Wie groß ist die Fläche?", "“Und wo?”"]
    assert found.notes == ("p.txt is not UTF-8 and was read as Windows-1252.",)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("p.jsonl", b"", "is empty"),
        ("p.csv", b"\n \n\t\n", "is empty"),
        ("p.csv", b"question,answer\n", "no problem that can be read"),
        ("p.jsonl", b"nonsense\n", "Line 1: This is not valid JSON"),
        ("p.jsonl", b'{"question": ""}\n', "empty “question” in every row"),
        ("p.jsonl", b'{"a": 1}\n', "which column is the problem. Choose one of: a"),
        ("p.txt", b"Why?\n\x00\x01", "binary file"),
        ("p.txt", bytes(range(256)) * 20, "neither UTF-8 nor Windows-1252"),
        ("p.csv", b"PK\x03\x04rest", "is a zip archive or a spreadsheet.*save the sheet as CSV"),
        ("p.ods", b"PK\x03\x04rest", "is a zip archive or a spreadsheet.*save the sheet as CSV"),
        ("p.txt", b"%PDF-1.7 ...", "a PDF"),
        ("p.jsonl", b"GGUF\x03\x00", "a model file"),
        ("p.jsonl.gz", gzip.compress(b'{"problem": "One?"}' * 100, mtime=0)[:-20], "damaged gzip"),
        ("p.jsonl.gz", b"\x1f\x8bnonsense", "damaged gzip"),
        ("p.txt", "Why?".encode("utf-16") + b"\x00", "broken further on"),
        ("p.docx", b"Why?", "is not a supported format"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_a_sentence(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    with pytest.raises(ProblemFileError, match=reason):
        read(tmp_path, name, content)


def test_a_missing_file_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ProblemFileError, match="cannot be read"):
        read_problems(tmp_path / "nowhere.jsonl")


def test_a_gzip_bomb_stops_at_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("baton_reasoning.core.batch.reading.source.FILE_LIMIT", 1 << 20)
    packed = gzip.compress(b"One?\n" * (8 << 20))
    tracemalloc.start()
    with pytest.raises(ProblemFileError, match="larger than 1 MiB"):
        read(tmp_path, "p.txt.gz", packed)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20, "of 40 MiB"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p.jsonl")
    with pytest.raises(ProblemFileError, match="is not a file"):
        read_problems(tmp_path / "p.jsonl")


@pytest.mark.slow
def test_a_column_in_each_row_takes_linear_time(tmp_path: Path) -> None:
    rows = [json.dumps({"problem": "One?", f"k{number}": 1}) for number in range(30_000)]
    assert len(read(tmp_path, "p.jsonl", "\n".join(rows)).problems) == 30_000


# Parquet


def test_parquet_without_its_package_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ProblemFileError, match=r"pip install .*\[parquet\]"):
        read(tmp_path, "p.parquet", b"PAR1")


@pytest.mark.skipif(importlib.util.find_spec("pyarrow") is None, reason="pyarrow is an extra")
def test_parquet_is_read_where_its_package_is_installed(tmp_path: Path) -> None:
    pyarrow = importlib.import_module("pyarrow")
    parquet = importlib.import_module("pyarrow.parquet")
    parquet.write_table(pyarrow.table({"question": ["One?", "Two?"], "answer": ["1", "2"]}), tmp_path / "p.parquet")
    found = read_problems(tmp_path / "p.parquet")
    assert texts(found) == ["One?", "Two?"]
    with pytest.raises(ProblemFileError, match="damaged"):
        read(tmp_path, "q.parquet", b"PAR1nonsensePAR1")


@pytest.mark.skipif(importlib.util.find_spec("pyarrow") is None, reason="pyarrow is an extra")
def test_however_a_parquet_file_is_damaged_it_is_read_or_refused(tmp_path: Path) -> None:
    """pyarrow raises OSError, UnicodeDecodeError and OverflowError besides its own."""
    pyarrow = importlib.import_module("pyarrow")
    parquet = importlib.import_module("pyarrow.parquet")
    path, draw = tmp_path / "p.parquet", random.Random(1)
    parquet.write_table(pyarrow.table({"question": ["One?", "Two?"] * 50, "answer": ["1", "2"] * 50}), path)
    sound, refused = path.read_bytes(), 0
    for _ in range(300):
        damaged = bytearray(sound)
        for _ in range(draw.randint(1, 6)):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        path.write_bytes(damaged)
        try:
            read_problems(path)
        except ProblemFileError:
            refused += 1
    assert refused > 50
    far = pyarrow.table({"question": ["One?"], "when": pyarrow.array([2**62], pyarrow.timestamp("us"))})
    parquet.write_table(far, path)
    with pytest.raises(ProblemFileError, match="damaged"):
        read_problems(path)


@pytest.mark.skipif(importlib.util.find_spec("pyarrow") is None, reason="pyarrow is an extra")
def test_a_text_that_many_rows_share_fills_no_memory(tmp_path: Path) -> None:
    pyarrow = importlib.import_module("pyarrow")
    parquet = importlib.import_module("pyarrow.parquet")
    shared = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * 30_000, pyarrow.int32()), ["x" * 900_000])
    parquet.write_table(pyarrow.table({"question": shared}), tmp_path / "p.parquet")
    assert (tmp_path / "p.parquet").stat().st_size < 100_000, "27 GB, packed"
    before = peak_memory()
    with pytest.raises(ProblemFileError, match="unpacks to more than 256 MiB"):
        read_problems(tmp_path / "p.parquet")
    assert peak_memory() - before < 2**30
