"""Models whose memory cannot be truncated are restored from snapshots: a recurrent and a hybrid one, grown here."""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from baton_reasoning.core.child_process import run_in_subprocess
from baton_reasoning.core.engines.base import Message, Token
from baton_reasoning.core.engines.body import Author, Part
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.models.gguf import read_header
from baton_reasoning.core.models.options import LoadOptions, Sampling
from tests.core.engines.local.writing import likeliest
from tests.core.models import gguf_builder
from tests.patience import PATIENCE

pytestmark = pytest.mark.slow

QUESTION = (Message("user", "a"),)
NO_CHANGES: Mapping[str, int] = {}


@pytest.fixture(scope="module", params=["mamba2", "lfm2"])
def engine(request, tmp_path_factory):
    path = grow(request.param, tmp_path_factory.mktemp("grown"))
    engine = LocalEngine(path, LoadOptions(context=256, threads=1))
    yield engine
    engine.close()


def grow(architecture: str, folder: Path, shape: Mapping[str, int] = NO_CHANGES) -> Path:
    """A tiny model of this architecture; or a larger one, by keys of its shape."""
    path = run_in_subprocess(gguf_builder.grow, folder, architecture, dict(shape), seconds=PATIENCE)
    give_weights(path)
    return path


def give_weights(path: Path) -> None:
    """Random weights in place of the zeros that the model was grown with, so that its past makes a difference."""
    size = read_header(path).tensor_bytes // 4
    weights = np.random.default_rng(1).normal(0.0, 0.2, size).astype(np.float32)
    with path.open("r+b") as file:
        file.seek(-size * 4, 2)
        file.write(weights.tobytes())


def body(engine: LocalEngine, *ids: int) -> list[Part]:
    return [Part("", Author.SMALL, id, engine.card.vocabulary) for id in ids]


def assert_as_a_fresh_one_says(
    engine: LocalEngine, found: list[tuple[int | None, float]], *readings: list[int]
) -> None:
    """The likeliest tokens after the last reading are those of a session that read one after the other."""
    with closing(engine.open(QUESTION, Sampling())) as fresh:
        fresh.repeat_exactly()
        for reading in readings[:-1]:
            fresh.read(body(engine, *reading))
        expected = likeliest(fresh, body(engine, *readings[-1]))
    assert [id for id, _ in found] == [id for id, _ in expected]
    assert [chance for _, chance in found] == pytest.approx([chance for _, chance in expected], abs=1e-3)


def test_a_text_truncated_to_a_reading_reuses_it_and_says_what_a_fresh_one_says(engine):
    assert not engine.card.supports_truncation
    session = engine.open(QUESTION, Sampling())
    kept, gone, instead = [3, 4, 5, 6], [7, 8, 9], [10, 11]
    session.read(body(engine, *kept))
    session.read(body(engine, *kept, *gone))
    again = session.read(body(engine, *kept, *instead))
    assert again.prefilled == len(instead), "only what is new is read"
    found = likeliest(session, body(engine, *kept, *instead))
    session.close()
    assert_as_a_fresh_one_says(engine, found, kept, [*kept, *instead])


def test_the_next_session_goes_on_from_what_was_written(engine):
    first = engine.open(QUESTION, Sampling())
    written = [item.id for item in first.write(body(engine, 3, 4), 5, 1) if isinstance(item, Token) and item.id]
    held = first.prompt_tokens + 2 + len(written) - 1
    first.close()
    second = engine.open(QUESTION, Sampling())
    text = [3, 4, *written, 7, 8]
    assert second.read(body(engine, *text))[:2] == (held, 3), "the last token written was not decoded"
    found = likeliest(second, body(engine, *text, 9))
    second.close()
    assert_as_a_fresh_one_says(engine, found, [*text, 9])


def test_a_second_session_starts_from_a_copy_of_the_whole_text_of_another(engine):
    assert engine.card.path
    text = [3, 4, 5, 6]
    with closing(LocalEngine(engine.card.path, LoadOptions(context=256, threads=1, parallel=2))) as both:
        first, second = (both.open(QUESTION, Sampling()) for _ in range(2))
        first.read(body(both, *text))
        assert second.read(body(both, *text, 7)).prefilled == 1
        found = likeliest(second, body(both, *text, 7, 8))
        second.close()
        assert_as_a_fresh_one_says(both, found, [*text, 7], [*text, 7, 8])
        assert first.read(body(both, *text)).prefilled == 0, "the other one stays as it is"


def test_its_past_makes_a_difference(engine):
    """Otherwise the test above could not fail."""
    sessions = [engine.open(QUESTION, Sampling()) for _ in range(2)]
    one, other = (likeliest(s, body(engine, *ids)) for s, ids in zip(sessions, ([3, 4, 5], [9, 8, 5]), strict=True))
    assert one != other
    for session in sessions:
        session.close()


def test_a_text_truncated_further_than_any_snapshot_is_read_anew(engine):
    session = engine.open(QUESTION, Sampling())
    session.read(body(engine, 3, 4, 5))
    again = session.read(body(engine, 9))
    assert (again.reused, again.prefilled) == (0, session.prompt_tokens + 1)
    session.close()


def test_a_judge_reads_no_more_than_where_memory_can_be_truncated(engine):
    """Its question is forgotten by going back to where it began."""
    session, text, question = engine.open(QUESTION, Sampling()), [3, 4, 5, 6], len(engine.tokenize("a?"))
    session.judge(body(engine, *text), "a?", ("a", "b"))
    assert session.judge(body(engine, *text), "a?", ("a", "b")).handoff.prefilled == question
    assert session.judge(body(engine, *text, 7, 8), "a?", ("a", "b")).handoff.prefilled == 2 + question
    found = likeliest(session, body(engine, *text, 7, 8, 9))
    session.close()
    assert_as_a_fresh_one_says(engine, found, text, [*text, 7, 8], [*text, 7, 8, 9])


def test_a_judge_after_writing_forgets_only_the_question(engine):
    session = engine.open(QUESTION, Sampling())
    list(session.write(body(engine, 3, 4), 3, 1))
    ids = [item.id for item in session.write(body(engine, 3, 4), 3, 1) if isinstance(item, Token) and item.id]
    text = body(engine, 3, 4, *ids)
    session.judge(text, "a?", ("a", "b"))
    assert session.judge(text, "a?", ("a", "b")).handoff.prefilled == len(engine.tokenize("a?"))
    session.close()
