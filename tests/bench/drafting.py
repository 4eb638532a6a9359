"""P7: drafted takeovers. Decodes of the large model a token, and the time with drafts over the time without.

SmolLM2 drafts for its own copy at 32 bits. Whether drafts save time depends on what a wider decode costs: on a CPU,
which computes each token, nothing is saved with these two, and drafting is to cost nothing either. A generated large
model (costly.py), which is read from memory at each decode as on a GPU, shows what is saved where drafts pay.
"""

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Self

from baton_reasoning.core.demo_pair import LARGE_MODEL, SMALL_MODEL, held_out_problems
from baton_reasoning.core.demo_pair.costly import of_blocks
from baton_reasoning.core.engines.base import Message, Messages, Token
from baton_reasoning.core.engines.local.drafting import DraftLength
from baton_reasoning.core.engines.local.engine import LocalEngine, LocalSession
from baton_reasoning.core.models.load_options import LoadOptions, Switch
from baton_reasoning.core.models.sampling import Sampling
from baton_reasoning.core.run import RunSettings, ask
from tests.bench.generated import bench_model, decode_seconds, f32_copy
from tests.bench.table import Row, at_most, in_turn, ratios

SAMPLING = Sampling(temperature=0.6)
ALWAYS = 3
TOKENS = 120
LARGE_BLOCKS = 30
STORY: Messages = (Message("user", "Tell me a long story about a fox who learns to count."),)


class TimedWrite(NamedTuple):
    tokens: int
    drafted: int
    seconds: float

    @property
    def decodes(self) -> float:
        """Of the large model, a token: each decode draws one token that nothing drafted."""
        return (self.tokens - self.drafted) / max(self.tokens, 1)


def rows(rounds: int) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as name:
        model = bench_model()
        copy = f32_copy(model, Path(name) / "f32.gguf")
        with DraftingModels(model, copy) as models:
            models.draft_always(ALWAYS)
            always = [models.write(STORY, seed).decodes for seed in range(rounds)]
            models.choose_by_cost()
            what = f"the large model's decodes a token with {ALWAYS} drafts each, temperature 0.6"
            yield at_most("P7", what, 0.4, always)
            off = models.in_time([STORY], rounds)
            yield at_most("P7", "drafting on / off in time, where it does not pay and pauses by itself", 1.02, off)
        large = of_blocks(LARGE_MODEL, Path(name), LARGE_BLOCKS).make()
        wider = decode_seconds(large, 4) / decode_seconds(large)
        questions = [ask(problem.question, RunSettings()) for problem in islice(held_out_problems(seed=3), 2)]
        with DraftingModels(SMALL_MODEL, large) as models:
            on = models.in_time(questions, rounds)
        more = f"; a decode of 4 tokens costs {wider:.1f} of one"
        yield at_most("P7", "drafting on / off in time, where it pays", 0.75, on, more)


class ConstantLength(DraftLength):
    """Always so many drafts."""

    def __init__(self, drafts: int) -> None:
        super().__init__(plain_seconds=1.0)
        self._drafts = drafts

    def speed(self, drafts: int) -> float:
        return float(drafts == self._drafts)


class DraftingModels:
    """Two models of one vocabulary, the small one drafting for the large one. A context manager."""

    def __init__(self, small: Path, large: Path) -> None:
        options = LoadOptions(context=1024, drafts=Switch.ON)
        self._small, self._large = LocalEngine(small, options), LocalEngine(large, options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._small.close()
        self._large.close()

    def in_time(self, questions: Sequence[Messages], rounds: int) -> list[float]:
        """Seconds a token with drafts over seconds without."""

        def seconds(drafts: bool) -> float:
            written = [self.write(question, seed, drafts) for seed, question in enumerate(questions)]
            return sum(each.seconds for each in written) / sum(each.tokens for each in written)

        figures = in_turn({"on": lambda: seconds(True), "off": lambda: seconds(False)}, rounds)
        return ratios(figures["on"], figures["off"])

    def draft_always(self, drafts: int) -> None:
        """So many at each decode, whatever they cost."""
        self._large.draft_lengths[self._small] = ConstantLength(drafts)

    def choose_by_cost(self) -> None:
        """As in the program, and without what earlier writes have shown."""
        del self._large.draft_lengths[self._small]

    def write(self, question: Messages, seed: int, drafts: bool = True) -> TimedWrite:
        small, large = self._small.open(question, SAMPLING), self._large.open(question, SAMPLING)
        with closing(small), closing(large):
            if drafts:
                assert large.use_drafts_of(small)
            large.read([])
            return _timed(large, seed)


def _timed(large: LocalSession, seed: int) -> TimedWrite:
    began = time.perf_counter()
    tokens = [item for item in large.write([], TOKENS, seed) if isinstance(item, Token)]
    return TimedWrite(len(tokens), sum(token.drafted for token in tokens), time.perf_counter() - began)
