"""Both shipped files in a real llama-server: loaded as any model is, with the words of the program's own engine."""

from contextlib import closing
from itertools import islice

import pytest

from baton_reasoning.core.demo_pair import DEMO_SETTINGS, LARGE_MODEL, SMALL_MODEL, DemoProblem, held_out_problems
from baton_reasoning.core.engines.base import Engine, Stop
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.engines.remote.connection import ServerAddress
from baton_reasoning.core.engines.remote.llama_server import LlamaServerEngine
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.models.options import LoadOptions, Sampling
from baton_reasoning.core.run import Pair, ask, run
from baton_reasoning.core.step_values.estimator import ValueEstimator, ValueOptions
from baton_reasoning.core.thinking.events import ValuesEstimated
from baton_reasoning.core.thinking.policies.never import Never
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.thinking.values import StepValues
from tests.core.engines.remote.conftest import stop, text
from tests.servers.llama_server import KEY, LlamaServer, ServerOptions

pytestmark = pytest.mark.slow

PROBLEMS = list(islice(held_out_problems(seed=12), 3))
GREEDY = Sampling(temperature=0.0)


def whole_text(engine: Engine, problem: DemoProblem) -> str:
    with closing(engine.open(ask(problem.question, DEMO_SETTINGS), GREEDY)) as session:
        items = list(session.write([], DEMO_SETTINGS.max_tokens, seed=0))
    assert stop(items) is Stop.END_OF_TEXT
    return text(items)


@pytest.mark.parametrize(
    "model",
    [pytest.param(SMALL_MODEL, id="small"), pytest.param(LARGE_MODEL, id="large", marks=pytest.mark.long)],
)
def test_a_llama_server_writes_what_the_local_engine_writes(model):
    with (
        LlamaServer(ServerOptions(str(model))) as server,
        closing(LlamaServerEngine(ServerAddress(server.url, KEY))) as remote,
        closing(LocalEngine(model, LoadOptions(context=1024, threads=1))) as local,
    ):
        assert remote.card.parameters == local.card.parameters
        for problem in PROBLEMS:
            assert whole_text(remote, problem) == whole_text(local, problem)


def test_an_answer_is_valued_on_a_server_as_on_this_machine(demo_pair):
    """At its beginning: by runs in its slots instead of branches, with other random numbers; the intervals meet."""
    problem, never = PROBLEMS[0], DEMO_SETTINGS.model_copy(update={"policy": Never.Settings()})
    trace = Trace.of(run(demo_pair, ask(problem.question, never), never))
    few = ValueOptions(continuations=8, only_takeovers=True)
    with (
        LlamaServer(ServerOptions(str(SMALL_MODEL), context=2048, slots=4)) as server,
        closing(LlamaServerEngine(ServerAddress(server.url, KEY))) as remote,
        Grader() as grader,
    ):
        values = []
        for pair in (Pair(remote), demo_pair):
            *_, found = ValueEstimator(pair, Trace.of(trace.events), grader, problem.answer, few).run()
            assert isinstance(found, ValuesEstimated)
            values.append(StepValues(trace, found))
    one, other = (each.places[0] for each in values)
    assert one.continuations == other.continuations == 8
    assert one.value.low <= other.value.high
    assert other.value.low <= one.value.high
