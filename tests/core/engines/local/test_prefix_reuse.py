"""A new session starts from what the cache holds of its text; an exact one writes what it would have without."""

from contextlib import closing
from pathlib import Path

import pytest

from baton_reasoning.core.engines.base import Conversation, Handoff, Message, Notice, PrefillProgress
from baton_reasoning.core.engines.body import Author, Body, Part
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.engines.local.llama import CHUNK
from baton_reasoning.core.models.options import LoadOptions, Sampling
from tests.core.engines.local.writing import handoff, ids, write

STORY = "A farmer has 17 sheep, sells 4 of them, and buys 9 more at the market in the next town. " * 7
FIRST: Conversation = (Message("user", f"{STORY} How many sheep are there now?"),)
SECOND: Conversation = (Message("user", f"{STORY} How many legs do they have?"),)
SHORT: Conversation = (Message("user", "What is 3 and 4?"),)
WARM = Sampling()


@pytest.mark.real_models
@pytest.mark.parametrize(
    ("model", "parallel"),
    [
        pytest.param("smollm2", 1, id="smollm2-the slot of a closed session"),
        pytest.param("gemma", 2, id="gemma-a copy from an open session", marks=pytest.mark.long),
        pytest.param("smollm2", 2, id="smollm2-a copy from an open session", marks=pytest.mark.long),
        pytest.param("gemma", 1, id="gemma-the slot of a closed session", marks=pytest.mark.long),
    ],
)
def test_the_same_seed_writes_the_same_with_and_without_reuse(model, parallel, request):
    path: Path = request.getfixturevalue(model)
    options = LoadOptions(context=1024, threads=1, parallel=parallel)
    with closing(LocalEngine(path, options)) as engine:
        fresh = engine.open(SECOND, WARM)
        without = write(fresh, Body(), limit=6, seed=5)
        assert handoff(without).reused == 0
    with closing(LocalEngine(path, options)) as engine:
        earlier = engine.open(FIRST, WARM)
        write(earlier, Body(), limit=2, seed=9)
        if parallel == 1:
            earlier.close()
        session = engine.open(SECOND, WARM)
        session.repeat_exactly()
        reusing = write(session, Body(), limit=6, seed=5)
    reused = handoff(reusing).reused
    assert reused > CHUNK
    assert reused % CHUNK == 0
    assert ids(reusing) == ids(without)


@pytest.mark.real_models
def test_a_long_prompt_shows_how_far_it_is_read(smollm2):
    with closing(LocalEngine(smollm2, LoadOptions(context=1024, threads=1))) as engine:
        items = write(engine.open(FIRST, WARM), Body(), limit=1)
        progress = [item for item in items if isinstance(item, PrefillProgress)]
        assert [item.tokens for item in progress] == [0, 64, 128, 192][: len(progress)]
        assert {item.total for item in progress} == {handoff(items).prefilled}
        assert len(progress) >= 3


# The second turn of a conversation ------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["smollm2", pytest.param("gemma", marks=pytest.mark.long)])
def engine(request):
    path: Path = request.getfixturevalue(request.param)
    with closing(LocalEngine(path, LoadOptions(context=1024, threads=1, parallel=2))) as engine:
        yield engine


def turn(engine: LocalEngine, conversation: Conversation, *, exact: bool = False) -> tuple[Handoff, str, int]:
    """Let a model answer; return the handoff, the answer, and the tokens of prompt and answer."""
    with closing(engine.open(conversation, WARM)) as session:
        if exact:
            session.repeat_exactly()
        items = write(session, body := Body(), limit=40, seed=3)
        return handoff(items), body.text, session.prompt_tokens + len(ids(items))


@pytest.mark.real_models
def test_a_follow_up_reads_its_question_and_nothing_that_was_written(engine):
    _, answer, tokens = turn(engine, SHORT)
    read, _, _ = turn(engine, (*SHORT, Message("assistant", answer), Message("user", "And 5 and 6?")))
    assert tokens - 2 <= read.reused <= tokens, "a last token may not have been decoded, or a blank left out"
    assert read.prefilled < 30


@pytest.mark.real_models
def test_two_conversations_in_turn_keep_what_was_written_for_each(engine):
    firsts: tuple[Conversation, ...] = (SHORT, (Message("user", "Name three colours of the sea."),))
    turns = [turn(engine, first) for first in firsts]
    for first, (_, answer, tokens) in zip(firsts, turns, strict=True):
        read, _, _ = turn(engine, (*first, Message("assistant", answer), Message("user", "Why?")))
        assert tokens - 2 <= read.reused <= tokens


@pytest.mark.real_models
def test_a_follow_up_reuses_an_answer_in_the_tokens_in_which_two_models_wrote_it(engine):
    answer = "Together they make seven, altogether."
    singly = tuple(token for character in answer for token in engine.tokenize(character))
    assert len(singly) > 2 * len(engine.tokenize(answer))
    parts = [Part(answer[place], Author.SMALL, token, engine.card.vocabulary) for place, token in enumerate(singly)]
    with closing(engine.open(SHORT, WARM)) as session:
        session.read(parts)
        held = session.prompt_tokens + len(parts)
    follow_up = (*SHORT, Message("assistant", answer), Message("user", "And 5 and 6?"))
    read, _, _ = turn(engine, follow_up)
    assert read.reused >= held - 1
    assert turn(engine, follow_up, exact=True)[0].reused % CHUNK == 0


@pytest.mark.real_models
def test_an_exact_follow_up_repeats_its_text_whatever_the_cache_holds(engine):
    _, answer, _ = turn(engine, FIRST)
    follow_up = (*FIRST, Message("assistant", answer), Message("user", "Why?"))
    read, once, _ = turn(engine, follow_up, exact=True)
    assert read.reused % CHUNK == 0
    turn(engine, follow_up)
    assert turn(engine, follow_up, exact=True)[1] == once


@pytest.mark.real_models
def test_a_session_that_is_closed_in_the_middle_of_a_decode_leaves_a_sound_cache(smollm2):
    with closing(LocalEngine(smollm2, LoadOptions(context=1024, threads=1, parallel=1))) as engine:
        for tokens in (3, 4, 5):
            body = Body()
            stopped = engine.open(SHORT, WARM)
            write(stopped, body, limit=40, stop_after=tokens)
            stopped.close()
            with closing(engine.open(SHORT, WARM)) as session:
                items = write(session, body, limit=2)
                assert not [item for item in items if isinstance(item, Notice)], "the process did not die"
                assert handoff(items).prefilled == 1
