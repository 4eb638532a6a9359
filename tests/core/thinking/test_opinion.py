"""A second opinion finds what the small model got wrong, and which takeovers were missed."""

from __future__ import annotations

import json
import re

import pytest

from baton_reasoning.core.demo_pair import DEMO_SETTINGS, READY_PROBLEMS
from baton_reasoning.core.demo_pair.task import DemoStep
from baton_reasoning.core.engines.base import Alternative, ScoredToken
from baton_reasoning.core.errors import EngineLost, EngineRefused, SettingsError
from baton_reasoning.core.run import Pair, RunSettings, ask
from baton_reasoning.core.run import run as solve
from baton_reasoning.core.thinking import opinion
from baton_reasoning.core.thinking.events import Event, OpinionGiven, TextDiscarded
from baton_reasoning.core.thinking.opinion import Opinion, OpinionProgress, SecondOpinion, Sequel, spans
from baton_reasoning.core.thinking.policies.never import Never
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.thinking.trace_json import event_from_json, event_to_json
from tests.core.thinking.running import Run, keywords, run
from tests.fakes.scripted import Fault, ScriptedEngine

pytestmark = pytest.mark.slow

SLIP = "So 2 + 2 is 5.\n\nThe rest is easy.</think>\n\nIt is 5."


def four(_before: str, token: str) -> str:
    """What a model writes that knows better."""
    return " 4" if token == " 5" else token


def opinion_of(done: Run, large: ScriptedEngine) -> Opinion:
    """The opinion, applied to the trace of the run."""
    given = [item for item in SecondOpinion(large, done.trace).read() if isinstance(item, OpinionGiven)]
    done.trace.apply(given[0])
    found = Opinion.of(done.trace)
    assert found
    return found


def test_it_names_the_token_and_what_the_large_model_would_have_written():
    done = run(Never(), small=[SLIP])
    found = opinion_of(done, ScriptedEngine(name="large", expects=four))
    place = found.disagreements[0]
    assert done.trace.text[place.start : place.end] == " 5"
    assert place.start == SLIP.index(" 5")
    assert (place.expected.text, place.step) == (" 4", 0)
    assert (place.is_strong, place.sequel) == (True, Sequel.MISSED)
    assert found.given.model == "large"
    assert found.is_whole


def test_places_are_sorted_by_disagreement():
    done = run(Never(), small=[SLIP])
    large = ScriptedEngine(
        name="large",
        expects=lambda before, token: " hard" if token == " easy" else four(before, token),
        scored=lambda before, _: -9.0 if before.endswith("easy") is False and "It is" in before else -0.1,
    )
    found = opinion_of(done, large)
    assert [done.trace.text[place.start : place.end] for place in found.disagreements] == [" 5", " easy", " 5"]
    assert found.ranked[0].start == SLIP.rindex(" 5")
    assert [place.nats for place in found.ranked] == sorted((place.nats for place in found.ranked), reverse=True)


def test_a_mild_disagreement_is_no_missed_takeover():
    done = run(Never(), small=[SLIP])
    token = ScoredToken(1, "So", -2.0, (Alternative(2, "Now", -0.5), Alternative(1, "So", -2.0)))
    done.trace.apply(OpinionGiven(0.0, "large", done.trace.length, (token,)))
    found = Opinion.of(done.trace)
    assert found
    assert [place.sequel for place in found.disagreements] == [None]
    assert found.strong == found.missed == []


def test_where_many_tokens_are_possible_an_unlikely_one_is_no_disagreement():
    token = ScoredToken(1, "So", -5.0, (Alternative(2, "Now", -4.5), Alternative(3, "Then", -4.6)))
    assert opinion.disagreement(token) == pytest.approx(0.5)
    assert opinion.essential(token).alternatives == ()


def test_a_disagreement_that_a_takeover_follows_is_not_missed_and_what_the_large_model_wrote_is_not_marked():
    done = run(keywords(), small=["2 + 2 is 5.\n\nWait, that is", "\n\nDone.</think>\n\n4"], large=["Wait, it is 4."])
    found = opinion_of(done, ScriptedEngine(name="large", expects=four))
    assert [place.sequel for place in found.disagreements] == [Sequel.TAKEN_OVER]
    assert found.missed == []
    own = run(keywords(), small=["First.\n\nWait, that is", "\n\nDone.</think>\n\n4"], large=["Wait, it is 5."])
    assert opinion_of(own, ScriptedEngine(name="large", expects=four)).disagreements == []


def long_run() -> Run:
    return run(Never(), small=["".join(f"Step {n} of many is written here.\n\n" for n in range(200)) + "</think>\n\n4"])


