"""Files as public data sets and other tools have them: the problem, the options and the answer are found."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from baton_reasoning.core.batch.reading.columns import ColumnNames
from baton_reasoning.core.batch.reading.problem_set import ProblemSet
from baton_reasoning.core.batch.reading.problems import read_problems
from baton_reasoning.core.errors import ProblemFileError
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
CHAT = {"messages": [USER, {"role": "assistant", "content": r"So \boxed{34}."}]}
PARTS = {"messages": [{"role": "user", "content": [{"type": "text", "text": "How many?"}]}], "answer": "34"}
BATCH_FILE = {
    "custom_id": "a",
    "url": "/v1/chat/completions/with/a/long/path",
    "body": {"messages": [USER]},
    "answer": "34",
}


@pytest.mark.parametrize("record", [VERL, DAPO, HARNESS, INSPECT, SHAREGPT, CHAT, PARTS, BATCH_FILE])
def test_a_problem_and_its_answer_are_found_in_nested_records(tmp_path: Path, record: dict[str, object]) -> None:
    (problem,) = read(tmp_path, "p.jsonl", json.dumps(record)).problems
    assert (problem.text, problem.expected) == ("How many?", "34")


def test_the_id_of_an_openai_batch_request_is_kept(tmp_path: Path) -> None:
    assert read(tmp_path, "p.jsonl", json.dumps(BATCH_FILE)).problems[0].id == "a"


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


@pytest.mark.parametrize("names", [("Body", "Question", "Answer"), ("body", "question", "answer")])
def test_the_body_stands_before_the_question(tmp_path: Path, names: tuple[str, ...]) -> None:
    record = dict(zip(names, ("A pack costs 76.", "How much?", 51.0), strict=True))
    (problem,) = read(tmp_path, "svamp.json", json.dumps([record])).problems
    assert (problem.text, problem.expected) == ("A pack costs 76.\nHow much?", "51.0")


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


def test_the_text_files_of_a_folder_are_one_set(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    for number in (1, 2):
        written(folder, f"{number}.txt", f"What is\n{number} + {number}?\nAnswer: {2 * number}\n")
    found = read_problems(folder)
    assert texts(found) == ["What is\n1 + 1?", "What is\n2 + 2?"]
    assert [problem.expected for problem in found.problems] == ["2", "4"]


def test_paragraphs_before_an_answer_are_one_problem(tmp_path: Path) -> None:
    text = "There are two.\n\nHow many?\nAnswer: 2\n\nThere are three.\n\nHow many?\nAnswer: 3\n"
    found = read(tmp_path, "p.txt", text)
    assert texts(found) == ["There are two.\n\nHow many?", "There are three.\n\nHow many?"]
    assert [problem.expected for problem in found.problems] == ["2", "3"]


@pytest.mark.parametrize("name", ["p.ods", "p.zip"])
def test_a_spreadsheet_or_an_archive_is_named_as_what_it_is(tmp_path: Path, name: str) -> None:
    with pytest.raises(ProblemFileError, match=r"is a zip archive or a spreadsheet.*save the sheet as CSV"):
        read(tmp_path, name, b"PK\x03\x04rest")


def test_naming_columns_keeps_options_and_ids(tmp_path: Path) -> None:
    path = written(tmp_path, "p.csv", "id,question,hint,choice_a,choice_b,value\nx,Which?,Look.,red,green,B\n")
    found = read_problems(path, named=ColumnNames("question", "value"))
    (problem,) = found.problems
    assert (problem.id, problem.text, problem.expected) == ("x", "Which?\n\nA) red\nB) green", "B")
    assert ("answer", ("value",), "you named it") in found.columns.choices_made()


def test_an_answer_column_that_is_not_there_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "p.csv", "question,answer\nHow many?,3\n")
    with pytest.raises(ProblemFileError, match=r"no column “nope”.*question, answer"):
        read_problems(path, named=ColumnNames(answer="nope"))


def test_half_characters_are_replaced_and_reported(tmp_path: Path) -> None:
    found = read(tmp_path, "p.jsonl", r'{"problem": "How \ud83d many?", "answer": "\ud83d\ude00"}')
    assert (found.problems[0].text, found.problems[0].expected) == ("How ? many?", "😀")
    assert found.notes == ("p.jsonl: half characters (lone surrogates) were replaced by “?” in 1 problem.",)


def summary_of(found: ProblemSet) -> str:
    return "\n".join(found.summary())


def test_the_report_names_columns_answers_and_what_was_dropped(tmp_path: Path) -> None:
    lines = [{"question": "One?", "answer": "1", "level": 5}, {"question": "Two?", "answer": ""}, {"question": ""}]
    report = summary_of(read(tmp_path, "p.jsonl.gz", gzip.compress("\n".join(map(json.dumps, lines)).encode())))
    assert "Read 2 problems, 1 with an answer, 1 cannot be graded." in report
    assert "The problem is the column “question” (known by its name)." in report
    assert "The answer is the column “answer” (known by its name)." in report
    assert "Other columns are kept as metadata: level." in report
    assert "1 record was dropped:\n  p.jsonl line 3: Its “question” is empty." in report


def test_a_file_without_any_answer_says_so(tmp_path: Path) -> None:
    found = read(tmp_path, "p.jsonl", '{"problem": "One?"}')
    assert not found.with_answer
    assert "No column holds an answer." in found.summary()


@pytest.mark.parametrize(
    ("solution", "expected"),
    [
        ("We add 1 and 1.\n\nThe answer is 2.", "2"),
        ("Thus the final answer is $\\frac12$, because half of it is gone.", "\\frac12"),
        ("We add one and one,\nand that is all.", None),
    ],
)
def test_a_worked_solution_says_its_answer_in_a_phrase(tmp_path: Path, solution: str, expected: str | None) -> None:
    line = {"messages": [{"role": "user", "content": "One?"}, {"role": "assistant", "content": solution}]}
    (problem,) = read(tmp_path, "p.jsonl", json.dumps(line)).problems
    assert problem.expected == expected


def test_an_instruction_without_an_input_is_read_as_well(tmp_path: Path) -> None:
    rows = [
        {"instruction": "Add them.", "input": "1 and 2", "output": "3"},
        {"instruction": "Count to 4.", "input": "", "output": "4"},
    ]
    found = read(tmp_path, "p.json", json.dumps(rows))
    assert [problem.text for problem in found.problems] == ["1 and 2\nAdd them.", "Count to 4."]


def test_several_option_columns_are_named_in_the_plural(tmp_path: Path) -> None:
    found = read(tmp_path, "p.csv", "question,opt1,opt2,answer\nWhat?,red,blue,2\n")
    assert "The options are the columns “opt1, opt2” (known by their names)." in summary_of(found)
