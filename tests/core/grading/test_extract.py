"""The answer is found where models leave it; without a mark, where a reader takes it from the end."""

import pytest

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.grading.extract import (
    answer_of_run,
    answer_of_text,
    expected_answer,
    extract_answer,
    extract_choice,
    last_boxed,
    marked_answer,
)
from baton_reasoning.core.grading.verdict import GradingMethod, Regex
from baton_reasoning.core.thinking.events import Event, Finish, RunEnded, RunStarted, TextInserted, ThinkingClosed
from baton_reasoning.core.thinking.trace import Trace


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"First \boxed{1}, no: \boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{\boxed{5}}", "5"),
        (r"\boxed{5} and then it broke off: \boxed{6", "5"),
        (r"\boxed{7} \boxed{ }", "7"),
        (r"\boxed 7", "7"),
        (r"The solutions are $\boxed{1}$ and $\boxed{-2}$.", "1, -2"),
        ("The answer is 4. Wait. The answer is 6.", "6"),
        ("The answer is $18, because 9 eggs at $2 make $18.", "$18"),
        ("The answer is\n\\[\n\\frac{1}{2}.\n\\]", r"\frac{1}{2}"),
        ("It must be so: the answer must be exactly 18, since 7 are kept.", "18"),
        ("The answer is 18. This answer is reasonable.", "18"),
        ("#### 7 and so on. Let me double check: #### 8", "8"),
        ("所以最终答案是：$18$。", "18"),
        # Where an answer ends in its sentence
        ("The answer is $18$, because 9 eggs at $2 make $18.", "18"),
        ("The answer is $1$ and $-2$.", "$1$ and $-2$"),
        ("The answer is 0.333...", "0.333..."),
        ("The answer is 18 🎉", "18"),
        ("The answer is 18 (half of all the eggs).", "18"),
        ("The answer is 10 (20% of 50).", "10"),
        ("Final answer: The curve is a hyperbola.", "The curve is a hyperbola"),
        ("The answer is 5! = 120.", "5! = 120"),
        # Without a mark
        ("**Total:** 12 apples", "12 apples"),
        (r"So $m + n = 200 + 4 = 204$.", "204"),
        ("The primes are 2, 3, and 5.", "2, 3, and 5"),
        ("So $x = 3$ and $x = 5$.", "$x = 3$ and $x = 5$"),
        ("So $x = 3$ and $y = 5$.", "y = 5"),
        ("The trip takes 2 hours and 30 minutes.", "2 hours and 30 minutes"),
        ("Thus, it takes her 1 hour and 30 minutes.", "1 hour and 30 minutes"),
        ("The total is **$1,080**, i.e. 12 months at $90 a month.", "$1,080"),
        ("It arrives at 4:45 p.m.", "4:45 p.m"),
        ("Tom ends up with 42 marbles, which is 8 more than before.", "42 marbles"),
        ("The curve is a hyperbola.", "The curve is a hyperbola"),
        # A question is an answer only if it is affirmed or the last word
        ("So the answer is 540? No. It is 450.", "450"),
        ("The answer is 450. Could the answer be 540? No.", "450"),
        ("The answer is 540? Yes.", "540"),
        ("So the answer is 540?", "540"),
        ("How many eggs? 18", "18"),
        ("It is 18.\n\nLet me know if you need all 12 steps!", "18"),
        # A correction takes back what was said before it, and claims of others are not the text's
        (r"It is \boxed{15}. Correction: I forgot the base, so it is 18.", "18"),
        ("The answer is 42. Scratch that, the driver counts too: it is 43.", "43"),
        ("The answer is 16. No, wait. He eats 4, so it is 12.", "12"),
        ("Answer: 7\n\nNote: If she had 14, the answer would be 9.", "7"),
        ("They say that the answer is 8, but the answer is 9.", "9"),
        ("It is wrong to say that the answer is 8. She has 9 left.", "9 left"),
        ("Were it closed, the answer would be 8. It has 9 sides.", "9 sides"),
        ("There are not 8 apples.", "There are not 8 apples"),
        ("No, 8 apples are left.", "8 apples"),
        ("Die gesuchte Zahl ist nicht 14, sondern 16.", "16"),
        # One value of several is stated; several competing ones are left to a person
        ("She has 23 stamps, after giving 17 of her 40 stamps away.", "23 stamps"),
        ("With 20% off, she pays 72 euros, that is, 18 less than 90.", "72 euros"),
        ("He ran 8 laps and she ran 9 laps", "He ran 8 laps and she ran 9 laps"),
        # Boxes
        (r"$\boxed{p = 0.3}$" "\n\n" r"$\boxed{q = 0.6}$", "p = 0.3, q = 0.6"),
        (r"\boxed{\text{Answer: } 24}", "24"),
        (r"So it is $\boxed{\frac{1}{2}$.", r"\frac{1}{2}"),
        ("The code begins with `main() {`. The answer is 5.", "5"),
        (r"**Answer:** 11,\! 100", r"11,\! 100"),
        # Another question that the model asks itself
        ("Answer: 3\n\nQuestion: Tom has 12 apples. He eats 4.\nAnswer: 8", "3"),
        ("The answer is 3.\n\nQ: Tom has 12 apples. He eats 4.\nA: The answer is 8.", "3"),
        ("So there are 16 eggs.\n\nQuestion: How many does she sell?\nAnswer: 9", "9"),
        ("Question: Tom has 12 apples. He eats 4.\nAnswer: 8", "8"),
        # No answer
        (r"We solve it and get 12." "\n\n" r"\[\boxed{}\]", None),
        (r"<think>It is \boxed{12}. Wait,", None),
        ("The list names 12 items, but no prices. I cannot answer this.", None),
        ("I do not know.", None),
        ("<think>So far we have 16 eggs", None),
        ("", None),
    ],
)
def test_the_answer_is_found_and_without_a_mark_only_in_a_text_that_was_not_cut_off(text, answer):
    """Texts of every kind are in the labelled set; these have what it does not."""
    assert extract_answer(text) == answer
    assert extract_answer("So far we have 16 eggs", finished=False) is None
    assert extract_answer("The answer is 18, and", finished=False) == "18, and"
    assert extract_answer(r"So it is \boxed{12", finished=False) is None


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        (r"So it is \boxed{18}.", "18"),
        ("**Final answer:** 18", "18"),
        ("### Answer\n\n18", "18"),
        ("We add. #### 18", "18"),
        ("<answer>18</answer>", "18"),
        ("My solution is simple: we add 4 and 5.", None),
        ("To find out what the answer is, we add 3 and 4.", None),
        ("We take 3.\n\n21", None),
        ("An answer to 347 + 586 takes three steps. The result is 21.", None),
    ],
)
def test_a_headline_is_only_what_the_text_marks_as_its_answer(text, marked):
    assert marked_answer(text) == marked


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        *(r"\boxed{" * 20_000, "<answer>x" + "< " * 50_000, "answer" + ":" * 50_000, "the final answer\n" * 5_000),
        *("answer: " * 20_000, "the answer is? " * 20_000, "the answer is not " * 20_000, "the answer to " * 20_000),
        *("not sure whether the answer " * 20_000, "1." * 50_000, "½" * 50_000, "with 8, " * 20_000, "one " * 20_000),
    ],
)
def test_a_text_that_never_ends_its_phrases_is_searched_once(text):
    assert last_boxed(text) is None
    extract_answer(text)


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        (r"Hence \boxed{\text{B}}", "B"),
        ("The answer is (C).", "C"),
        ("Let us see.\n\nD", "D"),
        ("Option A is wrong, and C is wrong too. Final: (B).", "B"),
        ("I pick B. Option C is wrong.", "B"),
        ("Initial: A. Final: B. So it is option C.", "C"),
        ("A is the nucleus.\n\nSo there are 27 of them, which is option C.", "C"),
        ("It is not A. That leaves D.", "D"),
        ("So it must be (B).", "B"),
        ("Take option d).", "D"),
        ("因此应选Ａ。", "A"),
        ("Both fit.\n\nA, B", None),
        (r"It is \boxed{A, C}.", None),
        ("The answer is A) and C).", None),
        ("The final A is long.", None),
        ("A long story about a cat.", None),
        ("", None),
    ],
)
def test_a_choice_is_looked_for_first_where_a_letter_is_expected(text, letter):
    assert extract_choice(text) == letter
    if letter:
        assert extract_answer(text, "A") == letter
    assert extract_answer(text, "27") == extract_answer(text)


