"""Damaged, hostile and doubtful files: each is read as far as it goes, or refused in a sentence with a way on."""

from __future__ import annotations

import contextlib
import gzip
import importlib
import importlib.util
import json
import os
import random
import sys
import zipfile
from datetime import date
from io import BytesIO

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from baton_reasoning.core.batch.reading.problems import read_problems
from baton_reasoning.core.batch.reading.records import ENDINGS
from baton_reasoning.core.errors import ProblemFileError
from tests.conftest import peak_memory
from tests.core.batch.counting import read, texts, written
from tests.tiers import size

needs_pyarrow = pytest.mark.skipif(importlib.util.find_spec("pyarrow") is None, reason="pyarrow is an extra")
NAMES = st.sampled_from(
    "problem question prompt messages answer target solution choices options body ground_truth A B choice1 choice2 "
    "id label text role content stem test train x.y".split(" ")
)
WORDS = st.sampled_from(["user", "A", "1", "A) red B) green", "['a', 'b']"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
IN_ONE_FOLDER = settings(max_examples=size(40, long=1_000), suppress_health_check=[HealthCheck.function_scoped_fixture])


def rejected(found):
    return [(bad.line, bad.reason) for bad in found.rejected]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("p.jsonl", b"", r"is empty\. Choose a file with at least one problem"),
        ("p.csv", b"\n \n\t\n", "is empty"),
        ("p.txt", b"\xff\xfe \x00", "is empty"),
        ("p.csv", b"question,answer\n", "no problem that can be read"),
        ("p.jsonl", b"nonsense\n", "Line 1: This is not valid JSON"),
        ("p.json", b'{"problem": "Why?",\n', r"cannot be read\. This is not valid JSON: .*\. Correct the file"),
        (
            "p.jsonl",
            b'{"question": ""}\n',
            r"is the problem\. Rename it to “problem”, or .* There are: question\.",
        ),
        (
            "p.jsonl",
            b'{"a": 1}\n',
            r"is the problem\. .* --column problem=NAME\. There are: a\.",
        ),
        ("p.jsonl", b'{"a": "Why is it?"}\n{"a": "And where is it?"}', "which column is the problem"),
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
    ],
)
def test_what_cannot_be_read_is_refused_with_a_reason_and_a_way_on(tmp_path, name, content, reason):
    path = written(tmp_path, name, content)
    with pytest.raises(ProblemFileError, match=reason):
        read_problems(tmp_path / "set" if "/" in name else path)


def test_what_is_not_there_is_no_file_or_is_too_much_is_refused(tmp_path, monkeypatch):
    with pytest.raises(ProblemFileError, match="cannot be read: No such file"):
        read_problems(tmp_path / "nowhere.jsonl")
    if hasattr(os, "mkfifo"):
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


def test_half_characters_are_replaced_and_what_is_not_utf_8_is_read_as_windows_1252(tmp_path):
    line = r'{"problem": "How \ud83d many?", "answer": "\ud83d\ude00", "\ud83d": "x"}'
    (problem,) = read(tmp_path, "p.jsonl", line).problems
    assert (problem.text, problem.expected, problem.metadata) == ("How ? many?", "😀", {"?": "x"})
    found = read(tmp_path, "p.txt", "Wie groß ist die Fläche?\n“Und wo?”\n".encode("cp1252"))
    assert texts(found) == ["Wie groß ist die Fläche?", "“Und wo?”"]
    assert found.notes == ("p.txt is not UTF-8 and was read as Windows-1252.",)


# Tables


def test_only_a_line_break_ends_a_row(tmp_path):
    """A form feed is what becomes of the LaTeX \\frac in many files; it needs no quotes."""
    cells = ("What is \x0crac{1}{2} of 4?", "One\u2028two?", "One\x85two?", "One\x0btwo?")
    found = read(tmp_path, "p.csv", "question,answer\n" + "".join(f"{cell},2\n" for cell in cells))
    assert [(each.text, each.expected, each.source_line) for each in found.problems] == [
        (cell, "2", line) for line, cell in enumerate(cells, start=2)
    ]


def test_doubtful_rows_of_a_table(tmp_path):
    """Too many fields, too few, a header that repeats itself, a field of many lines; and no header at all."""
    long = "x\n" * 1_000_000
    rows = f'question,note,note,\n"{long}",1\nTwo?,1,2,3,4\nThree?\nFour?,a,b,c\n'
    found = read(tmp_path, "p.csv", rows)
    assert [(each.text, each.metadata) for each in found.problems] == [
        (long.strip(), {"note": "1"}),
        ("Three?", {}),
        ("Four?", {"note": "a", "note 3": "b", "column 4": "c"}),
    ]
    assert [reason for _, reason in rejected(found)] == ["The row has 5 fields, the header 4."]
    assert found.notes == ()
    found = read(tmp_path, "p.csv", "1,What is one and one?\n2,What is two and two?\n")
    assert (texts(found), found.columns[0].problem) == (["What is one and one?", "What is two and two?"], "column 2")