def test_progress_comes_after_every_portion_and_each_token_is_read_once():
    done = long_run()
    large = ScriptedEngine(name="large")
    items = list(SecondOpinion(large, done.trace).read())
    progress = [item for item in items if isinstance(item, OpinionProgress)]
    assert len(progress) > 3
    assert [item.tokens for item in progress] == sorted({item.tokens for item in progress})
    assert progress[-1].tokens == progress[-1].total
    given = items[-1]
    assert isinstance(given, OpinionGiven)
    assert "".join(token.text for token in given.tokens) == done.trace.text
    assert sum(call.prefilled for call in large.calls) < 1.1 * done.trace.tokens + large.sessions[0].prompt_tokens


def test_a_server_reads_everything_in_one_request():
    large = ScriptedEngine(name="large").with_card(location="gpu.example")
    items = list(SecondOpinion(large, long_run().trace).read())
    assert len(large.calls) == 1
    assert isinstance(items[-1], OpinionGiven)


def test_stopped_it_covers_what_was_read_until_then():
    done = long_run()
    reading = SecondOpinion(ScriptedEngine(name="large"), done.trace)
    items: list[OpinionProgress | OpinionGiven] = []
    for item in reading.read():
        items.append(item)
        if len(items) == 2:
            reading.stop()
    given = items[-1]
    assert isinstance(given, OpinionGiven)
    assert 0 < given.length < done.trace.length
    done.trace.apply(given)
    found = Opinion.of(done.trace)
    assert found
    assert not found.is_whole


def test_stopped_before_the_first_portion_or_with_a_model_that_dies_there_is_no_opinion_and_no_session():
    done = run(Never(), small=[SLIP])
    large = ScriptedEngine(name="large", before_token=lambda _: reading.stop())
    reading = SecondOpinion(large, done.trace)
    assert list(reading.read()) == []
    dying = ScriptedEngine(name="large", faults=[Fault(0, EngineLost("Gone.", "Start it."))])
    with pytest.raises(EngineLost):
        list(SecondOpinion(dying, done.trace).read())
    assert all(session.closed for session in (*large.sessions, *dying.sessions))


def test_a_large_model_that_cannot_score_says_what_would_help():
    server = ScriptedEngine(name="R1-32B").with_card(returns_scores=False, location="gpu.example")
    with pytest.raises(EngineRefused, match=r"R1-32B on gpu.example .* vLLM"):
        SecondOpinion(server, run(Never(), small=[SLIP]).trace)
    with pytest.raises(SettingsError, match="large model"):
        SecondOpinion(None, run(Never(), small=[SLIP]).trace)
    with pytest.raises(SettingsError, match="no text"):
        SecondOpinion(ScriptedEngine(), Trace())


def test_text_that_went_on_keeps_the_opinion_and_a_rewritten_one_loses_it():
    done = run(Never(), small=[SLIP])
    found = opinion_of(done, ScriptedEngine(name="large", expects=four))
    assert done.trace.seconds == (done.trace.ended.at if done.trace.ended else None)
    done.trace.apply(TextDiscarded(1.0, found.given.length - 2, "5.", 2))
    assert done.trace.opinion is None


def test_half_characters_and_another_closing_tag_are_passed_over():
    text = "Grün.\n</think>\nIt is 4."
    tokens = [
        ScoredToken(None, token, 0.0) for token in ("Gr", "\ufffd", "\ufffd", "n", ".\n", "</thought>", "\nIt", " is")
    ]
    found = [text[start:end] for start, end in spans(text, tokens)]
    assert found == ["Gr", "", "", "n", ".\n", "", "\nIt", " is"]


def slip_of(text: str) -> tuple[int, str]:
    """Where the first wrong value of a multiplication stands, and the right one."""
    for line in re.finditer(r"(\d{5}) is odd, times 7 plus 1 is (\d{5})", text):
        right = f"{DemoStep(1, int(line[1])).value:05}"
        if line[2] != right:
            return line.start(2), right
    raise AssertionError("The small model made no mistake.")


def solved(pair: Pair, settings: RunSettings) -> list[Event]:
    problem = json.loads(READY_PROBLEMS.read_text(encoding="utf-8").splitlines()[0])["problem"]
    return list(solve(pair, ask(problem, settings), settings))


def test_the_large_demo_model_finds_the_slip_of_the_small_one_at_its_very_digit(demo_pair):
    alone = DEMO_SETTINGS.model_copy(update={"policy": Never.Settings()})
    events = solved(demo_pair, alone)
    trace = Trace.of(events)
    *_, given = SecondOpinion(demo_pair.large, trace).read()
    assert isinstance(given, OpinionGiven)
    again = Trace.of([*events, event_from_json(json.loads(json.dumps(event_to_json(given))))])  # type: ignore[list-item]
    found = Opinion.of(again)
    assert found
    slip = found.strong[0]
    assert slip.sequel is Sequel.MISSED
    start, right = slip_of(trace.text)
    assert any(start <= each.start < start + len(right) for each in found.strong)
    first = min(found.strong, key=lambda each: each.start)
    assert first.expected.text == right[first.start - start]
