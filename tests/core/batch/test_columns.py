"""The problem, the options and the answer are found in the files of public data sets and of other tools."""

from __future__ import annotations

import json

import pytest

from baton_reasoning.core.batch.reading.columns import ColumnNames, Columns, guess_columns
from baton_reasoning.core.batch.reading.problems import read_problems
from baton_reasoning.core.batch.reading.source import Record
from baton_reasoning.core.errors import ProblemFileError
from tests.core.batch.files import read, texts, written

ARC = {"id": "a", "question": {"stem": "How many?"}, "answerKey": "34"}
NESTED = {"id": "a", "doc": {"question": "How many?"}, "extra": {"more": {"ground_truth": "34"}}}
OLYMPIAD = {"id": 3, "question": "How many?", "final_answer": ["34"]}
MATH = {"problem": "How many?", "solution": r"We add: $\boxed{34}$.", "answer": "34", "level": 1, "unique_id": "a.json"}
GSM8K = {"question": "How many?", "answer": "It is 9 * 2 = <<9*2=18>>18, and 16 more.\n#### 34"}
SVAMP = {"ID": "a", "Body": "", "Question": "How many?", "Equation": "( 30.0 + 4.0 )", "Answer": "34"}
ALPACA = {"instruction": "How many?", "input": "", "output": "34"}
GERMAN = {"Nr": 1, "Aufgabe": "How many?", "Lösung": "Die Antwort.\n$\\boxed{34}$"}
UNNAMED = {"a": "x", "b": "How many?".ljust(40, " "), "expected": 34, "steps": "We add the two numbers. " * 9}


@pytest.mark.parametrize(
    "record",
    [ARC, NESTED, OLYMPIAD, MATH, GSM8K, SVAMP, ALPACA, GERMAN, UNNAMED],
)
@pytest.mark.parametrize("name", ["p.jsonl", "p.json"])
def test_a_problem_and_its_answer_are_found(tmp_path, record, name):
    (problem,) = read(tmp_path, name, json.dumps(record)).problems
    assert (problem.text, problem.expected) == ("How many?", "34")
    assert problem.id in ("1", "a", "a.json", "3")


