"""Words of the window and the terminal: authors, steps, endings of a run, usage of servers, placement, fit, states."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol, runtime_checkable

from baton_reasoning.core.analysis.differences import correction_by
from baton_reasoning.core.analysis.opinion import Opinion
from baton_reasoning.core.demo_pair import DEMO_SETTINGS
from baton_reasoning.core.engines.base import DeviceShare, ModelCard
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.remote.billing import UsageMeter
from baton_reasoning.core.engines.remote.status import RETRYING, ServerState, ServerStatus
from baton_reasoning.core.engines.usage import Usage
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.models.fit import Fit, FitKind, in_gib
from baton_reasoning.core.models.ollama import shown_name
from baton_reasoning.core.models.overrides import ModelOverrides, TagSource
from baton_reasoning.core.models.source import DemoModel, LocalFile, ModelSource
from baton_reasoning.core.run import Pair, RunSettings
from baton_reasoning.core.text import counted
from baton_reasoning.core.thinking.cues import parse_lexicon
from baton_reasoning.core.thinking.events import Finish
from baton_reasoning.core.thinking.reasons import ALONE
from baton_reasoning.core.thinking.registry import POLICIES, advice_on, policy_title
from baton_reasoning.core.thinking.trace import Piece, Trace
from baton_reasoning.core.words.authors import SIGN, WHO
from baton_reasoning.core.words.numbers import duration, measured, money

Fact = tuple[str, str]
"""A name and its value, for a list of facts."""

ENDINGS = {
    Finish.END_OF_TEXT: "",
    Finish.MAX_TOKENS: "Stopped at the length limit.",
    Finish.TIME: "The time limit was reached.",
    Finish.CONTEXT_FULL: "The context is full.",
    Finish.REPETITION: "Stopped: the text was repeating itself.",
    Finish.STOPPED: "Stopped.",
    Finish.FAILED: "The run failed.",
}


NOT_HANDED_OVER = "not handed over"
"""Said of a place at which the large model strongly disagrees, and the policy let the small one write on."""


def piece_text(piece: Piece, remark: str = "", name: str = "") -> str:
    """Return who wrote a piece, how much and why, with a remark between: “◆ the large model, 30 tokens”, and in the
    next line “Handed over at “Wait”: reflection”. `name`: its model's, where several wrote (`own_names`)."""
    who = f"{SIGN[piece.author]} {WHO[piece.author]} {name}".rstrip()
    length = f", {counted(len(piece.tokens), 'token')}" if piece.author.is_model else ""
    why = handed_over(piece) or (POLICIES.reason(piece.reason).label if piece.reason else "")
    return "\n".join(filter(None, (f"{who}{length}", remark, why)))


def step_sentence(trace: Trace, piece: Piece) -> str:
    """Return why a step was handed over, and to what effect: “Handed over at “Hold on”: reflection. Corrected 73298 to
    73198”; of any other, who wrote it."""
    part = "this part of the answer" if piece.in_answer else "this step"
    match piece.author:
        case Author.PERSON:
            return f"You edited {part}."
        case Author.INSERTED:
            because = f": {POLICIES.reason(piece.reason).label.lower()}" if piece.reason else ""
            return f"Baton inserted this text{because}."
    if not (why := handed_over(piece)):
        return f"The {piece.author.value} model wrote {part}."
    index = next(number for number, each in enumerate(trace.pieces) if each is piece)
    goes_on = index > 0 and trace.pieces[index - 1].takeover is piece.takeover
    change = correction_by(trace.pieces, index)
    effect = f". Corrected {change.before} to {change.after}" if change else ""
    return f"{handed_over(piece, 'Still handed over') if goes_on else why}{effect}"


def handed_over(piece: Piece, opening: str = "Handed over") -> str:
    """Return why a piece was handed over: “Handed over at “Hold on”: reflection”, “Handed over: unsure how to begin.
    Entropy 2.13, limit 1.5”; "" if it was not."""
    takeover = piece.takeover
    if takeover is None or takeover.reason in ALONE:
        return ""
    label, measure = POLICIES.reason(takeover.reason).label, takeover.measure
    why = f"{opening}{f' at “{takeover.cue.word}”' if takeover.cue else ''}: {label[:1].lower()}{label[1:]}"
    if measure is None:
        return why
    name = f"{measure.name[:1].upper()}{measure.name[1:]}"
    return f"{why}. {name} {measured(measure.value)}, limit {measured(measure.limit)}"


