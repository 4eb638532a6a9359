"""What a second opinion finds in a text, and what keeps a model from giving one."""

import pytest

from baton_reasoning.core.analysis import opinion
from baton_reasoning.core.analysis.opinion import Opinion, OpinionProgress, SecondOpinion
from baton_reasoning.core.analysis.text_reading import spans
from baton_reasoning.core.engines.abilities import Ability
from baton_reasoning.core.engines.base import Alternative, ScoredToken
from baton_reasoning.core.errors import EngineLost, EngineRefused, SettingsError
from baton_reasoning.core.thinking.events import OpinionGiven, TextDiscarded
from baton_reasoning.core.thinking.policies.alone import Never
from baton_reasoning.core.thinking.trace import Trace
from tests.core.thinking.running import Run, keywords, run
from tests.fakes import mixed
from tests.fakes.scripted import Fault, ScriptedEngine

SLIP = "So 2 + 2 is 5.\n\nThe rest is easy.</think>\n\nIt is 5."


def four(_before: str, token: str) -> str:
    """What a model writes that knows better."""
    return " 4" if token == " 5" else token


def applied(done: Run, given: OpinionGiven) -> Opinion:
    done.trace.apply(given)
    found = Opinion.of(done.trace)
    assert found
    return found


def opinion_of(done: Run, large: ScriptedEngine) -> Opinion:
    return applied(done, *[item for item in SecondOpinion(large, done.trace).read() if isinstance(item, OpinionGiven)])


def test_it_names_the_tokens_and_what_the_large_model_would_have_written_and_ranks_them():
    done = run(Never(), [SLIP])
    known = {" 5": " 4", " easy": " hard"}
    large = ScriptedEngine(name="large", expects=lambda _, token: known.get(token, token))
    large.scored = lambda before, _: -9.0 if "It is" in before else -0.1
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
