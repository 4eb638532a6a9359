"""Log-likelihoods: what /v1/completions answers to `echo` with `logprobs`.

Evaluation harnesses compare the choices of a question by them. A prompt is a raw text or token ids, which one model
reads from the first token on: no chat template, no instruction, no thinking. A model that needs BOS before a text reads
it, and the response shows it only if the prompt's own ids begin with it. So a client's positions are right either way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import closing
from itertools import accumulate, chain
from typing import Any, NamedTuple

from baton_reasoning.core.engines.base import Alternative, Engine, HasTokenizer, Session, Token
from baton_reasoning.core.engines.body import Author, Part
from baton_reasoning.core.errors import Cancelled, EngineLost, SettingsError
from baton_reasoning.core.models.overrides import Sampling
from baton_reasoning.core.serve.schema import LikelihoodRequest
from baton_reasoning.core.thinking.control import Control

EXCLUDED = -9999.0
"""The log-probability of a token that a model excludes, as in OpenAI's API: JSON has no −∞."""


class TokenEntry(NamedTuple):
    """One token of a choice. The first has no log-probability, nor has the end of the text, whose text is empty."""

    text: str
    logprob: float | None = None
    """Natural logarithm."""
    top: dict[str, float] | None = None
    """The likeliest tokens at its position by their texts, and the token itself."""


class ScoredPrompt(NamedTuple):
    """The tokens of a prompt, and what follows: the token that the model wrote, if it was asked for one."""

    read: list[TokenEntry]
    written: list[TokenEntry]
    hidden: int
    """1 if BOS was read in front of what is shown."""
    ended: bool = False
    """The model ended the text where it was asked for a token."""

    def choice(self, index: int) -> dict[str, Any]:
        """Return it as a choice of OpenAI's completions. Offsets count characters."""
        entries = self.read + self.written
        texts = [entry.text for entry in entries]
        return {
            "index": index,
            "text": "".join(texts),
            "finish_reason": "stop" if self.ended else "length",
            "logprobs": {
                "tokens": texts,
                "token_logprobs": [entry.logprob for entry in entries],
                "top_logprobs": [entry.top for entry in entries],
                "text_offset": list(accumulate(map(len, texts[:-1]), initial=0)),
            },
        }


def usage_of(prompts: Sequence[ScoredPrompt]) -> dict[str, int]:
    """Count the tokens of all prompts, a BOS that is not shown included, as OpenAI's completions do."""
    read = sum(prompt.hidden + len(prompt.read) for prompt in prompts)
    written = sum(len(prompt.written) - prompt.ended for prompt in prompts)
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


class Likelihoods:
    """Scores the prompts of one request, one after the other."""

    def __init__(self, engine: Engine, request: LikelihoodRequest, sampling: Sampling, seed: int) -> None:
        """`sampling` and `seed` are for the token after each prompt.

        Raises SettingsError for a model that cannot score, or whose ids these are not.
        """
        self._engine = engine
        self._tokenizer = engine if isinstance(engine, HasTokenizer) else None
        self._prompts = request.prompt
        self._count = request.logprobs
        self._new_tokens = request.max_tokens
        self._sampling = engine.card.overrides.sampling(sampling)
        self._seed = seed
        self._control = Control()
        self._refuse_impossible()

    def stop(self) -> None:
        """Stop within one decode; `scored_prompts` then raises EngineLost."""
        self._control.stop()

    async def scored_prompts(self) -> list[ScoredPrompt]:
        """Return the scored prompts in the order of the request.

        Raises BatonError. Cancelled, it stops the model and waits for its thread.
        """
        scoring = asyncio.ensure_future(asyncio.to_thread(self._score_all))
        try:
            return await asyncio.shield(scoring)
        finally:
            self.stop()
            await asyncio.gather(scoring, return_exceptions=True)

    def _refuse_impossible(self) -> None:
        card, tokenizer = self._engine.card, self._tokenizer
        if not card.returns_scores:
            raise SettingsError(
                f"{card.name} on {card.location} gives no log-probabilities of a text that it reads.",
                "Load its GGUF file on this machine, or serve it with vLLM.",
            )
        ids = list(chain.from_iterable(prompt for prompt in self._prompts if not isinstance(prompt, str)))
        if ids and tokenizer is None:
            raise SettingsError(
                f"{card.name} on {card.location} takes prompts as text, not as token ids.",
                "Send strings (lm-evaluation-harness: tokenized_requests=False).",
            )
        size = tokenizer.vocabulary_size if tokenizer else 0
        if foreign := [id for id in ids if not 0 <= id < size]:
            raise SettingsError(
                f"{card.name} has no token {foreign[0]}: its ids are 0 to {size - 1}.",
                "Tokenize the prompt with this model's own tokenizer, or send it as a string.",
            )

    def _score_all(self) -> list[ScoredPrompt]:
        try:
            session = self._engine.open((), self._sampling, self._control.attach, thinks=False)
        except Cancelled as error:
            raise stopped() from error
        scored = []
        with closing(session):
            for prompt in self._prompts:
                scored.append(self._score(session, prompt))
                if self._control.stopped:
                    raise stopped()
        return scored

    def _score(self, session: Session, prompt: str | Sequence[int]) -> ScoredPrompt:
        bos, body = self._body(session, prompt)
        scores = session.score(body, 0, self._count)
        read = bos + [self._entry(token.text, token.logprob, token.alternatives) for token in scores.tokens]
        read[:1] = [TokenEntry(first.text) for first in read[:1]]
        hidden = session.prompt_tokens - len(bos)
        if not self._new_tokens:
            return ScoredPrompt(read, [], hidden)
        items = session.write(body, self._new_tokens, self._seed, max(self._count, 1))
        tokens = [item for item in items if isinstance(item, Token)]
        written = [self._entry(new.data.decode(errors="replace"), new.logprob, new.alternatives) for new in tokens]
        return ScoredPrompt(read, written or [TokenEntry("")], hidden, ended=not written)

    def _entry(self, text: str, logprob: float | None, likeliest: Sequence[Alternative]) -> TokenEntry:
        """Make an entry; of several tokens with one text, such as parts of characters, `top` has the likeliest."""
        top: dict[str, float] = {}
        for other in likeliest[: self._count]:
            top.setdefault(other.text, max(other.logprob, EXCLUDED))
        if logprob is not None:
            logprob = max(logprob, EXCLUDED)
            top.setdefault(text, logprob)
        return TokenEntry(text, logprob, top)

    def _body(self, session: Session, prompt: str | Sequence[int]) -> tuple[list[TokenEntry], list[Part]]:
        """Return the BOS that the prompt shows, and what follows it. A text that spells a control token stays text."""
        tokenizer = self._tokenizer
        given = tokenizer.tokenize(prompt) if tokenizer and isinstance(prompt, str) else prompt
        if not given:
            raise SettingsError("A prompt has no tokens.", "Send at least one character, or one token id.")
        if isinstance(given, str):
            return [], [Part(given, Author.PERSON)]
        assert tokenizer, "without one, ids were refused"
        bos = tokenizer.tokenize(tokenizer.bos, special=True) if session.prompt_tokens else ()
        shown = [TokenEntry(tokenizer.bos)] if bos and tuple(given[:1]) == bos else []
        vocabulary = session.card.vocabulary
        return shown, [Part("", Author.PERSON, id, vocabulary) for id in given[len(shown) :]]


def stopped() -> EngineLost:
    """Make the error for a request that the end of the endpoint has cut short."""
    return EngineLost("The endpoint was stopped before the answer was whole.", "Start it, and ask again.")