def workbook(*sheets):
    """A hidden sheet, then these."""
    book = openpyxl.Workbook()
    notes = book.active
    assert notes is not None
    notes.append(("Question", "Answer"))
    notes.sheet_state = "hidden"
    for number, rows in enumerate(sheets, start=1):
        sheet = book.create_sheet(f"Sums {number}")
        for row in rows:
            sheet.append(row)
    book.save(packed := BytesIO())
    return packed.getvalue()


def with_part(name, content):
    """A workbook with another text for one of its parts."""
    packed = BytesIO()
    with zipfile.ZipFile(BytesIO(workbook([("Question",), ("Why?",)]))) as old, zipfile.ZipFile(packed, "w") as new:
        for each in old.namelist():
            new.writestr(each, content if each == name else old.read(each))
    return packed.getvalue()


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (4, "4"),
        (1234567890123456, "1234567890123456"),
        (0.1 + 0.2, "0.3"),
        ("\\frac{1}{2}", "\\frac{1}{2}"),
        (True, "TRUE"),
        (None, None),
    ],
)
def test_the_first_visible_sheet_with_a_header_is_read_as_it_is_shown(tmp_path, cell, expected):
    title = [("Questions of 2026",), (None,)]
    rows = [*title, ("Frage", None, "Antwort"), (None,), ("What is 2 + 2?", None, cell), ("Why?",)]
    found = read(tmp_path, "sums.xlsx", workbook(title, rows))
    problem, short = found.problems
    assert (problem.text, problem.expected, problem.source_line) == ("What is 2 + 2?", expected, 5)
    assert (short.text, short.expected, short.source_line) == ("Why?", None, 6)
    assert (found.rejected, found.notes) == ((), ("sums.xlsx: only the sheet “Sums 2” was read.",))
    assert texts(read(tmp_path, "sums.xlsx", workbook([], [("What is the sum?",)]))) == ["What is the sum?"]


def test_a_date_or_an_error_in_a_cell_would_be_a_wrong_answer(tmp_path):
    rows = [("Question", "Answer"), ("Which day?", date(2024, 1, 2)), ("What is 1 / 0?", "#DIV/0!"), ("How many?", 4)]
    found = read(tmp_path, "sums.xlsx", workbook(rows))
    assert texts(found) == ["How many?"]
    reason = "The cell {} is a date or an error; format it as text or correct it."
    assert rejected(found) == [(2, reason.format("B2")), (3, reason.format("B3"))]


ENTITIES = '<!ENTITY e0 "0123456789">' + "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
"""The last one unpacks to ten billion characters."""


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04rest",
        b"\xd0\xcf\x11\xe0 EncryptedPackage",
        workbook([("Question",)])[:-40],
        with_part("xl/worksheets/sheet2.xml", "<worksheet><sheetData><row><c"),
        with_part("xl/workbook.xml", "<workbook/>"),
        with_part("xl/styles.xml", f"<!DOCTYPE x [{ENTITIES}]><x>&e9;</x>"),
    ],
)
def test_what_is_no_whole_workbook_is_refused_with_a_way_on(tmp_path, content):
    with pytest.raises(ProblemFileError, match=r"damaged or protected by a password, or no .* Save the sheet as CSV"):
        read(tmp_path, "sums.xlsx", content)


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


# Whatever it is


@pytest.mark.slow
@IN_ONE_FOLDER
@given(st.lists(st.dictionaries(NAMES, VALUES, max_size=6), min_size=1, max_size=4))
def test_any_records_are_read_or_refused(tmp_path, records):
    (tmp_path / "p.jsonl").write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    (tmp_path / "p.json").write_text(json.dumps({"data": records}), encoding="utf-8")
    for path in tmp_path.glob("p.*"):
        with contextlib.suppress(ProblemFileError):
            found = read_problems(path)
            assert found.summary()
            for problem in found.problems:
                assert problem.text.strip()
                problem.text.encode()


@pytest.mark.slow
@settings(IN_ONE_FOLDER, max_examples=size(200, long=10_000))
@given(
    st.sampled_from(["", *ENDINGS]),
    st.binary(max_size=300) | st.text(alphabet='|-#\n\t ,;"`Answer:12*', max_size=120).map(str.encode),
)
def test_any_bytes_are_read_or_refused(tmp_path, ending, data):
    with contextlib.suppress(ProblemFileError):
        read(tmp_path, f"p{ending}", data)