@pytest.mark.parametrize(
    "fields",
    [
        {"choices": ["red", "green", "blue"], "answer": 1},
        {"choices": ["1", "2", "3"], "answer": 1},
        {"choices": ["red", "green", "blue"], "answer": "B) green"},
        {"choices": ["red", "green", "blue", None], "answer": "1"},
        {"choices": {"text": ["red", "green", "blue"], "label": ["1", "2", "3"]}, "answerKey": "2"},
        {"options": {"A": "red", "B": "green", "C": "blue", "D": None, "E": " "}, "answer": "(B)"},
        {"options": {"A": "red", "B": None, "C": "green", "D": "blue"}, "answer": "C"},
        {"options": ["A)red", "B)green", "C)blue"], "correct": "B"},
        {"question.choices": [{"label": "x", "text": "red"}, {"label": "y", "text": "green"}], "answerKey": "y"},
        {"Option A": "red", "Option B": "green", "Option C": "blue", "answer": "B"},
        {"choice1": "red", "choice2": "green", "choice3": "blue", "label": 2},
        {"choice1": "red", "choice2": "green", "label": "2"},
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


def test_labels_from_0_name_the_first_of_two_numbered_options(tmp_path):
    rows = [{"question": "Why?", "choice1": "sun", "choice2": "rain", "label": label} for label in (0, 1)]
    found = read(tmp_path, "copa.jsonl", "\n".join(map(json.dumps, rows)))
    assert [problem.expected for problem in found.problems] == ["A", "B"]


@pytest.mark.parametrize("names", ["ab", "AB", "abcd", "ABCD"])
def test_columns_of_single_letters_are_values_of_the_problem(tmp_path, names):
    record = {"question": "Solve a*x = b.", **{name: 3 * at for at, name in enumerate(names, 1)}, "answer": 1}
    found = read(tmp_path, "p.jsonl", json.dumps(record))
    assert [(each.text, each.expected) for each in found.problems] == [("Solve a*x = b.", "1")]
    assert found.problems[0].metadata[names[1]] == "6"


def test_options_in_one_text_are_refused_with_a_way_on(tmp_path):
    lines = [{"question": "Which?", "options": "A) red B) green", "answer": "B"}, {"question": "How many?"}]
    found = read(tmp_path, "p.jsonl", "\n".join(map(json.dumps, lines)))
    assert texts(found) == ["How many?"]
    assert "line 1: Its “options” is one text; write a list, or a column for each: option_a" in found.summary()[-1]


def test_right_and_wrong_options_in_columns_are_shuffled_the_same_way_each_time(tmp_path):
    header = "Question,Correct Answer,Incorrect Answer 1,Incorrect Answer 2,Incorrect Answer 3\n"
    rows = "".join(f"What is {n}+{n}?,right,w1,w2,w3\n" for n in range(40))
    found = read(tmp_path, "gpqa.csv", header + rows)
    assert found == read(tmp_path, "gpqa.csv", header + rows)
    for problem in found.problems:
        assert f"{problem.expected}) right" in problem.text
    assert {problem.expected for problem in found.problems} == set("ABCD")


def test_the_context_stands_before_the_question_where_there_is_one(tmp_path):
    for names in (("Body", "Question", "Answer"), ("input", "instruction", "output")):
        rows = [dict(zip(names, cells, strict=True)) for cells in (("It costs 76.", "How much?", 51.0), ("", "Or?", 4))]
        found = read(tmp_path, "svamp.json", json.dumps(rows))
        assert [(each.text, each.expected) for each in found.problems] == [
            ("It costs 76.\nHow much?", "51.0"),
            ("Or?", "4"),
        ]


def test_an_answer_column_that_is_empty_in_every_row_does_not_beat_a_filled_one(tmp_path):
    found = read(tmp_path, "p.csv", "question,answer,target\nHow many?,,34\nHow few?,,3\n")
    assert [problem.expected for problem in found.problems] == ["34", "3"]
    assert found.columns[0].answer == "target"


@pytest.mark.parametrize("name", ["p.jsonl", "p.json"])
def test_a_conversation_is_refused_and_another_column_can_be_named(tmp_path, name):
    """Chat files, verl: the problem is a list of messages."""
    record = {"prompt": [{"role": "user", "content": "How many?"}], "extra_info": {"text": "How?", "answer": "34"}}
    path = written(tmp_path, name, json.dumps(record))
    with pytest.raises(ProblemFileError, match=r"“prompt” is a structure.* another column: prompt, extra_info\.text"):
        read_problems(path)
    (problem,) = read_problems(path, named=ColumnNames("extra_info.text")).problems
    assert (problem.text, problem.expected) == ("How?", "34")


def test_columns_that_a_person_names_are_not_guessed(tmp_path):
    path = written(tmp_path, "p.csv", "id,question,hint,choice_a,choice_b,value\nx,Which?,Look.,red,green,B\n")
    found = read_problems(path, named=ColumnNames("question", "value"))
    (problem,) = found.problems
    assert (problem.id, problem.text, problem.expected) == ("x", "Which?\n\nA) red\nB) green", "B")
    assert "The answer is the column “value”." in found.summary()
    for missing in (ColumnNames("task"), ColumnNames(answer="task")):
        with pytest.raises(ProblemFileError, match=r"no column “task”\. Choose one of: id, question, hint"):
            read_problems(path, named=missing)
    row = Record(1, dict.fromkeys(("instruction", "input", "output", "id", "solution"), "x"))
    assert guess_columns([row], ColumnNames(answer="")) == Columns("instruction", id="id", context="input")


@pytest.mark.parametrize(
    ("solution", "expected"),
    [
        ("We add 1 and 1.\n\nThe answer is 2.", "2"),
        ("Thus the final answer is $\\frac12$, because half of it is gone.", "\\frac12"),
        ("We add one and one,\nand that is all.", None),
        (r"Thus \boxed{7}.", "7"),
    ],
)
def test_an_answer_is_cut_out_of_its_solution(tmp_path, solution, expected):
    record = {"question": "One?", "answer": "", "solution": solution}
    (problem,) = read(tmp_path, "p.jsonl", json.dumps(record)).problems
    assert problem.expected == expected
