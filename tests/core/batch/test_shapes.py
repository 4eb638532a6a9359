"""Files as public data sets and other tools have them: the problem, the options and the answer are found."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from baton_reasoning.core.batch.reading.columns import ColumnNames
from baton_reasoning.core.batch.reading.problems import read_problems
from tests.core.batch.files import read, texts, written

USER = {"role": "user", "content": "How many?"}
VERL = {
    "prompt": [USER],
    "reward_model": {"style": "rule", "ground_truth": "34"},
    "extra_info": {"answer": "Long. #### 9"},
}
DAPO = {"prompt": [USER], "ability": "MATH", "extra_info": {"ground_truth": "34", "index": 3}}
HARNESS = {
    "doc_id": 3,
    "doc": {"question": "How many?", "answer": "Worked. #### 34"},
    "target": "34",
    "resps": [["35"]],
}
INSPECT = {"id": "a", "epoch": 1, "input": [USER], "target": ["34"], "output": {"completion": "35"}, "scores": {}}
SHAREGPT = {"conversations": [{"from": "human", "value": "How many?"}, {"from": "gpt", "value": r"So \boxed{34}."}]}
SYSTEM = {"role": "system", "content": "Be brief."}
CHAT = {"messages": [SYSTEM, USER, {"role": "assistant", "content": r"So \boxed{34}."}]}
PARTS = {"messages": [{"role": "user", "content": [{"type": "text", "text": "How many?"}]}], "answer": "34"}
BATCH = {
    "custom_id": "a",
    "url": "/v1/chat/completions/with/a/long/path",
    "body": {"messages": [USER]},
    "answer": "34",
}


@pytest.mark.parametrize("record", [VERL, DAPO, HARNESS, INSPECT, SHAREGPT, CHAT, PARTS, BATCH])
def test_a_problem_and_its_answer_are_found_in_nested_records(tmp_path: Path, record: dict[str, object]) -> None:
    (problem,) = read(tmp_path, "p.jsonl", json.dumps(record)).problems
    assert (problem.text, problem.expected) == ("How many?", "34")


def test_the_id_of_an_openai_batch_request_is_kept(tmp_path: Path) -> None:
    assert read(tmp_path, "p.jsonl", json.dumps(BATCH)).problems[0].id == "a"


@pytest.mark.parametrize(
    "record",
    [
        {"question": "Which?", "choices": ["red", "green", "blue"], "answer": 1},
        {"question": "Which?", "choices": ["red", "green", "blue"], "answer": "B"},
        {"question": "Which?", "choices": ["red", "green", "blue"], "answer": "green"},
        {
            "question": "Which?",
            "choices": {"text": ["red", "green", "blue"], "label": ["1", "2", "3"]},
            "answerKey": "2",
        },
        {"question": "Which?", "options": {"A": "red", "B": "green", "C": "blue"}, "answer": "B"},
        {"question": "Which?", "options": {"A": "red", "B": "green", "C": "blue", "D": None, "E": " "}, "answer": "B"},
        {"question": "Which?", "options": {"A": "red", "B": None, "C": "green", "D": "blue"}, "answer": "C"},
        {"question": "Which?", "choices": ["red", "green", "blue", None], "answer": 1},
        {"question": "Which?", "Option A": "red", "Option B": "green", "Option C": "blue", "answer": "B"},
        {"question": "Which?", "option_a": "red", "option_b": "green", "option_c": "blue", "answer": "green"},
        {"question": "Which?", "choice1": "red", "choice2": "green", "choice3": "blue", "label": 2},
        {"question": "Which?", "opa": "red", "opb": "green", "opc": "blue", "cop": 1},
        {"question": "Which?", "options": "A) red B) green C) blue", "answer": "B"},
        {"question": "Which?", "options": "a ) red , b ) green , c ) blue", "correct": "b"},
        {"question": "Which?", "options": "['A)red', 'B)green', 'C)blue']", "correct": "B"},
        {"question": "Which?", "options": "red\ngreen\nblue", "answer": "(B)"},
        {
            "question": {
                "stem": "Which?",
                "choices": [
                    {"label": "A", "text": "red"},
                    {"label": "B", "text": "green"},
                    {"label": "C", "text": "blue"},
                ],
            },
            "answerKey": "B",
        },
    ],
)
def test_options_are_found_wherever_they_stand(tmp_path: Path, record: dict[str, object]) -> None:
    found = read(tmp_path, "choice.jsonl", json.dumps(record))
    assert texts(found) == ["Which?\n\nA) red\nB) green\nC) blue"]
    assert (found.problems[0].expected, found.multiple_choice) == ("B", 1)


def test_four_columns_named_as_the_letters_of_all_answers_are_options(tmp_path: Path) -> None:
    found = read(tmp_path, "p.csv", "Question,A,B,C,D,Answer\nWhich?,red,green,blue,black,D\nAnd now?,1,2,3,4,A\n")
    assert texts(found)[0] == "Which?\n\nA) red\nB) green\nC) blue\nD) black"
    assert [problem.expected for problem in found.problems] == ["D", "A"]


@pytest.mark.parametrize("names", ["ab", "AB", "abcd", "ABCD"])
def test_columns_of_single_letters_are_values_of_the_problem(tmp_path: Path, names: str) -> None:
    record = {"question": "Solve a*x = b.", **{name: 3 * at for at, name in enumerate(names, 1)}, "answer": 1}
    found = read(tmp_path, "p.jsonl", json.dumps(record))
    assert [(each.text, each.expected) for each in found.problems] == [("Solve a*x = b.", "1")]
    assert found.problems[0].metadata[names[1]] == "6"


def test_labels_from_0_name_the_first_of_two_numbered_options(tmp_path: Path) -> None:
    rows = [{"question": "Why?", "choice1": "sun", "choice2": "rain", "label": label} for label in (0, 1)]
    found = read(tmp_path, "copa.jsonl", "\n".join(map(json.dumps, rows)))
    assert [problem.expected for problem in found.problems] == ["A", "B"]


def test_an_empty_last_option_is_none(tmp_path: Path) -> None:
    found = read(
        tmp_path, "p.csv", "question,option a,option b,option c,answer\nWhich one?,red,green,,A\nOr this one?,1,2,3,C\n"
    )
    assert [text.count("\n") for text in texts(found)] == [3, 4]
    named = "The options are the columns “option a, option b, option c” (known by their names)."
    assert named in found.summary()


@pytest.mark.parametrize(
    "names", [("Body", "Question", "Answer"), ("body", "question", "answer"), ("input", "instruction", "output")]
)
def test_the_context_stands_before_the_question_where_there_is_one(tmp_path: Path, names: tuple[str, ...]) -> None:
    rows = [dict(zip(names, cells, strict=True)) for cells in (("It costs 76.", "How much?", 51.0), ("", "Or?", 4))]
    found = read(tmp_path, "svamp.json", json.dumps(rows))
    assert texts(found) == ["It costs 76.\nHow much?", "Or?"]
    assert [problem.expected for problem in found.problems] == ["51.0", "4"]


def test_worked_steps_are_not_the_problem(tmp_path: Path) -> None:
    record = {
        "statement of it": "What is the sum of 1 and 2?",
        "steps": "We add the two numbers and see that it is 3. " * 9,
    }
    found = read(tmp_path, "carp.jsonl", json.dumps(record))
    assert (found.columns.problem, found.columns.solution) == ("statement of it", "steps")


def test_an_answer_column_that_is_empty_in_every_row_does_not_beat_a_filled_one(tmp_path: Path) -> None:
    found = read(tmp_path, "p.csv", "question,answer,target\nHow many?,,34\nHow few?,,3\n")
    assert [problem.expected for problem in found.problems] == ["34", "3"]
    assert found.columns.answer == "target"


def test_a_picture_in_a_message_drops_its_record_with_a_reason(tmp_path: Path) -> None:
    picture = {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}], "answer": "1"}
    found = read(tmp_path, "p.jsonl", "\n".join(map(json.dumps, (picture, PARTS))))
    assert texts(found) == ["How many?"]
    assert found.summary()[-1] == "  p.jsonl line 1: It has a picture, which the models cannot see."


def test_naming_columns_keeps_options_and_ids(tmp_path: Path) -> None:
    path = written(tmp_path, "p.csv", "id,question,hint,choice_a,choice_b,value\nx,Which?,Look.,red,green,B\n")
    found = read_problems(path, named=ColumnNames("question", "value"))
    (problem,) = found.problems
    assert (problem.id, problem.text, problem.expected) == ("x", "Which?\n\nA) red\nB) green", "B")
    assert ("answer", ("value",), "you named it") in found.columns.choices_made()


def test_half_characters_are_replaced_and_reported(tmp_path: Path) -> None:
    found = read(tmp_path, "p.jsonl", r'{"problem": "How \ud83d many?", "answer": "\ud83d\ude00"}')
    assert (found.problems[0].text, found.problems[0].expected) == ("How ? many?", "😀")
    assert found.notes == ("p.jsonl: half characters (lone surrogates) were replaced by “?” in 1 problem.",)


def test_the_report_names_columns_answers_and_what_was_dropped(tmp_path: Path) -> None:
    lines = [{"question": "One?", "answer": "1", "level": 5}, {"question": "Two?", "answer": ""}, {"question": ""}]
    found = read(tmp_path, "p.jsonl.gz", gzip.compress("\n".join(map(json.dumps, lines)).encode()))
    report = "\n".join(found.summary())
    assert "Read 2 problems, 1 with an answer, 1 cannot be graded." in report
    assert "The problem is the column “question” (known by its name)." in report
    assert "The answer is the column “answer” (known by its name)." in report
    assert "Other columns are kept as metadata: level." in report
    assert "1 record was dropped:\n  p.jsonl line 3: Its “question” is empty." in report
    without = read(tmp_path, "p.jsonl", '{"problem": "One?"}')
    assert not without.with_answer
    assert "No column holds an answer." in without.summary()


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"solution": "We add 1 and 1.\n\nThe answer is 2."}, "2"),
        ({"solution": "Thus the final answer is $\\frac12$, because half of it is gone."}, "\\frac12"),
        ({"solution": "We add one and one,\nand that is all."}, None),
        ({"solution": r"Thus \boxed{7}.", "answer": ""}, "7"),
        ({"answer": "9 * 2 = <<9*2=18>>18\n#### 18"}, "18"),
    ],
)
def test_an_answer_is_cut_out_of_its_solution(tmp_path: Path, answers: dict[str, str], expected: str | None) -> None:
    (problem,) = read(tmp_path, "p.jsonl", json.dumps({"question": "One?", **answers})).problems
    assert problem.expected == expected
