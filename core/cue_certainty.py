"""Measures how sure a model is around its cues, for policies that need a bound or a cue list of their own.

The texts are those that the model wrote alone, with the two likeliest tokens at each position. Counted are the tokens
before a cue, the share of cues that begin a step (paper §3), and the margin p1 - p2 after a cue against the mean of all
tokens, by which `relay` chooses its cues (RelayGen, arXiv 2602.06454). The bounds of `triggers` and `agreement` are
quantiles of the mean log-probability of a step.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from baton_reasoning.core.engines.base import Conversation, Engine
from baton_reasoning.core.engines.body import Body
from baton_reasoning.core.models.overrides import Sampling
from baton_reasoning.core.thinking.cues import Category, Lexicon, english
from baton_reasoning.core.thinking.events import TokenWritten
from baton_reasoning.core.thinking.steps import ends_sentence
from baton_reasoning.core.thinking.trace import Trace

LEAST_COUNT = 3
"""Times that a word is seen before anything is said about it."""
LONGEST_SENTENCE = 64
"""Most tokens after a cue that are measured."""
MOST_BEFORE = 10
"""Number of different tokens before a cue that are listed, as in the paper's figure."""
QUANTILE = 0.05
"""Share of the steps that `triggers` and `agreement` would hand over at the proposed bound."""


_OPENING = re.compile(r"([^\W\d_]+(?:['’][^\W\d_]+)?)(?: [^\W\d_]+(?:['’][^\W\d_]+)?)?")


class CueMargin(NamedTuple):
    """A known cue, or words with which steps open, in lower case."""

    words: str
    times: int
    margin: float
    """Mean of p1 - p2 from the words to the end of their sentence, 0 to 1."""


@dataclass(frozen=True)
class Certainty:
    cues: int
    """Number of known cues in the texts, at any place."""
    after_boundary: int
    """Number of cues that begin a step."""
    before: tuple[tuple[str, int], ...]
    """Tokens before a known cue, the most frequent first."""
    margin: float | None
    """Mean of p1 - p2 over all tokens; None if the model gives no probabilities."""
    margins: tuple[CueMargin, ...]
    """The surest first."""
    confidence: float | None
    """For `triggers`: the mean log-probability of a step that only a share `QUANTILE` of the steps exceeds."""

    @property
    def relay(self) -> Lexicon:
        """Return words after which the model is surer than on average: there `relay` lets the small model write."""
        sure = [each.words for each in self.margins if self.margin is not None and each.margin > self.margin]
        return Lexicon({Category.REFLECTION: dict.fromkeys(sure, ())})


def certainty(texts: Iterable[Sequence[TokenWritten]], lexicon: Lexicon | None = None) -> Certainty:
    """Measure the tokens of finished texts, which have alternatives if the model gives any."""
    known = lexicon or english()
    before: Counter[str] = Counter()
    after: defaultdict[str, list[float]] = defaultdict(list)
    counts: Counter[str] = Counter()
    overall: list[float] = []
    steps: list[float] = []
    cues = after_boundary = 0
    for tokens in texts:
        text = _Text(tokens)
        overall += [margin for margin in text.margins if margin is not None]
        steps += text.step_logprobs()
        places = {(cue.start, cue.end) for cue in known.find(text.text)}
        cues += len(places)
        for start, _ in places:
            before[text.before(start)] += 1
            after_boundary += text.begins_step(start)
        for start, end in places | set(text.openings()):
            words = " ".join(text.text[start:end].lower().split())
            counts[words] += 1
            after[words] += text.margins_after(end)
    margins = [
        CueMargin(words, count, sum(after[words]) / len(after[words]))
        for words, count in counts.items()
        if count >= LEAST_COUNT and after[words]
    ]
    return Certainty(
        cues,
        after_boundary,
        tuple(before.most_common(MOST_BEFORE)),
        sum(overall) / len(overall) if overall else None,
        tuple(sorted(margins, key=lambda each: (-each.margin, each.words))),
        quantile(steps, 1 - QUANTILE),
    )