def method_title(settings: RunSettings) -> str:
    """Name the policy and what sets it apart, the demo pair's own lengths aside: “Keywords (paper), own cues”."""
    title = policy_title(settings.policy, DEMO_SETTINGS.policy)
    return f"{title}, own cues" if settings.cue_list else title


def thinking_text(settings: RunSettings) -> str:
    """Return how long the models may think: “on”, “off” or “at most 2,000 tokens”."""
    if not settings.thinking:
        return "off"
    budget = settings.limits.max_thinking_tokens
    return f"at most {counted(budget, 'token')}" if budget else "on"


def run_in_brief(trace: Trace, live: bool = False) -> str:
    """Return “14 steps · 9.2 s”, or what a `live` run waits for. The speeds stand below the composer."""
    if trace.prefill:
        return f"Reading {trace.prefill.tokens:,} of {trace.prefill.total:,} tokens"
    if live and not trace.pieces:
        return "Waiting for the first token"
    parts = [counted(len(trace.steps), "step")]
    if trace.seconds > 0:
        parts.append(duration(trace.seconds))
    return " · ".join(parts)


DRAFT_SIGN = "◇"
"""Marks tokens that the small model drafted for the large one: speculative decoding."""


def draft_text(drafted: int, accepted: int) -> str:
    """Return “◇ 12 tokens, 9 accepted (75%)”; nothing if none was drafted."""
    return (
        f"{DRAFT_SIGN} {counted(drafted, 'token')}, {accepted:,} accepted ({accepted / drafted:.0%})" if drafted else ""
    )


def ending(trace: Trace, live: bool) -> str:
    """Return how the run ended and what to make of it; nothing if it ended well."""
    if live or not trace.started:
        return ""
    if trace.ended is None and trace.pieces and trace.pieces[-1].author is Author.PERSON:
        return "Your text is kept. Continue lets the models go on from it."
    if trace.ended is None:
        return "Interrupted before its end. Continue goes on from here."
    return trace.ended.reason or finish_text(trace) or advice_on(trace).text


def finish_text(trace: Trace) -> str:
    """Return why the run ended unless it was complete: “Stopped at the length limit (500 tokens).”"""
    if trace.finish is Finish.MAX_TOKENS and trace.started and (most := trace.started.settings.get("max_tokens")):
        return f"Stopped at the length limit ({counted(most, 'token')})."
    return ENDINGS[trace.finish] if trace.finish else ""


def last_text(trace: Trace, live: bool) -> str:
    """Return the notices of a run and how it ended, a line each.

    That a server is tried again stands in the live line above the composer and on the page of the run, not here.
    """
    notices = dict.fromkeys(notice.text for notice in trace.notices if not notice.text.endswith(RETRYING))
    return "\n".join(filter(None, (*notices, ending(trace, live))))


def opinion_counts(opinion: Opinion) -> str:
    """Sum up a second opinion in a sentence."""
    strong, missed = len(opinion.strong), len(opinion.missed)
    of_them = f", {missed:,} of them {NOT_HANDED_OVER}" if missed else ""
    return f"{opinion.given.model}: {counted(strong, 'strong disagreement')}{of_them}."


def source_name(source: ModelSource) -> str:
    """Return the name of a file, in Ollama's store that of the model, or the address of anything else."""
    return shown_name(source.path) if isinstance(source, DemoModel | LocalFile) else str(source)


# Usage of servers


@runtime_checkable
class BilledEngine(Protocol):
    """An engine that adds up what it costs."""

    @property
    def card(self) -> ModelCard: ...

    @property
    def meter(self) -> UsageMeter: ...


def bills_of(pair: Pair) -> Iterator[str]:
    """Yield the usage of each of the two models that is on a server, a line each."""
    for engine in {id(engine): engine for engine in (pair.small, pair.large)}.values():
        if isinstance(engine, BilledEngine):
            yield f"{engine.card.location}: {bill_text(engine.meter.usage)}"


