"""What is copied and exported reads without control tags, and says why Baton inserted what it did."""

import re

import pytest

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.export.html_page import to_html
from baton_reasoning.core.export.markdown import to_markdown
from baton_reasoning.core.models.thinking_tags import ThinkingTags
from baton_reasoning.core.thinking.events import TextInserted, ThinkingClosed
from baton_reasoning.core.thinking.policies.alone import Never
from baton_reasoning.core.thinking.reasons import ANSWER_NOW, BUDGET
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.words.plain_text import answer_text, step_text, whole_text
from baton_reasoning.core.words.step_rows import TracePart, part_of
from tests.core.store.made import a_run, an_answer, started, tokens
from tests.core.thinking.running import run
from tests.fakes import mixed
from tests.fakes.scripted import ScriptedEngine

TAG = "</think>"


def closed_by_baton(said, answer=("Four.",), reason=BUDGET):
    """A run in which Baton inserted a sentence with the closing tag after the first step."""
    first, inserted = "Two and two.\n\n", f"{said}\n{TAG}\n\n"
    closed = ThinkingClosed(1.0, Author.INSERTED, len(first) + len(inserted), TAG)
    written = TextInserted(1.0, inserted, reason.id)
    return Trace.of([started(), *tokens(Author.SMALL, [first]), written, closed, *tokens(Author.SMALL, answer)])


def test_reasoning_and_answer_stand_apart_without_the_closing_tag():
    assert whole_text(Trace.of(a_run(steps=1))) == "Reasoning\n\nStep 0 goes on.\n\nAnswer\n\nThe answer is 4."


def test_what_baton_inserted_has_its_reason_and_a_tag_alone_says_that_it_closed_the_reasoning():
    spoken, silent = closed_by_baton("So the answer:"), closed_by_baton("")
    assert step_text(spoken, spoken.pieces[1]) == "So the answer: (reasoning budget used up)"
    assert step_text(silent, silent.pieces[1]) == "Reasoning closed: reasoning budget used up."
    assert "Two and two.\n\nReasoning closed: reasoning budget used up.\n\nAnswer\n\nFour." in whole_text(silent)


@pytest.mark.parametrize(
    ("before", "text", "copied"),
    [
        ("def f():\n\n", "    if x:\n        pass\n\n", "    if x:\n        pass"),
        ("def f():\n    ", "return 1\n", "    return 1"),
        ("- one\n", "\n  - two\n", "  - two"),
        ("One.", " Two.\n", "Two."),
    ],
)
def test_a_step_is_copied_with_the_indentation_of_its_first_line(before, text, copied):
    trace = Trace.of([started(), *tokens(Author.SMALL, [before]), *tokens(Author.LARGE, [text])])
    assert step_text(trace, trace.pieces[-1]) == copied


@pytest.mark.parametrize("trace", [Trace.of(a_run()[:6]), Trace.of(mixed.by_one_pair())], ids=["open", "no thinking"])
def test_a_text_that_is_one_part_has_no_names_of_parts(trace):
    assert whole_text(trace) == answer_text(trace) == trace.text.strip()


def test_a_tag_that_the_answer_repeats_is_not_copied():
    trace = closed_by_baton("", ["Four.", f"\n{TAG}\n", "Done."])
    assert TAG in trace.answer
    for text in answer_text(trace), whole_text(trace):
        assert TAG not in text
        assert text.split()[-2:] == ["Four.", "Done."]


GPT_OSS = ThinkingTags("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>")


@pytest.mark.parametrize("head", ["commentary", "analysis", "commentary to=functions.sum <|constrain|>json"])
def test_another_channel_of_gpt_oss_is_read_as_thinking(head):
    said = f"Two and two.<|end|><|start|>assistant<|channel|>{head}<|message|>Let me add."
    pieces = re.findall(r"<\|\w+\|>| ?\w+|[^<\w]+", f"{said}{GPT_OSS.closing}Four.")
    trace = Trace()
    for event in run(Never(), ScriptedEngine(pieces, thinking=GPT_OSS)).trace.events:
        trace.apply(event)
        for part in TracePart:
            text, start = part_of(trace, part, live=trace.ended is None)
            assert not set("<|>") & set(text), "not even while it is written"
            assert start + len(text) <= trace.length
    assert whole_text(trace) == f"Reasoning\n\nTwo and two.\n{' ' * (len(said) - 25)}\nLet me add.\n\nAnswer\n\nFour."
    assert part_of(trace, TracePart.THINKING, live=False)[0].index("Let me") == said.index("Let me")


@pytest.mark.parametrize("reason", [BUDGET, ANSWER_NOW])
def test_a_page_says_why_the_reasoning_was_closed_in_the_place_of_a_tag(reason):
    exported = an_answer(closed_by_baton("", reason=reason))
    words = f"Reasoning closed: {reason.label[:1].lower()}{reason.label[1:]}."
    assert f"\n\n▣ {words}\n\n</details>" in to_markdown(exported)
    for page in to_markdown(exported), to_html(exported):
        assert words in page
        assert "think&gt;" not in page
        assert TAG not in page
