"""P9: scoring a text over only reading it. Both are one pass in whole chunks; a score adds logits at every position."""

from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

from baton_reasoning.core.engines.base import Message
from baton_reasoning.core.engines.body import Author, Part
from baton_reasoning.core.engines.local.engine import LocalEngine, LocalSession
from baton_reasoning.core.models.load_options import LoadOptions
from baton_reasoning.core.models.sampling import Sampling
from tests.bench.generated import LONG_CONTEXT, NO_REAL_PAIR, bench_model
from tests.bench.table import Row, at_most, in_turn, left_out, ratios
from tests.packaged_models import real_pair_paths

TEXT, LONG = 512, 7_400
GOAL = 1.25
QUESTION = (Message("user", "What is this about?"),)


def rows(rounds: int) -> Iterator[Row]:
    what = f"`score` of {TEXT} tokens / prefill of the same text"
    plain, with_alternatives = measure(bench_model(), 0, (0, 5), rounds)
    yield at_most("P9", what, GOAL, plain)
    yield at_most("P9", f"{what}, with 5 alternatives", GOAL, with_alternatives)
    if pair := real_pair_paths():
        (after_long,) = measure(pair.large, LONG, (0,), rounds)
        yield at_most("P9", f"{what}, after {LONG:,} tokens of text, {pair.large.stem}", GOAL, after_long)
    else:
        yield left_out("P9", NO_REAL_PAIR)


def measure(model: Path, before: int, alternatives: tuple[int, ...], rounds: int) -> list[list[float]]:
    """Ratios for each number of alternatives, after a text of `before` tokens."""
    numbers = count(1)
    options = LoadOptions(context=LONG_CONTEXT if before else 1024)
    with closing(LocalEngine(model, options)) as engine, closing(engine.open(QUESTION, Sampling())) as session:

        def part(number: int) -> Part:
            """One token, one character: ids from 20 on are printable ASCII in both vocabularies."""
            return Part("x", Author.LARGE, 20 + number, engine.card.vocabulary)

        held = [part(i % 30) for i in range(before)]

        def new_text() -> list[Part]:
            """After what is held it differs from its first token on, so that nothing of it is reused."""
            return [*held, part(30 + next(numbers) % 30), *(part(i % 30) for i in range(TEXT - 1))]

        ways = {"read": lambda: session.read(new_text()).seconds}
        for each in alternatives:
            ways[str(each)] = lambda each=each: _score(session, new_text(), before, each)  # type: ignore[misc]
        figures = in_turn(ways, rounds)
    read = figures.pop("read")
    return [ratios(scored, read) for scored in figures.values()]


def _score(session: LocalSession, text: list[Part], start: int, alternatives: int) -> float:
    scores = session.score(text, start, alternatives)
    assert len(scores.tokens) == TEXT
    return scores.handoff.seconds