def agreements(engine: Engine, conversation: Conversation, trace: Trace) -> Iterator[float]:
    """Yield the mean log-probability per token that another model gives each step, in nats. Raises BatonError."""
    thinks = trace.started is None or trace.started.thinks
    with closing(engine.open(conversation, Sampling(), thinks=thinks)) as session:
        start = 0
        for step in trace.steps:
            end, body = start + len(step.text), Body(trace.parts())
            body.cut(end)
            if step.text.strip():
                yield session.score(tuple(body.parts), start).mean_logprob
            start = end


def quantile(values: Sequence[float], share: float) -> float | None:
    """Return the smallest value that at least this share of the values does not exceed; None without values."""
    if not values:
        return None
    return sorted(values)[min(len(values) - 1, max(0, math.ceil(share * len(values)) - 1))]


class _Text:
    """Finds the tokens of one text by their characters."""

    def __init__(self, tokens: Sequence[TokenWritten]) -> None:
        self.tokens = tokens
        self.text = "".join(token.text for token in tokens)
        self.margins = [_margin(token) for token in tokens]
        self._starts = [0, *accumulate(len(token.text) for token in tokens)][:-1]
        self._steps = {0, *(self._first_word(self._starts[n + 1]) for n in self._ends() if n + 1 < len(tokens))}

    def _ends(self) -> Iterator[int]:
        return (number for number, token in enumerate(self.tokens) if token.ends_step)

    def _first_word(self, start: int) -> int:
        return start + len(self.text[start:]) - len(self.text[start:].lstrip())

    def _token_at(self, position: int) -> int:
        return bisect_right(self._starts, position) - 1

    def begins_step(self, position: int) -> bool:
        """Tell whether only the separator precedes a position in its step. A token may contain both."""
        token = self._token_at(position)
        within = self.text[self._starts[token] : position]
        return position in self._steps or (self.tokens[token].ends_step and within.isspace())

    def before(self, position: int) -> str:
        """Return the token before a word, or the part of the word's own token before it."""
        token = self._token_at(position)
        within = self.text[self._starts[token] : position]
        if within.strip(" "):
            return within
        while token > 0 and not self.tokens[token - 1].text:
            token -= 1
        return self.tokens[token - 1].text if token > 0 else ""

    def openings(self) -> Iterator[tuple[int, int]]:
        """Yield where the first word of each step is, and the first two."""
        for start in sorted(self._steps - {0}):
            if opening := _OPENING.match(self.text, start):
                yield start, opening.end(1)
                if opening.end() > opening.end(1):
                    yield start, opening.end()

    def margins_after(self, position: int) -> list[float]:
        """Return the margin of each token from there to the end of its sentence."""
        found: list[float] = []
        first = self._token_at(position - 1) + 1
        for number in range(first, min(first + LONGEST_SENTENCE, len(self.tokens))):
            if (margin := self.margins[number]) is not None:
                found.append(margin)
            end = self._starts[number] + len(self.tokens[number].text)
            if self.tokens[number].ends_step or ends_sentence(self.text[max(0, end - 16) : end]):
                break
        return found

    def step_logprobs(self) -> list[float]:
        """Return the mean log-probability per token of each step, in nats."""
        found: list[float] = []
        step: list[float] = []
        for token in self.tokens:
            step += [token.logprob] if token.logprob is not None else []
            if token.ends_step and step:
                found.append(sum(step) / len(step))
                step = []
        return found


def _margin(token: TokenWritten) -> float | None:
    """Return p1 - p2 of the two likeliest tokens at its position, 0 to 1; None if they are not known."""
    logprobs = sorted((choice.logprob for choice in token.alternatives), reverse=True)[:2]
    return math.exp(logprobs[0]) - math.exp(logprobs[1]) if len(logprobs) == 2 else None
