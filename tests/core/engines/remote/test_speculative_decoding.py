"""A llama-server with a draft model: the same texts, and its own count of drafted tokens. SmolLM2 drafts for itself."""

from __future__ import annotations

from contextlib import closing

import pytest

from baton_reasoning.core.batch.reporting.results import Results
from baton_reasoning.core.batch.reporting.tables import more_tables
from baton_reasoning.core.batch.running.arms import arms_of
from baton_reasoning.core.batch.running.batch import BatchSettings
from baton_reasoning.core.batch.running.runner import Runner
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.remote.connection import ServerAddress
from baton_reasoning.core.engines.remote.llama_server import LlamaServerEngine
from baton_reasoning.core.engines.usage import RequestUsage
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.run import Pair, RunSettings, ask, run
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.trace import Trace
from tests.core.batch.counting import problems
from tests.core.engines.remote.writing import GREEDY, QUESTION, foreign, text, tokens
from tests.servers.llama_server import KEY, LlamaServer, ServerOptions

pytestmark = pytest.mark.real_models


@pytest.fixture(scope="module")
def drafting(smollm2):
    with LlamaServer(ServerOptions(str(smollm2), draft=str(smollm2))) as server:
        engine = LlamaServerEngine(ServerAddress(server.url, KEY))
        yield engine
        engine.close()


def test_the_card_says_whether_and_how_a_server_drafts(engine, drafting):
    assert drafting.card.drafting in ("draft-simple", "unknown"), "builds before 2026 do not tell"
    assert not engine.card.drafts


def test_at_temperature_0_a_draft_changes_nothing_and_is_counted(engine, drafting):
    with closing(engine.open(QUESTION, GREEDY)) as plain, closing(drafting.open(QUESTION, GREEDY)) as drafted:
        assert text(drafted.write([], 40, seed=1)) == text(plain.write([], 40, seed=1))
        cost = drafted.usage.cost
        assert cost.written == 40
        assert 20 < cost.accepted == cost.drafted < 40, "it agrees with itself"
        assert (plain.usage.cost.drafted, plain.usage.cost.accepted) == (0, 0)


def test_a_drafted_token_has_no_probability_rather_than_a_false_one(drafting):
    with closing(drafting.open(QUESTION, GREEDY)) as session:
        first, *later = tokens(session.write([], 12, seed=1, alternatives=3))
    assert len(first.alternatives) == 3
    assert any(token.logprob is None for token in later)
    assert all(token.alternatives for token in later if token.logprob is not None)


@pytest.mark.long
def test_it_judges_all_the_same(engine, drafting):
    asked = (foreign("Monday comes before"), " ", ("Tuesday", "Sunday"))
    with closing(engine.open(QUESTION, GREEDY)) as plain, closing(drafting.open(QUESTION, GREEDY)) as drafted:
        assert drafted.judge(*asked).probabilities == pytest.approx(plain.judge(*asked).probabilities, abs=0.01)


def test_a_policy_that_needs_every_tokens_probabilities_is_refused(drafting):
    with pytest.raises(SettingsError, match=r"probabilities of each token.*without speculative decoding"):
        next(run(Pair(drafting, drafting), QUESTION, RunSettings(policy="first-token-entropy")))


def test_the_trace_keeps_what_was_drafted(drafting):
    settings = RunSettings(policy="always", temperature=0, max_tokens=20)
    trace = Trace.of(run(Pair(None, drafting), ask("What is 2 + 2?", settings), settings))
    cost: RequestUsage = trace.usage[Author.LARGE].cost
    assert 0 < cost.accepted <= cost.drafted < 20
    assert trace.started
    assert trace.started.large
    assert trace.started.large.drafting == drafting.card.drafting


@pytest.mark.long
def test_the_arm_for_it_is_measured_and_refused_without_a_draft_model(tmp_path, engine, drafting):
    arms = arms_of(["drafted"], RunSettings(temperature=0, max_tokens=16))
    with Store.open(tmp_path / "baton.sqlite") as store, Grader() as grader:
        batch = store.batches.create("two", BatchSettings().stored(), problems(2), [arm.stored() for arm in arms])
        with pytest.raises(SettingsError, match=r"“drafted” cannot run.*needs a small model that drafts"):
            list(Runner(store, batch, Pair(None, engine), grader).run())
        list(Runner(store, batch, Pair(None, drafting), grader).run())
        report = Results.read(store, batch).report
    (arm,) = report.arms
    assert arm.name == "drafted"
    assert (arm.large_share, arm.done, arm.failed) == (1, 2, 0)
    assert 0 < arm.accepted <= arm.drafted < 32
    assert "drafts accepted" in [title for table in more_tables(report) for title in table.headings]
