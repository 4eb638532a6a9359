"""P12: predicted over measured time, for the large model alone, with drafts, and for the pair.

What each model costs is measured as the program does it, and multiplied by what it did in the runs: the tokens that it
wrote, checked and read. With drafts only their acceptance is taken from the runs, not their number. The pairs are the
demo pair, made as costly as real ones (costly.py), SmolLM2 with its own copy at 32 bits, a real pair of one family, and
SmolLM2 with Gemma and with the large model of that pair, which have other vocabularies, so that nothing is drafted.
"""

import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path

from baton_reasoning.core.demo_pair import DEMO_SETTINGS, held_out_problems
from baton_reasoning.core.demo_pair.costly import costly_pair
from baton_reasoning.core.engines.base import ignore
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.model_costs import ModelCost, drafted_seconds, measure
from baton_reasoning.core.models.load_options import LoadOptions
from baton_reasoning.core.run import Pair, RunSettings, ask, run
from baton_reasoning.core.thinking.events import HandedOver, TokenWritten
from baton_reasoning.core.thinking.policies.alone import Always, Drafted
from baton_reasoning.core.thinking.policies.random_takeover import RandomTakeover
from baton_reasoning.core.thinking.steps import Boundary
from baton_reasoning.core.thinking.trace import Trace
from tests.bench.generated import LONG_CONTEXT, LONG_TEXT, LONG_TOKENS, NO_REAL_PAIR, bench_model, f32_copy
from tests.bench.table import Row, left_out
from tests.packaged_models import gemma_path, real_pair_paths

RATIO = 13
PROBLEMS = 2
TOKENS = 100
"""Of an answer, at most."""
LIST = "List a hundred animals, each on a line of its own."
OFTEN = RunSettings(policy=RandomTakeover.Settings(p=0.33, n1=24), boundary=Boundary.LINE)
LOWEST, HIGHEST = 0.8, 1.25


def rows(rounds: int) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        questions = [problem.question for problem in islice(held_out_problems(seed=3), PROBLEMS)]
        small, large = costly_pair(RATIO, folder)
        yield row(f"the demo pair at a cost of 1:{RATIO}", ratios(small, large, DEMO_SETTINGS, questions, rounds))
        model = bench_model()
        copy = f32_copy(model, folder / "f32.gguf")
        yield row(f"{model.stem} and its F32 copy", ratios(model, copy, OFTEN, [LIST], rounds))
        if gemma := gemma_path():
            yield row(f"{model.stem} and {gemma.stem}", ratios(model, gemma, OFTEN, [LIST], rounds, drafts=False))
        if real := real_pair_paths():
            yield row(f"{real.small.stem} and {real.large.stem}", ratios(*real, OFTEN, [LIST], rounds))
            pair = f"{model.stem} and {real.large.stem}"
            yield row(pair, ratios(model, real.large, OFTEN, [LIST], rounds, drafts=False))
            # Once: the question takes minutes to read, and is read anew after the costs were measured.
            question = f"{LONG_TEXT}\n{LIST}"
            found = ratios(model, real.large, OFTEN, [question], 1, drafts=False, context=LONG_CONTEXT)
            yield row(f"{pair}, a question of {LONG_TOKENS:,} tokens", found)
        else:
            yield left_out("P12", NO_REAL_PAIR)


def row(pair: str, found: dict[str, float]) -> Row:
    measured = ", ".join(f"{arm} {ratio:.2f}" for arm, ratio in found.items())
    is_met = all(LOWEST <= ratio <= HIGHEST for ratio in found.values())
    return Row("P12", f"predicted / measured time, {pair}", f"{LOWEST}–{HIGHEST}", measured, is_met)


def ratios(
    small: Path,
    large: Path,
    settings: RunSettings,
    questions: Sequence[str],
    rounds: int,
    drafts: bool = True,
    context: int = 1024,
) -> dict[str, float]:
    """Predicted over measured seconds of each arm, the median of the rounds."""
    options = LoadOptions(context=context)
    policies = {"large": Always.Settings(), "drafted": Drafted.Settings(), "pair": settings.policy}
    if not drafts:
        del policies["drafted"]
    found: dict[str, list[float]] = {arm: [] for arm in policies}
    with closing(LocalEngine(small, options)) as small_engine, closing(LocalEngine(large, options)) as large_engine:
        pair = Pair(small_engine, large_engine)
        for _ in range(rounds):
            for arm, policy in policies.items():
                costs = measure(small_engine, ignore), measure(large_engine, ignore)  # each time: machines slow down
                arm_settings = settings.model_copy(update={"policy": policy, "max_tokens": TOKENS})
                traces = [
                    Trace.of(run(pair, ask(question, chosen), chosen))
                    for seed, question in enumerate(questions)
                    if (chosen := arm_settings.model_copy(update={"seed": seed}))
                ]
                predicted = (drafted if arm == "drafted" else counted)(traces, *costs)
                found[arm].append(predicted / sum(trace.seconds for trace in traces))
    return {arm: statistics.median(values) for arm, values in found.items()}


def counted(traces: Sequence[Trace], small: ModelCost | None, large: ModelCost | None) -> float:
    """Seconds of what each model did."""
    assert small
    assert large
    return sum(seconds_in(trace, Author.SMALL, small) + seconds_in(trace, Author.LARGE, large) for trace in traces)


def seconds_in(trace: Trace, author: Author, cost: ModelCost) -> float:
    """Of what this model did: decodes of tokens, of drafts for the large model, and one for each handoff."""
    found, large = trace.totals[author], trace.totals[Author.LARGE]
    decodes = found.decoded + sum(isinstance(event, HandedOver) and event.author is author for event in trace.events)
    if author is Author.SMALL:
        return cost.seconds(decodes + large.drafts, read=found.prefilled)
    return cost.seconds(decodes - found.accepted_drafts, checked=found.drafts, read=found.prefilled)


def drafted(traces: Sequence[Trace], small: ModelCost | None, large: ModelCost | None) -> float:
    """Seconds of as many tokens at the acceptance that the drafts had: of those that were judged."""
    assert small
    assert large
    tokens = [event for trace in traces for event in trace.events if isinstance(event, TokenWritten)]
    accepted, refused = sum(token.drafted for token in tokens), sum(token.rejected_drafts > 0 for token in tokens)
    read = sum(trace.totals[Author.LARGE].prefilled for trace in traces)
    seconds = drafted_seconds(small, large, accepted / max(accepted + refused, 1))
    return len(tokens) * seconds + small.seconds(0, read=read) + large.seconds(0, read=read)
