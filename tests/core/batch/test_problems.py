"""Problems come out of well-made files, and a bad record costs only itself."""

import gzip
import hashlib
import json
from pathlib import Path

import pytest

from baton_reasoning.core.batch.reading.columns import ColumnNames, Columns
from baton_reasoning.core.batch.reading.problems import read_problems
from baton_reasoning.core.errors import ProblemFileError
from baton_reasoning.core.problem import Problem
from tests.core.batch.files import read, texts, written

MATH = (
    {
        "problem": "What is $1+1$?",
        "solution": r"We add: $\boxed{2}$.",
        "answer": "2",
        "subject": "Algebra",
        "level": 1,
        "unique_id": "test/algebra/1.json",
    },
    {
        "problem": "Convert $(0,3)$ to polar coordinates.",
        "solution": r"They are $\boxed{\left( 3, \frac{\pi}{2} \right)}.$",
        "answer": r"\left( 3, \frac{\pi}{2} \right)",
        "subject": "Precalculus",
        "level": 2,
        "unique_id": "test/precalculus/807.json",
    },
)
MATH_LINES = "".join(json.dumps(record) + "\n" for record in MATH)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("math.jsonl", MATH_LINES.encode()),
        ("math.jsonl.gz", gzip.compress(MATH_LINES.encode(), mtime=0)),
        ("math.json", json.dumps(MATH, indent=2).encode()),
        ("math.json", json.dumps({"version": 1, "data": MATH}).encode()),
        ("math.json", MATH_LINES.encode()),
        ("math.jsonlines", MATH_LINES.encode()),
        ("math.JSONL", MATH_LINES.encode("utf-8-sig")),
        ("math.jsonl", MATH_LINES.encode("utf-16")),
        ("math.jsonl", f"\ufeff{MATH_LINES}".encode("utf-16-be")),
        ("math.jsonl", MATH_LINES.replace("\n", "\r\n").encode()),
    ],
)
def test_the_math_data_set_reads_without_a_question(tmp_path: Path, name: str, content: bytes) -> None:
    found = read(tmp_path, name, content)
    assert found.name == "math"
    assert found.rejected == ()
    assert found.columns == Columns("problem", "answer", "solution", "unique_id")
    assert found.available_columns == tuple(MATH[0])
    second = found.problems[1]
    assert second.id == "test/precalculus/807.json"
    assert second.expected == r"\left( 3, \frac{\pi}{2} \right)"
    assert second.metadata["subject"] == "Precalculus"
    assert second.metadata["level"] == "2"


def test_a_problem_knows_its_line_and_its_file_and_needs_no_answer(tmp_path: Path) -> None:
    found = read(tmp_path, "two.jsonl", '{"problem": "One?"}\n\n{"problem": "Two?"}\n')
    assert found.problems == (
        Problem("1", "One?", None, {}, 1, "two.jsonl"),
        Problem("2", "Two?", None, {}, 3, "two.jsonl"),
    )


@pytest.mark.parametrize(
    ("answer", "expected"),
    [("NaN", None), ("Infinity", "Infinity"), ("-Infinity", "-Infinity"), ('"NaN"', "NaN"), ("null", None)],
)
def test_a_missing_number_is_no_answer_and_an_infinite_one_is(
    tmp_path: Path, answer: str, expected: str | None
) -> None:
    """Pandas writes NaN for a missing value."""
    found = read(tmp_path, "p.jsonl", f'{{"problem": "P?", "answer": {answer}, "hint": NaN}}\n')
    assert [(each.expected, each.metadata) for each in found.problems] == [(expected, {})]


def test_right_and_wrong_options_in_columns_are_shuffled_the_same_way_each_time(tmp_path: Path) -> None:
    header = "Question,Correct Answer,Incorrect Answer 1,Incorrect Answer 2,Incorrect Answer 3\n"
    rows = "".join(f"What is {n}+{n}?,right,w1,w2,w3\n" for n in range(40))
    found = read(tmp_path, "gpqa.csv", header + rows)
    assert found == read(tmp_path, "gpqa.csv", header + rows)
    for problem in found.problems:
        assert f"{problem.expected}) right" in problem.text
    assert {problem.expected for problem in found.problems} == set("ABCD")


