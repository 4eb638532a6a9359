"""A replay of the run's own policy marks exactly where it stepped in; another policy's reads the text as given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from baton_reasoning.core.demo_pair import DEMO_SETTINGS, held_out_problems
from baton_reasoning.core.engines.base import Message
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.model_card import ModelCard
from baton_reasoning.core.models.overrides import ThinkingTags
from baton_reasoning.core.run import Pair, ask
from baton_reasoning.core.run import run as solve
from baton_reasoning.core.thinking import events
from baton_reasoning.core.thinking.control import Control, PersonRequest
from baton_reasoning.core.thinking.cues import Category, Lexicon
from baton_reasoning.core.thinking.events import Event, Finish
from baton_reasoning.core.thinking.limits import Limits, LimitsGuard
from baton_reasoning.core.thinking.policies.always import Always
from baton_reasoning.core.thinking.policies.keywords import AFFIRMATION, REFLECTION, Keywords
from baton_reasoning.core.thinking.policies.never import Never
from baton_reasoning.core.thinking.policies.random_takeover import RANDOM, RandomTakeover
from baton_reasoning.core.thinking.policies.step_score import StepScore
from baton_reasoning.core.thinking.policy import Move, Policy, PolicyContext, PolicySettings, View, keep
from baton_reasoning.core.thinking.registry import POLICIES, make_policy, settings_for
from baton_reasoning.core.thinking.replay.recording import Takeover
from baton_reasoning.core.thinking.replay.replay import (
    LEAST_MOVES,
    MOVES_PER_PART,
    PlaceKind,
    Replay,
    compare,
    recordings_of,
    remarks,
    stretches,
)
from baton_reasoning.core.thinking.run_settings import RunSettings
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.thinking.values import places_of
from tests.core.thinking.running import Run, run
from tests.fakes.scripted import CERTAIN, TORN, ScriptedEngine, characters, single_bytes, words
from tests.fakes.valued import values_of
from tests.tiers import size

WORDS = (
    "Wait, ",
    "so it is 4. ",
    "yes, ",
    "let me check that again. ",
    "Füße ≈ 3… ",
    "then ",
    "\n\n",
    ".\n\n",
    "\n\nWait",
    " \n \n",
    "</think>\n\n",
    "a checkerboard ",
)


def of_length(size: int) -> Callable[[str], list[bytes]]:
    """Tokens of so many characters, wherever words and boundaries lie."""
    return lambda text: [text[i : i + size].encode() for i in range(0, len(text), size)]


SPLITS = (words, characters, single_bytes, of_length(3), of_length(7))
texts = st.lists(st.lists(st.sampled_from(WORDS), max_size=14).map("".join), min_size=1, max_size=6)


def settings_of(policy: str, preset: str = "", **changed: Any) -> PolicySettings:
    """Of one policy: the values that it has a field for."""
    kind = POLICIES[policy]
    base = kind.presets.get(preset, kind.Settings())
    return base.model_copy(
        update={name: value for name, value in changed.items() if name in kind.Settings.model_fields}
    )


WITH_PLACES = [name for name, policy in POLICIES.items() if not policy.answers_again]
POLICY_NAMES = [*["keywords"] * 3, *WITH_PLACES]
policies = st.builds(
    lambda name, preset, n, c, p, opening: settings_of(
        name,
        preset,
        n1=n,
        n2=2 * n,
        n3=3,
        c=c,
        c_most=c,
        p=p,
        step_cap=9,
        opening=opening,
        tau=0.9,
    ),
    st.sampled_from(POLICY_NAMES),
    st.sampled_from([*Keywords.presets, "relaygen"]),
    st.integers(1, 6),
    st.integers(1, 3),
    st.sampled_from([0.3, 0.7]),
    st.sampled_from([0, 4]),
)


def replayed(trace: Trace, make: Callable[[], Policy], limits: Limits = Limits()) -> list[Takeover]:  # noqa: B008 - frozen
    return list(Replay(recordings_of(trace.events), make, limits).takeovers())


def recorded(trace: Trace) -> list[Takeover]:
    return [took for recording in recordings_of(trace.events) for took in recording.takeovers]


class Hand(Control):
    """A person who does something after so many tokens."""

    def __init__(self, wishes: Mapping[int, PersonRequest]) -> None:
        super().__init__()
        self._wishes = dict(wishes)
        self._tokens = 0

    def interrupt(self, view: View) -> Move | None:
        self._tokens += 1
        if wish := self._wishes.get(self._tokens):
            self._ask(wish)
        return super().interrupt(view)


@given(
    policies,
    texts,
    texts,
    st.sampled_from(SPLITS),
    st.integers(5, 200),
    st.lists(st.sampled_from("0379"), max_size=9),
    st.sampled_from([1.0, 0.3]),
)
def test_the_policy_of_the_run_comes_out_as_recorded(
    settings: PolicySettings,
    small: list[str],
    large: list[str],
    split: Callable[[str], list[bytes]],
    most: int,
    marks: Sequence[str],
    share: float,
) -> None:
    limits = Limits(max_large_share=share, repetition=False)
    made = run(
        make_policy(settings, PolicyContext(3)),
        ScriptedEngine(*small, split=split, chances=lambda text: TORN if len(text) % 2 else CERTAIN),
        ScriptedEngine(*large, split=split, name="large", marks=marks),
        RunSettings(seed=3, max_tokens=most),
        [LimitsGuard(limits)],
    )
    assert replayed(made.trace, lambda: make_policy(settings, PolicyContext(3)), limits) == recorded(made.trace)


def test_an_empty_takeover_and_a_written_one_at_one_place_are_both_replayed() -> None:
    settings = settings_of("triggers", step_cap=9)
    made = run(make_policy(settings), ScriptedEngine("Wait, \n\n"), ScriptedEngine("", "Wait, ", name="large"))
    assert [took.start for took in recorded(made.trace)] == [0], "the plan was empty, the rewritten step was not"
    assert replayed(made.trace, lambda: make_policy(settings, PolicyContext(3))) == recorded(made.trace)


def test_what_was_judged_and_kept_at_its_cap_is_a_step_of_its_own() -> None:
    settings = settings_of("step-score", step_cap=2)
    small = ScriptedEngine("One two three four five", " End.</think>4")
    made = run(make_policy(settings), small, ScriptedEngine("No.\n\n", name="large", marks=["9", "0"]))
    assert [took.start for took in recorded(made.trace)][:1] == [len("One two")]
    assert made.trace.text.startswith("One twoNo.")
    assert replayed(made.trace, lambda: make_policy(settings)) == recorded(made.trace)


def test_a_lookahead_that_stood_again_is_no_takeover_in_the_replay_either() -> None:
    settings = settings_of("keywords", n1=2, choose_large=False)
    small = ScriptedEngine("One.\n\nWait, hm", " so it is.\n\nYes, it", " End.</think>4")
    made = run(make_policy(settings), small, ScriptedEngine("Hold on. And", "Wait, five. And", name="large"))
    assert [took.reason for took in recorded(made.trace)] == [AFFIRMATION.id], "“Wait” stood again"
    assert replayed(made.trace, lambda: make_policy(settings)) == recorded(made.trace)


ENDLESS = ("so it is, yes. " * 9 + "let me check.\n\n") * 30


@given(policies, texts, st.integers(1, 40), st.integers(1, 40))
def test_what_a_person_took_over_and_gave_back_stays_as_it_was(
    settings: PolicySettings, small: list[str], begins: int, lasts: int
) -> None:
    made = run(
        make_policy(settings, PolicyContext(3)),
        ScriptedEngine(*small),
        ScriptedEngine(continue_with=lambda *_: ENDLESS, name="large"),
        RunSettings(max_tokens=300),
        [Hand({begins: PersonRequest.TAKE_OVER_NOW, begins + lasts: PersonRequest.GIVE_BACK})],
    )
    assert replayed(made.trace, lambda: make_policy(settings, PolicyContext(3))) == recorded(made.trace)


def test_a_takeover_in_which_a_limit_ended_the_run_is_replayed() -> None:
    repeated = "x</think>\n\n" + "So it is again.\n\n" * 9
    made = run(
        make_policy(Always.Settings(), PolicyContext(3)),
        ScriptedEngine(".\n\n"),
        ScriptedEngine(repeated, ".\n\n", name="large"),
        interruptions=[LimitsGuard(Limits())],
    )
    assert made.trace.finish is Finish.REPETITION
    assert len(recorded(made.trace)) == 2
    assert replayed(made.trace, lambda: make_policy(Always.Settings(), PolicyContext(3))) == recorded(made.trace)


@given(policies, texts, texts, st.integers(0, 60))
def test_where_a_limit_closed_the_thinking_it_is_closed_again(
    settings: PolicySettings, small: list[str], large: list[str], budget: int
) -> None:
    limits = Limits(max_thinking_tokens=budget)
    made = run(
        make_policy(settings, PolicyContext(3)),
        ScriptedEngine(*small),
        ScriptedEngine(*large, name="large"),
        interruptions=[LimitsGuard(limits)],
    )
    assert replayed(made.trace, lambda: make_policy(settings, PolicyContext(3)), limits) == recorded(made.trace)


@given(policies, texts, texts, st.integers(1, 30))
def test_a_run_that_went_on_after_a_stop_is_replayed_with_a_policy_that_remembers(
    settings: PolicySettings, small: list[str], large: list[str], most: int
) -> None:
    # It may rewrite a step that an earlier start began, and its reason (log-probabilities) lies in that recording.
    assume(settings.policy != "triggers")

    def start(resume_trace: Trace | None, most: int, first: Move | None) -> Run:
        engines = ScriptedEngine(*small), ScriptedEngine(*large, name="large")
        policy = make_policy(settings, PolicyContext(3))
        return run(policy, *engines, RunSettings(seed=3, max_tokens=most), resume_trace=resume_trace, first_move=first)

    begun = start(None, most, None)
    went_on = start(begun.trace, 200, keep() if begun.trace.pieces else None)
    trace = Trace.of([*begun.trace.events, *went_on.trace.events])
    assert replayed(trace, lambda: make_policy(settings, PolicyContext(3))) == recorded(trace)


REFLECTIVE = run(
    make_policy(Keywords.Settings(n1=3)),
    small=["First, add.\n\nWait, is that", " So four.\n\nStep by step.\n\nYes, done", "\n\nSo.</think>\n\nIt is 4."],
    large=["Two and two is four. And", "I am sure. And"],
).trace


def places(trace: Trace, make: Callable[[], Policy]) -> list[tuple[str, PlaceKind]]:
    found = compare(recorded(trace), replayed(trace, make))
    return [(trace.text[place.takeover.start :].split(" ")[0].strip(), place.kind) for place in found]


def test_other_cues_step_in_elsewhere_and_the_text_is_taken_as_given() -> None:
    cues = Lexicon({Category.REFLECTION: {"wait": (), "step": ()}})
    assert [(took.reason, took.cue and took.cue.word) for took in recorded(REFLECTIVE)] == [
        (REFLECTION.id, "Wait"),
        (AFFIRMATION.id, "Yes"),
    ]
    made = places(REFLECTIVE, lambda: make_policy(Keywords.Settings(n1=3), PolicyContext(lexicon=cues)))
    assert [kind for _, kind in made] == [PlaceKind.BOTH, PlaceKind.REPLAYED, PlaceKind.RECORDED]
    assert made[1][0] == "Step"


def test_values_and_opinions_that_followed_the_run_change_nothing() -> None:
    reviewed = Trace.of(REFLECTIVE.events)
    everywhere = dict.fromkeys(places_of(reviewed), 8)
    reviewed.apply(values_of(reviewed, everywhere))
    reviewed.apply(events.OpinionGiven(0.0, "R1-32B", reviewed.length, ()))
    for policy in (Keywords, Never, Always):
        assert places(reviewed, policy) == places(REFLECTIVE, policy)
    assert remarks(reviewed, Keywords) == remarks(REFLECTIVE, Keywords)


def test_small_only_steps_in_nowhere_and_large_only_everywhere() -> None:
    nowhere = places(REFLECTIVE, Never)
    assert {kind for _, kind in nowhere} == {PlaceKind.RECORDED}
    whole = replayed(REFLECTIVE, Always)
    assert [(took.start, took.end) for took in whole] == [(0, len(REFLECTIVE.text))]


def test_the_ribbon_of_the_policy_itself_is_the_one_of_the_run() -> None:
    ours = [(part.author, part.tokens) for part in stretches(REFLECTIVE, recorded(REFLECTIVE))]
    assert ours == [(piece.author, len(piece.tokens)) for piece in REFLECTIVE.pieces]


def test_the_ribbon_parts_a_piece_where_the_large_model_would_have_come_in() -> None:
    took = Takeover(RANDOM.id, None, 6, 11)
    first = list(stretches(REFLECTIVE, [took]))[:3]
    assert [(part.author, part.position) for part in first] == [
        (Author.SMALL, 0),
        (Author.LARGE, 6),
        (Author.SMALL, 11),
    ]


@pytest.mark.parametrize(
    ("policy", "word"),
    [
        ("step-score", "scored"),
        ("first-token-entropy", "alternatives"),
        ("relay", "rough"),
        ("keywords", ""),
    ],
)
def test_what_the_recording_does_not_hold_is_said(policy: str, word: str) -> None:
    told = remarks(REFLECTIVE, POLICIES[policy])
    assert (word in " ".join(told)) if word else told == []


def test_a_recording_by_the_large_model_is_rough_for_a_policy_of_the_small_one() -> None:
    relayed = run(make_policy(settings_of("relay")), ["Four."], ["One.\n\nWait, so it is.</think>"]).trace
    assert any("rough" in told for told in remarks(relayed, Keywords))
    assert not any("rough" in told for told in remarks(relayed, POLICIES["relay"]))


def test_where_a_discarded_text_is_too_short_to_show_a_cue_the_replay_says_so() -> None:
    small = ScriptedEngine(
        "One.\n\nHm, wait", "So.</think>4", chances=lambda body: TORN if body == "One.\n\n" else CERTAIN
    )
    entropic = settings_of("first-token-entropy", tau=0.9)
    made = run(make_policy(entropic), small, ScriptedEngine("It is four.\n\nNo", "4", name="large"))
    replay = Replay(recordings_of(made.trace.events), Keywords, Limits())
    assert list(replay.takeovers()) == []
    assert replay.remarks() == [
        "Places where the recorded text was discarded before this policy could decide, so that its takeover is "
        "unknown: 1."
    ]
    own = Replay(recordings_of(made.trace.events), lambda: make_policy(entropic), Limits())
    assert list(own.takeovers()) == recorded(made.trace)
    assert own.remarks() == []


def test_steps_without_a_score_are_kept_and_counted() -> None:
    replay = Replay(recordings_of(REFLECTIVE.events), StepScore, Limits())
    assert list(replay.takeovers()) == []
    assert replay.unscored > 1


def test_a_replay_can_be_stopped() -> None:
    replay = Replay(recordings_of(REFLECTIVE.events), lambda: RandomTakeover(RandomTakeover.Settings(p=1)), Limits())
    taken = replay.takeovers()
    next(taken)
    replay.stop()
    assert len(list(taken)) <= 1  # the one that was under way


CARD = ModelCard("tiny", "hash", 4096, thinking=ThinkingTags("<think>", "</think>"))
QUESTION = (Message("user", "2 + 2?"),)


def trace_of(*parts: Event, finish: Finish) -> Trace:
    """A run that thinks, as someone may have written it by hand."""
    began = events.RunStarted(0.0, QUESTION, "keywords", {}, 7, CARD, None, 12, thinking=True)
    return Trace.of([began, *parts, events.RunEnded(9.0, finish)])


@pytest.mark.parametrize("finish", Finish)
@pytest.mark.parametrize("policy", POLICIES)
def test_a_replay_of_a_run_that_ends_while_thinking_ends(policy: str, finish: Finish) -> None:
    trace = trace_of(events.TokenWritten(1.0, Author.SMALL, 5, "a"), finish=finish)
    took = replayed(trace, lambda: make_policy(settings_of(policy), PolicyContext(3)))
    assert all(each.end <= len(trace.text) for each in took)


MUTATIONS = st.lists(
    st.tuples(st.sampled_from(["drop", "double", "swap"]), st.integers(0, 999)), min_size=1, max_size=4
)


@given(policies, texts, texts, MUTATIONS)
@example(settings_of("relay"), ["One.", "\n\n", "Wait", "</think>", "\n\n", "A"], ["B.", "</think>"], [("drop", 3)])
@example(settings_of("relay"), ["Wait", "</think>", "x"], ["so", "\n\n"], [("drop", 3)])
def test_a_replay_of_a_trace_with_lines_lost_doubled_or_swapped_ends(
    settings: PolicySettings, small: list[str], large: list[str], mutations: list[tuple[str, int]]
) -> None:
    made = run(make_policy(settings, PolicyContext(3)), ScriptedEngine(*small), ScriptedEngine(*large, name="large"))
    lines = list(made.trace.events)
    for kind, number in mutations:
        if len(lines) < 3:
            break
        place = 1 + number % (len(lines) - 2)
        if kind == "drop":
            del lines[place]
        elif kind == "double":
            lines.insert(place, lines[place])
        else:
            lines[place - 1], lines[place] = lines[place], lines[place - 1]
    moves = CountedMoves(recordings_of(lines), lambda: make_policy(settings, PolicyContext(3)), Limits())
    list(moves.takeovers())
    assert moves.count <= sum(LEAST_MOVES + MOVES_PER_PART * part.size + 1 for part in recordings_of(lines))


class CountedMoves(Replay):
    """A replay that counts its moves."""

    count = 0

    def admit(self, move: Move, view: View) -> Move:
        self.count += 1
        return super().admit(move, view)


@pytest.mark.scaled
@pytest.mark.parametrize("policy", [name for name in POLICIES if name not in ("never", "always", "cascade")])
def test_on_the_demo_pair_the_policy_of_the_run_comes_out_as_recorded(demo_pair: Pair, policy: str) -> None:
    """Of policies that decide on places: a cascade decides on the whole text."""
    settings = DEMO_SETTINGS.model_copy(update={"policy": settings_for(policy, DEMO_SETTINGS.policy), "seed": 5})
    for problem in islice(held_out_problems(seed=11), size(1, long=3)):
        asked = ask(problem.question, settings)
        trace = Trace.of(solve(demo_pair, asked, settings))
        assert replayed(trace, lambda: make_policy(settings.policy, PolicyContext(5)), settings.limits) == recorded(
            trace
        )
