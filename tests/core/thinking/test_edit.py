"""A person changes an answer in the middle, and the models go on from there."""

from __future__ import annotations

import random

import pytest

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.edit import edited
from baton_reasoning.core.thinking.events import (
    Finish,
    RunStarted,
    TakeoverStarted,
    TextInserted,
    ThinkingClosed,
    TokenWritten,
)
from baton_reasoning.core.thinking.policies.every_step import EveryStep
from baton_reasoning.core.thinking.policies.step_score import StepScore
from baton_reasoning.core.thinking.reasons import EDITED
from baton_reasoning.core.thinking.registry import POLICIES
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.thinking.trace_json import event_from_json, event_to_json, trace_to_json
from tests.core.thinking.drawn import every_policy, settings_of, written
from tests.core.thinking.oracles.worlds import World
from tests.tiers import size

pytestmark = pytest.mark.scaled

WORLD = World(5, tagged=True, drawn=True)
NEVER = settings_of(POLICIES["never"].Settings(), 1)


def spans(trace: Trace) -> list[tuple[Author, str]]:
    return [(piece.author, piece.text) for piece in trace.pieces]


def by_person(trace: Trace) -> str:
    return "".join(piece.text for piece in trace.pieces if piece.author is Author.PERSON)


@every_policy
def test_an_edited_text_goes_on_after_the_edit_and_survives_a_kill(policy):
    settings = settings_of(policy, 3)
    original = written(WORLD, settings)
    places = random.Random(7).sample(range(1, original.length), size(3, long=30))
    for place, ending in zip(places, ("Wait, 3.", "so it is 4.\n\n", "a"), strict=False):
        edit = edited(original, place, ending)
        assert edit.text == original.text[:place] + ending
        done = written(WORLD, settings, Trace.of(edit.events))
        kill = random.Random(place).randrange(len(edit.events), len(done.events))
        for each in done, written(WORLD, settings, Trace.of(done.events[:kill])):
            assert each.text.startswith(edit.text)
            assert each.finish is not None
            assert by_person(each) == by_person(edit)


def test_what_is_the_same_keeps_its_author():
    original = written(WORLD, NEVER)
    piece = original.pieces[1]
    edit = edited(original, piece.position, piece.text[:8] + "!")
    assert edit.text == original.text[: piece.position] + piece.text[:8] + "!"
    before = Trace.of(original.events).until(piece.position + 8)
    assert by_person(edit) == edit.text[before.length :]
    assert edit.totals[Author.SMALL].kept == before.totals[Author.SMALL].kept
    assert edit.tokens == before.tokens, "a person's text counts no tokens"


def test_an_edit_that_only_cuts_has_no_text_by_a_person():
    original = written(WORLD, NEVER)
    second = original.pieces[1].position
    for text in ("", original.text[second : original.pieces[2].position]):
        edit = edited(original, second, text)
        assert edit.text == original.text[: second + len(text)]
        assert not any(isinstance(event, TextInserted) for event in edit.events)


def test_an_edit_of_the_whole_text_keeps_how_the_run_began():
    edit = edited(written(WORLD, NEVER), 0, "Let me see.\n\n")
    assert spans(edit) == [(Author.PERSON, "Let me see.\n\n")]
    done = written(WORLD, NEVER, edit)
    assert done.thinks


def test_an_edit_inside_a_takeover_ends_it():
    settings = settings_of(EveryStep.Settings(), 1)
    original = written(WORLD, settings)
    number = next(n for n, event in enumerate(original.events) if isinstance(event, TakeoverStarted)) + 5
    place = Trace.of(original.events[:number]).length
    edit = edited(original, place, "five. ")
    assert edit.takeover is None
    done = written(WORLD, settings, edit)
    assert done.pieces[-1].author is not Author.PERSON


def test_a_closing_tag_in_the_edit_begins_the_answer():
    original = written(WORLD, NEVER)
    place = original.pieces[2].position
    edit = edited(original, place, "So it is 7.</think>\n\nThe answer")
    assert edit.closed
    assert edit.closed.author is Author.PERSON
    assert edit.answer == "\n\nThe answer"
    assert [piece.in_answer for piece in edit.pieces[-2:]] == [False, True]
    done = written(WORLD, NEVER, edit)
    assert done.answer.startswith("\n\nThe answer")
    assert sum(isinstance(event, ThinkingClosed) for event in done.events) == 1


@pytest.mark.parametrize(("boundary", "steps"), [(r"\n", ["Mine.\n", "Yours."]), ("(", ["Mine.\nYours."])])
def test_a_step_of_a_person_ends_at_the_boundary_of_the_run(boundary, steps):
    """A trace may be a stranger's, with a pattern that no run accepts."""
    started = RunStarted(0.0, (), "never", {"boundary": boundary}, 1, None, None, 0, False)
    edit, token = TextInserted(0.0, "Mine.\n", EDITED.id, Author.PERSON), TokenWritten(0.0, Author.SMALL, 1, "Yours.")
    assert [step.text for step in Trace.of([started, edit, token]).steps] == steps


def test_an_edit_just_after_the_closing_tag_stays_in_the_answer():
    original = written(WORLD, NEVER)
    assert original.closed
    done = written(WORLD, NEVER, edited(original, original.closed.position, "\n\nNo: 8"))
    assert done.answer.startswith("\n\nNo: 8")


def test_what_a_person_wrote_is_never_written_again():
    """The large model rejects most steps; of an edited one it may write only what follows the edit."""
    settings = settings_of(StepScore.Settings(threshold=9), 1)
    original = written(WORLD, settings_of(StepScore.Settings(threshold=0), 1))
    for ending in ("Mine.\n\n", "Mine and"):
        edit = edited(original, original.pieces[2].position, ending)
        done = written(WORLD, settings, edit)
        assert by_person(done) == ending
        assert any(piece.author is Author.LARGE for piece in done.pieces)


def test_an_edited_text_can_be_edited_again():
    once = written(WORLD, NEVER, edited(written(WORLD, NEVER), 40, "Mine, and more.\n\n"))
    mine = next(piece for piece in once.pieces if piece.author is Author.PERSON)
    twice = edited(once, mine.position, "Mine, or less.\n\n")
    assert by_person(twice) == "Mine, or less.\n\n"
    after = edited(once, mine.position + mine.length, "Mine again.\n\n")
    assert by_person(after).endswith("Mine again.\n\n")
    assert written(WORLD, NEVER, after).finish in (Finish.END_OF_TEXT, Finish.MAX_TOKENS)


def test_the_trace_names_the_person():
    edit = edited(written(WORLD, NEVER), 40, "Mine.")
    event = edit.events[-1]
    assert isinstance(event, TextInserted)
    data = event_to_json(event)
    assert (data["author"], data["reason"]) == ("person", EDITED.id)
    assert event_from_json(data) == event
    last = trace_to_json(edit)
    assert last["pieces"][-1]["author"] == "person"
    assert set(last["totals"]) == {"small", "large"}