def test_other_columns_can_be_chosen(tmp_path: Path) -> None:
    path = written(tmp_path, "p.csv", "question,hint,value\nHow many?,Count them.,3\n")
    found = read_problems(path, named=ColumnNames("hint", "value"))
    assert texts(found) == ["Count them."]
    assert found.problems[0].expected == "3"
    for named in (ColumnNames("task"), ColumnNames(answer="task")):
        with pytest.raises(ProblemFileError, match=r"no column “task”.*question, hint, value"):
            read_problems(path, named=named)


def test_a_limit_reads_the_first_good_ones_of_a_file_or_a_folder(tmp_path: Path) -> None:
    lines = "not json\n" + "".join(f'{{"problem": "Problem {n}?"}}\n' for n in range(50))
    found = read_problems(written(tmp_path, "many.jsonl", lines), limit=3)
    assert texts(found) == ["Problem 0?", "Problem 1?", "Problem 2?"]
    for name in "ab":
        written(tmp_path, f"set/{name}.txt", "One?\nTwo?\n")
    assert texts(read_problems(tmp_path / "set", limit=3)) == ["One?", "Two?", "One?"]


def test_repeated_ids_are_made_unique_and_noted(tmp_path: Path) -> None:
    ids = ["a", "a", "b", "a#2", "a"]
    found = read(tmp_path, "p.jsonl", "\n".join(json.dumps({"id": each, "problem": "P?"}) for each in ids))
    assert [problem.id for problem in found.problems] == ["a", "a#3", "b", "a#2", "a#4"]
    assert any("more than once" in note for note in found.notes)


def test_a_folder_is_read_file_by_file(tmp_path: Path) -> None:
    written(tmp_path, "set/a.jsonl", '{"id": "1", "problem": "From JSON?"}\nbroken\n')
    written(tmp_path, "set/b.csv", "question,answer\nFrom CSV?,2\n")
    written(tmp_path, "set/deeper/c.txt.gz", packed := gzip.compress(b"From a text?\n"))
    written(tmp_path, "set/broken.json", "{")
    written(tmp_path, "set/README.md", "# About\nThis is no problem.\n")
    written(tmp_path, "set/picture.png", b"\x89PNG")
    written(tmp_path, "set/.hidden.jsonl", '{"problem": "Hidden?"}')
    found = read_problems(tmp_path / "set")
    assert found.name == "set"
    assert texts(found) == ["From JSON?", "From CSV?", "From a text?"]
    assert [problem.source for problem in found.problems] == ["a.jsonl", "b.csv", "deeper/c.txt.gz"]
    assert [(bad.source, bad.line) for bad in found.rejected] == [("broken.json", 0), ("a.jsonl", 2)]
    assert "id" in found.available_columns
    assert "question" in found.available_columns
    assert any(note.endswith("no problems: 2.") for note in found.notes)
    assert [file.name for file in found.origin.files] == ["a.jsonl", "b.csv", "deeper/c.txt.gz"]
    assert found.origin.files[2].sha256 == hashlib.sha256(packed).hexdigest()


def test_a_folder_with_too_many_files_is_refused_and_not_read_in_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("baton_reasoning.core.batch.reading.problems._MOST_FILES", 2)
    for name in "abc":
        written(tmp_path, f"set/{name}.txt", "One?\n")
    with pytest.raises(ProblemFileError, match=r"set has more than 2 files\. Put its problems into fewer"):
        read_problems(tmp_path / "set")


@pytest.mark.parametrize(
    ("name", "reason"), [("set/picture.png", r"no file of problems.*\.jsonl"), ("set/a.json", "not valid JSON")]
)
def test_a_folder_with_nothing_readable_is_refused_with_the_reason(tmp_path: Path, name: str, reason: str) -> None:
    written(tmp_path, name, "{")
    with pytest.raises(ProblemFileError, match=reason):
        read_problems(tmp_path / "set")