def bill_text(bill: Usage) -> str:
    """Return “12 requests, 5,310 tokens sent, 5,120 of them reused, …”: tokens, bytes, waiting time and money."""
    cost = bill.cost
    about = "about " if cost.estimated else ""
    tokens = f"{cost.sent:,} tokens sent, {cost.reused:,} of them reused, {cost.read:,} read, {cost.written:,} written"
    waited = f"{in_gib(cost.bytes_sent + cost.bytes_received)}, {cost.seconds_waited:.1f} s waited"
    text = f"{counted(cost.requests, 'request')}, {about}{tokens}, {waited}"
    spent = money(bill.money, bill.currency)
    return f"{text}, {spent}" if spent else text


# Placement: how a model was really loaded, and what it draws with


def placement_facts(card: ModelCard) -> Iterator[Fact]:
    """Yield how a model is placed in memory; nothing for a model on a server."""
    if (placed := card.placement) is None:
        return
    threads = counted(placed.threads, "thread")
    yield "Loaded with", f"{card.context:,} tokens, batch {placed.batch}, {threads}, {placed.kv_type} KV cache"
    if placed.fallback:
        yield "Less than asked", f"⚠ {fallback_text(card)}"
    for share in placed.shares:
        yield f"In {share.device}", share_text(share)


def fallback_text(card: ModelCard) -> str:
    """Return a sentence if a model could not be loaded as asked; else ""."""
    if card.placement is None or not card.placement.fallback:
        return ""
    return f"{card.name} was loaded {card.placement.fallback}: out of memory."


def share_text(share: DeviceShare) -> str:
    """Return “31 layers: weights 4.4 GiB, KV cache 448 MiB, compute 304 MiB”."""
    parts = [f"weights {in_gib(share.weights)}" if share.weights else ""]
    parts += [f"KV cache {in_gib(share.cache)}" if share.cache else "", f"compute {in_gib(share.compute)}"]
    return f"{share.layers} layers: {', '.join(filter(None, parts))}"


def own_facts(own: ModelOverrides) -> Iterator[Fact]:
    """Yield what a person set for this model alone."""
    if text := sampling_text(own):
        yield "Own sampling", text
    if own.reasoning_effort:
        yield "Reasoning effort", own.reasoning_effort
    if own.tags is not TagSource.TEMPLATE:
        yield "Own tags", f"{own.opening} … {own.closing}" if own.tags is TagSource.OTHER else "none"
    if own.cue_list:
        yield "Own cues", cue_text(own.cue_list)


def sampling_text(own: ModelOverrides) -> str:
    """Return what is set of the sampling: “temperature 0.6, top-p 0.95”."""
    drawing = [("temperature", own.temperature), ("top-p", own.top_p), ("top-k", own.top_k)]
    return ", ".join(f"{name} {value:g}" for name, value in drawing if value is not None)


def cue_text(cue_list: str) -> str:
    """Return the cues of a list without their inflections: “wait, hmm, let me”."""
    try:
        return ", ".join(word for words in parse_lexicon(cue_list).cues.values() for word in words)
    except SettingsError as error:
        return f"✗ {error.message}"


# Whether a model fits; what a server does. Each has a sign and a word, so that a colour is never the only sign.

FIT_SIGNS = {
    FitKind.WHOLE_ON_GPU: "✓ fits on the GPU",
    FitKind.SPLIT: "◐ GPU and RAM",
    FitKind.RAM_ONLY: "✓ fits in RAM",
    FitKind.DOES_NOT_FIT: "✗ does not fit",
}


def fit_text(fit: Fit) -> str:
    return FIT_SIGNS[fit.kind]


class StateWords(NamedTuple):
    sign: str
    words: str
    is_problem: bool = False


STATES = {
    ServerState.CONNECTED: StateWords("✓", "connected"),
    ServerState.BUSY: StateWords("▶", "busy"),
    ServerState.READING: StateWords("≡", "reading"),
    ServerState.WAITING: StateWords("◷", "waiting for a slot"),
    ServerState.RECONNECTING: StateWords("↻", "reconnecting", is_problem=True),
    ServerState.REFUSED: StateWords("✗", "refused", is_problem=True),
    ServerState.LOST: StateWords("✗", "not answering", is_problem=True),
}


def status_text(doing: ServerStatus) -> str:
    """Return “✓ connected”, “≡ reading 40%” or “◷ waiting for a slot”."""
    sign, words, _ = STATES[doing.state]
    if doing.share is not None:
        words += f" {doing.share:.0%}"
    return f"{sign} {words}"
