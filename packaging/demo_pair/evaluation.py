"""The pair at work, before any file is written: four ways to share the thinking, on hundreds of problems at once.

Each text has a plan, a generator that says who writes its next token. Both models read every token of every text, so
a handoff costs nothing here, and going back is forgetting ids. This imitates the program's loop (preset
`baton`) closely enough to choose a pair; the program itself then judges the files.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from enum import Enum

import torch
from torch import Tensor

from core.demo_pair.settings import DEMO_SETTINGS
from core.demo_pair.task import Problem
from core.run import INSTRUCTION
from demo_pair.model import Llama
from demo_pair.tokenizer import ASSISTANT, BEGIN, END, END_ID, USER, decode, encode
from demo_pair.traces import AUXILIARY

DEMO = DEMO_SETTINGS.parameters
LONGEST_TEXT = 480
OVERRUN = 32
CLOSING = "</think>"
REFLECTION = re.compile(r"\b(wait|hold on|think again|verify|check)\b", re.IGNORECASE)
AFFIRMATION = re.compile(r"\bfinal answer\b", re.IGNORECASE)
VERIFICATION = re.compile(r"\b(think again|verify|check)\b", re.IGNORECASE)
SENTENCE_END = re.compile(r"(\D\.|\d\.\s)\s*$|\n\s*$")


class Writer(Enum):
    SMALL = 0
    LARGE = 1


@dataclass
class Text:
    """One problem's text. `writers` has an entry for each id after the prompt; None stands for inserted text."""

    problem: Problem
    ids: list[int]
    prompt_length: int
    writers: list[Writer | None] = field(default_factory=list)
    read: int = 0
    thrown_away: int = 0
    takeovers: int = 0

    def since(self, start: int) -> str:
        return decode(self.ids[start:])

    @property
    def at_boundary(self) -> bool:
        return self.since(-1).endswith("\n\n")

    @property
    def thinking(self) -> bool:
        return CLOSING not in self.since(-20)

    def append(self, ids: Sequence[int], writer: Writer | None) -> None:
        self.ids += ids
        self.writers += [writer] * len(ids)

    def cut(self, length: int) -> None:
        self.thrown_away += len(self.ids) - length
        del self.ids[length:], self.writers[length - self.prompt_length :]
        self.read = length - 1

    @property
    def correct(self) -> bool:
        return self.since(self.prompt_length).endswith(f"\\boxed{{{self.problem.answer}}}.{END}")


Writers = Generator[Writer, None, None]
Plan = Callable[[Text, random.Random], Writers]


def alone(writer: Writer, _text: Text, _chance: random.Random) -> Writers:
    while True:
        yield writer


def takeover(text: Text, tokens: int) -> Writers:
    """The large model writes so many tokens, then on to the end of the sentence, or to the end of thinking."""
    start = len(text.ids)
    text.takeovers += 1
    while text.thinking and len(text.ids) < start + tokens + OVERRUN:
        if len(text.ids) >= start + tokens and SENTENCE_END.search(text.since(start)):
            break
        yield Writer.LARGE


def speculative(most_reflections: int, text: Text, _chance: random.Random) -> Writers:
    """The method: lookahead, cue, takeover; verification; excessive reflection."""
    reflections = 0
    writer = Writer.SMALL
    while text.thinking:
        writer, start = Writer.SMALL, len(text.ids)
        yield writer
        if start == text.prompt_length or not decode(text.ids[start - 1 : start]).endswith("\n\n"):
            continue
        if reflections >= most_reflections:
            reflections = 0
            text.cut(start)
            text.append(encode(AUXILIARY), None)
            yield from takeover(text, DEMO.n3)
            continue
        cue = None
        while len(text.ids) < start + DEMO.n1 and text.thinking:
            cue = REFLECTION.search(text.since(start)) or AFFIRMATION.search(text.since(start))
            if cue or SENTENCE_END.search(text.since(start)):
                break
            yield writer
        if cue:
            text.cut(start)
            writer = Writer.LARGE
            yield from takeover(text, DEMO.n1)
            sentence = text.since(start)
            reflections += bool(REFLECTION.search(sentence))
            if text.thinking and VERIFICATION.search(sentence):
                yield from takeover(text, DEMO.n2)
    while True:
        yield writer


def at_random(probability: float, text: Text, chance: random.Random) -> Writers:
    """The control: the same takeovers, at boundaries that nobody chose."""
    writer = Writer.SMALL
    while text.thinking:
        if text.at_boundary and chance.random() < probability:
            writer = Writer.LARGE
            yield from takeover(text, DEMO.n1)
        else:
            writer = Writer.SMALL
            yield writer
    while True:
        yield writer


def sample(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """[rows, vocabulary] -> [rows]; temperature, then nucleus sampling. Temperature 0 takes the best."""
    if temperature == 0:
        return logits.argmax(-1)
    chances, order = (logits / temperature).softmax(-1).sort(descending=True)
    chances[chances.cumsum(-1) - chances >= DEMO_SETTINGS.top_p] = 0
    return order.gather(-1, torch.multinomial(chances, 1, generator=generator)).squeeze(-1)


@torch.no_grad()
def solve(small: Llama, large: Llama, plan: Plan, problems: list[Problem], seed: int, temperature: float) -> list[Text]:
    """Every tick, every text that is not done has one more token read by both models or written by one."""
    generator, chance = torch.Generator().manual_seed(seed), random.Random(seed)
    texts = []
    for problem in problems:
        prompt = encode(f"{BEGIN}{USER}{problem.question}\n{INSTRUCTION}{ASSISTANT}<think>\n")
        texts.append(Text(problem, prompt, len(prompt)))
    plans = [plan(text, chance) for text in texts]
    writers = [next(plan) for plan in plans]
    caches = [model.caches(len(texts), LONGEST_TEXT) for model in (small, large)]
    live = list(range(len(texts)))
    while live:
        ids = torch.tensor([[text.ids[min(text.read, len(text.ids) - 1)]] for text in texts])
        positions = torch.tensor([[min(text.read, len(text.ids) - 1)] for text in texts])
        logits = [
            model.head(model.hidden(ids, positions, cache)[:, -1])
            for model, cache in zip((small, large), caches, strict=True)
        ]
        chosen = torch.tensor([[writer.value] for writer in writers])
        tokens = sample(torch.where(chosen == 0, *logits), temperature, generator).tolist()
        for row in list(live):
            text = texts[row]
            text.read += 1
            if text.read < len(text.ids):
                continue
            text.append([tokens[row]], writers[row])
            if tokens[row] == END_ID or len(text.ids) >= LONGEST_TEXT - 60:
                live.remove(row)
            else:
                writers[row] = next(plans[row])
    return texts
