"""What the scheduler works on: sessions in the KV cache, and requests that read and write them."""

from __future__ import annotations

import codecs
import time
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from baton_reasoning.core.engines.local.ledger import Ledger
from baton_reasoning.core.engines.local.llama import Logits
from baton_reasoning.core.engines.local.messages import Read

_UTF8 = codecs.getincrementaldecoder("utf-8")
ages = count()
"""Grows with each use of a session: the smallest is the one that has been idle longest."""


@dataclass(eq=False)
class CachedSequence:
    """One session: its text, and its slot in the KV cache while it has one."""

    prompt: tuple[int, ...]
    ledger: Ledger
    text: list[int] = field(default_factory=list)
    """Prompt and body of the last request."""
    slot: int | None = None
    logits: Logits | None = None
    """The logits after the last token in the cache, if nothing was decoded since."""
    used: int = field(default_factory=lambda: next(ages))


@dataclass(eq=False)
class Task:
    """A request under way: first it reads, then perhaps it writes, one token a turn."""

    sequence: CachedSequence
    request: Read
    target: list[int]
    """Prompt, body and the question of a judgement, if there is one."""
    text_length: int
    """Tokens of the target without the question, which is removed after the judgement."""
    score_from: int
    """The next token of the target to be scored; its length if none is."""
    decoder: codecs.IncrementalDecoder = field(default_factory=lambda: _UTF8(errors="replace"))
    """Turns the scored tokens into text."""
    began: float = field(default_factory=time.perf_counter)
    pending: list[int] = field(default_factory=list)
    """Tokens to decode next: the text to read, or the token just written."""
    prefilled: int = 0
    reading: bool = True
    written: int = 0
    sampler: Any = None
    plain_tokens: int | None = None
    """Tokens to write before drafts are asked for; None: it uses none."""
    drafts: list[int] = field(default_factory=list)
    """The last tokens of `pending`, if the small model drafted them."""
    accepted: int = 0
    """How many drafts of the last decode were accepted."""
    tried: int = 0
    seconds: float = 0.0
    plain_seconds: float = 0.0
    awaits_drafts: bool = False
    halted: bool = False
    halted_at_once: bool = False
