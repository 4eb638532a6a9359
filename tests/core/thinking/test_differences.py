"""Texts side by side: where their steps part, what a takeover corrected, and what a second opinion finds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baton_reasoning.core.engines.abilities import Ability
from baton_reasoning.core.engines.base import Alternative, ScoredToken
from baton_reasoning.core.errors import EngineLost, EngineRefused, SettingsError
from baton_reasoning.core.thinking import opinion
from baton_reasoning.core.thinking.differences import (
    correction_by,
    correction_in,
    differing_numbers,
    parting,
    thinking_steps,
)
from baton_reasoning.core.thinking.events import OpinionGiven, TakeoverStarted, TextDiscarded
from baton_reasoning.core.thinking.opinion import Opinion, OpinionProgress, SecondOpinion
from baton_reasoning.core.thinking.policies.alone import Never
from baton_reasoning.core.thinking.text_reading import spans
from baton_reasoning.core.thinking.trace import Piece, Trace
from tests.core.thinking.running import LARGE, SMALL, Run, keywords, run
from tests.fakes import mixed
from tests.fakes.scripted import Fault, ScriptedEngine

ONE = "First we add the two numbers."
TWO = "Then the sum is halved again."
END = "So that is what was asked for."

steps = st.sampled_from([ONE, TWO, "So.", "Two  and\ntwo."])


@given(st.lists(steps, max_size=9), st.lists(steps, max_size=4), st.lists(steps, max_size=4))
def test_texts_part_at_their_first_step_that_differs(shared, one, other):
    place = parting([[*shared, *one], shared, [" ".join(step.split()) for step in (*shared, *other)]])
    differs = [index for index, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]]
    assert place == (len(shared) + differs[0] if differs else None)
    assert parting([]) is None


def test_the_steps_of_a_trace_are_those_of_its_thinking():
    whole = run(keywords(), [f"{ONE}\n\n{TWO}</think>\n\n{END}"]).trace
    assert thinking_steps(whole) == [ONE, TWO]
    assert thinking_steps(run(keywords(), [f"{ONE}\n\n</think>\n\n{END}"]).trace) == [ONE], "a tag alone is no step"


def test_the_first_number_that_the_other_step_has_not_is_named():
    assert differing_numbers("21 + 7 = 849", "21 + 7 = 149") == ("849", "149")
    assert differing_numbers("21 + 7 = 28", "21 + 7") is None


@pytest.mark.parametrize(
    ("text", "earlier", "expected"),
    [
        ("Let me check term 7: 338 + 649 = 987.", "From the last two we get term 7: 338 + 649 = 087.", ("087", "987")),
        ("Wait, term 4: 284 + 027 = 311.", "From the last two we get term 4: 284 + 027 = 311.", None),
        ("From the last two: 649 + 987 = 636.", "From the last two: 338 + 649 = 987.", None),
        ("Wait, \\(2 \\times 5 = 10\\).", "So $2 \\cdot 5 = 11$ fish.", ("11", "10")),
        ("Hmm, 2*5 = 10.", "So $2 \\times 5 = 10$ fish.", None),
        ("The train needs 45 minutes and not 30.", "Let us look at something else entirely.", None),
        ("x = 7 would do as well.", "x = 5 is a solution.", None),
        ("Term 8 of 12 is 649 and 987.", "Term 7 of 12 is 338 and 649.", None),
        pytest.param("2 + 2 = 4. " + "and so on " * 100_000, "2 + 2 = 5.", ("5", "4"), id="by its beginning"),
    ],
)
def test_a_step_is_compared_with_the_one_before(text, earlier, expected):
    assert correction_in(text, "", [earlier]) == expected


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("Step 4: add the 2 numbers.", "Step 5: add the 2 numbers."),
        ("**Step 4: Add the 2 numbers.**", "**Step 5: Add the 2 numbers.**"),
        ("### Step 4\nNow we add 27 and 15.", "### Step 5\nNow we add 27 and 15."),
        ("In step 4 we add 27 and 15.", "In step 5 we add 27 and 15."),
        ("4. Add the 2 numbers.", "5. Add the 2 numbers."),
        ("So:\n\n  4) Add the 2 numbers.", "So:\n\n  5) Add the 2 numbers."),
        ("**4.** Add the 2 numbers.", "**5.** Add the 2 numbers."),
        ("Schritt 4: Addiere 27 und 15.", "Schritt 5: Addiere 27 und 15."),
        ("Now the 3rd of 12 digits is due.", "Now the 4th of 12 digits is due."),
    ],
)
def test_a_number_that_only_counts_steps_is_no_value_that_was_corrected(before, now):
    assert correction_in(now, "", [before]) is None
    assert correction_in(now, before, ["Hm."]) is None


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ("Step 4: that makes 15 apples for 3.", "Step 4: that makes 12 apples for 3.", ("15", "12")),
        (  # of the demo pair
            "Step 1: 96171 is odd, times 7 plus 1 is 73298.",
            "Hold on, step 1: 96171 is odd, times 7 plus 1 is 73198.",
            ("73298", "73198"),
        ),
        (
            "With this number we can go on to step 3: 36599 is odd, times 7 plus 1 is 55194.",
            "Wait, step 3: 36599 is odd, times 7 plus 1 is 56194.",
            ("55194", "56194"),
        ),
        ("4. That makes 15 apples for 3.", "4. That makes 12 apples for 3.", ("15", "12")),
        ("Step 4: 27 + 15 = 32.", "Step 5: 27 + 15 = 42.", ("32", "42")),
        ("The 4th of them has 15 legs.", "The 4th of them has 16 legs.", ("15", "16")),
    ],
)
def test_a_value_in_a_numbered_step_is_corrected_as_anywhere(before, now, expected):
    assert correction_in(now, "", [before]) == expected


def test_a_lookahead_that_was_replaced_counts_first_then_the_newest_value():
    apples = "Wait, that makes {} apples for 3 people."
    assert correction_in(apples.format(12), apples.format(15), ["Hm."]) == ("15", "12")
    assert correction_in("So 2 + 2 = 4.", "", ["2 + 2 = 5.", "No, 2 + 2 = 4."]) is None
    assert correction_in("Then term 8 is 9.", "Then term 8 is 9.", ["Then term 7 is 9."]) is None


def test_only_a_takeover_of_the_large_model_changes_anything():
    takeover = TakeoverStarted(0.0, "reflection", None, 9, 0)
    pieces: list[Piece] = []
    for author, text in (SMALL, "2 + 2 = 5."), (SMALL, "2 + 2 = 4."), (LARGE, "No, 2 + 2 = 6."), (LARGE, "2 + 2 = 6."):
        pieces.append(Piece(author, 0, 0, 0.0, takeover=takeover if author is LARGE else None))
        pieces[-1].insert(text)
    expected = [None, None, ("4", "6"), None]
    assert [correction_by(pieces, index) for index in range(len(pieces))] == expected
    pieces[1].takeover, pieces[2].takeover = takeover, None
    assert [correction_by(pieces, index) for index in (1, 2)] == [None, None], "the small one's, and none"


# A second opinion


SLIP = "So 2 + 2 is 5.\n\nThe rest is easy.</think>\n\nIt is 5."


def four(_before: str, token: str) -> str:
    """What a model writes that knows better."""
    return " 4" if token == " 5" else token


def applied(done: Run, given: OpinionGiven) -> Opinion:
    """The opinion, in the trace of the run."""
    done.trace.apply(given)
    found = Opinion.of(done.trace)
    assert found
    return found


def opinion_of(done: Run, large: ScriptedEngine) -> Opinion:
    return applied(done, *[item for item in SecondOpinion(large, done.trace).read() if isinstance(item, OpinionGiven)])


def test_it_names_the_tokens_and_what_the_large_model_would_have_written_and_ranks_them():
    done = run(Never(), [SLIP])
    large = ScriptedEngine(
        name="large",
        expects=lambda before, token: " hard" if token == " easy" else four(before, token),
        scored=lambda before, _: -9.0 if "It is" in before else -0.1,
    )
    found = opinion_of(done, large)
    assert [done.trace.text[place.start : place.end] for place in found.disagreements] == [" 5", " easy", " 5"]
    place = found.disagreements[0]
    assert (place.start, place.expected.text, place.step) == (SLIP.index(" 5"), " 4", 0)
    assert (place.is_strong, place.is_missed) == (True, True)
    assert found.ranked[0].start == SLIP.rindex(" 5")
    assert [place.nats for place in found.ranked] == sorted((place.nats for place in found.ranked), reverse=True)
    assert (found.given.model, found.is_whole) == ("large", True)
    done.trace.apply(TextDiscarded(1.0, found.given.length - 2, "5.", 2))
    assert done.trace.opinion is None, "a text that is rewritten loses it"


def test_a_mild_disagreement_is_no_missed_takeover_nor_is_an_unlikely_token_among_many_any():
    done = run(Never(), [SLIP])
    token = ScoredToken(1, "So", -2.0, (Alternative(2, "Now", -0.5), Alternative(1, "So", -2.0)))
    found = applied(done, OpinionGiven(0.0, "large", done.trace.length, (token,)))
    assert [place.is_strong for place in found.disagreements] == [False]
    assert found.strong == found.missed == []
    possible = ScoredToken(1, "So", -5.0, (Alternative(2, "Now", -4.5), Alternative(3, "Then", -4.6)))
    assert opinion.disagreement(possible) == pytest.approx(0.5)
    assert (opinion.essential(possible).alternatives, opinion.essential(token)) == ((), token)


def test_a_disagreement_that_a_takeover_follows_is_not_missed_and_what_the_large_model_wrote_is_not_marked():
    done = run(keywords(), small=["2 + 2 is 5.\n\nWait, that is", "\n\nDone.</think>\n\n4"], large=["Wait, it is 4."])
    found = opinion_of(done, ScriptedEngine(name="large", expects=four))
    assert [place.is_strong for place in found.disagreements] == [True]
    assert found.missed == []
    own = run(keywords(), small=["First.\n\nWait, that is", "\n\nDone.</think>\n\n4"], large=["Wait, it is 5."])
    assert opinion_of(own, ScriptedEngine(name="large", expects=four)).disagreements == []


def test_each_token_of_a_long_text_is_read_once_in_portions_as_far_as_it_is_wanted_and_by_a_server_at_once():
    done = run(Never(), ["".join(f"Step {n} of many is written here.\n\n" for n in range(200)) + "</think>\n\n4"])
    large = ScriptedEngine(name="large")
    *progress, given = SecondOpinion(large, done.trace).read()
    read = [item.tokens for item in progress if isinstance(item, OpinionProgress)]
    assert read == sorted(set(read))
    assert progress[-1] == OpinionProgress(read[-1], read[-1])
    assert isinstance(given, OpinionGiven)
    assert "".join(token.text for token in given.tokens) == done.trace.text
    assert given.handoff.prefilled == sum(call.prefilled for call in large.calls)
    assert given.handoff.reused == sum(call.reused for call in large.calls) > 0
    assert given.handoff.seconds > 0
    assert sum(call.prefilled for call in large.calls) < 1.1 * done.trace.tokens + large.sessions[0].prompt_tokens
    server = ScriptedEngine(name="large").with_card(location="gpu.example")
    *_, given = SecondOpinion(server, done.trace).read()
    assert len(server.calls) == 1
    reading = SecondOpinion(ScriptedEngine(name="large"), done.trace)
    items = reading.read()
    next(items)
    reading.stop()
    *_, stopped = items
    assert isinstance(stopped, OpinionGiven)
    assert 0 < stopped.length < done.trace.length
    assert not applied(done, stopped).is_whole


def test_stopped_before_the_first_portion_or_with_a_model_that_dies_there_is_no_opinion_and_no_session():
    done = run(Never(), [SLIP])
    large = ScriptedEngine(name="large", before_token=lambda _: reading.stop())
    reading = SecondOpinion(large, done.trace)
    assert list(reading.read()) == []
    dying = ScriptedEngine(name="large", faults=[Fault(0, EngineLost("Gone.", "Start it."))])
    with pytest.raises(EngineLost):
        list(SecondOpinion(dying, done.trace).read())
    assert all(session.closed for session in (*large.sessions, *dying.sessions))


def test_what_keeps_a_model_from_giving_an_opinion_is_said():
    server = ScriptedEngine(name="R1-32B").with_card(location="gpu.example").with_ability(Ability.SCORES, False)
    with pytest.raises(EngineRefused, match=r"R1-32B on gpu.example .* vLLM"):
        SecondOpinion(server, run(Never(), [SLIP]).trace)
    with pytest.raises(SettingsError, match="large model"):
        SecondOpinion(None, run(Never(), [SLIP]).trace)
    with pytest.raises(SettingsError, match="no text"):
        SecondOpinion(ScriptedEngine(), Trace())
    for several in (Trace.of(mixed.by_two_pairs()), mixed.with_a_person()):
        with pytest.raises(SettingsError, match=r"wrote as the small model \(SmolLM2-135M Q8_0, gemma-3-270m Q8_0\)"):
            SecondOpinion(ScriptedEngine(), several)
    assert opinion.opinion_error(ScriptedEngine(), Trace.of(mixed.by_one_pair())) is None


def test_half_characters_and_another_closing_tag_are_passed_over():
    text, read = "Grün.\n</think>\nIt is 4.", ["Gr", "\ufffd", "\ufffd", "n", ".\n", "</thought>", "\nIt", " is"]
    found = [text[start:end] for start, end in spans(text, [ScoredToken(None, token, 0.0) for token in read])]
    assert found == ["Gr", "", "", "n", ".\n", "", "\nIt", " is"]