@pytest.mark.parametrize(
    ("field", "worked", "answer"),
    [
        ("18", False, "18"),
        ("She has 9 * 2 = <<9*2=18>>18.\n#### 18", False, "18"),
        (r"We add, so \boxed{\frac{3}{4}}.", True, r"\frac{3}{4}"),
        ("We add 1 and 1.\n\nThe answer is 2.", True, "2"),
        ("We add the numbers and find\nthat it is so.", True, None),
        ("x" * 60, True, "x" * 60),
        ("x" * 61, True, None),
        ("x" * 61, False, "x" * 61),
        ("  ", False, None),
    ],
)
def test_a_data_sets_field_gives_its_answer(field, worked, answer):
    assert expected_answer(field, worked=worked) == answer


@pytest.mark.parametrize(
    ("thinking", "written", "ended", "answer", "matched"),
    [
        ("One.\n\nTwo.", "\\boxed{4}", True, "4", "\\boxed{4}"),
        ("\\boxed{3}", " The answer is 4. ", True, "4", "The answer is 4."),
        ("\\boxed{3}", "It is four", False, None, "It is four"),
        ("The answer is 3.", "\n", True, None, None),
        ("Two. \\boxed{3}", None, True, None, None),
        ("So it is four.", None, True, None, None),
        (None, "\\boxed{4}", True, "4", "\\boxed{4}"),
        (None, "It is four.", True, "four", "It is four."),
    ],
)
def test_the_answer_of_a_run_or_all_text_after_the_thinking(thinking, written, ended, answer, matched):
    """`thinking`: None for a model without it; `written`: after it, None if it is not closed."""
    start = 0 if thinking is None else len(f"{thinking}</think>")
    happened: list[Event] = [RunStarted(0.0, (), "never", {}, 0, None, None, 0, thinking is not None)]
    if thinking is not None:
        happened.append(TextInserted(1.0, thinking, ""))
        if written is not None:
            happened += [TextInserted(1.0, "</think>", ""), ThinkingClosed(1.0, Author.SMALL, start, "</think>")]
    finish = Finish.END_OF_TEXT if ended else Finish.MAX_TOKENS
    trace = Trace.of([*happened, TextInserted(2.0, written or "", ""), RunEnded(3.0, finish)])
    for how, found in ((GradingMethod.AUTO, answer), (Regex("{expected}"), matched)):
        assert answer_of_run(trace, "4", how) == found
        assert answer_of_text(trace.text, start if written is not None else None, ended, "4", how) == found
