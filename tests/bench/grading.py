"""Baton's grader beside math-verify alone, on the labelled set: `python -m tests.bench.grading [--mistakes]`."""

import logging
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from baton_reasoning.core.grading.verdict import Outcome
from tests.core.grading.labelled_set import PARTS, PROSE, Case, Graded, graded_by_baton, read_cases


@dataclass(frozen=True)
class Figures:
    """How far a grader agrees with the labels. Each share is of the cases in which that mistake is possible."""

    cases: int
    false_right: float
    """Graded right, of the cases that are labelled wrong or unscored."""
    false_wrong: float
    """Graded wrong, of the cases that are labelled right or unscored."""
    unscored: float
    """Of the cases that are labelled right or wrong."""


def figures_of(graded: Iterable[Graded]) -> Figures:
    pairs = [(each.outcome, each.case.outcome) for each in graded]

    def share(outcome: Outcome) -> float:
        given = [found for found, label in pairs if label is not outcome]
        return given.count(outcome) / max(1, len(given))

    return Figures(len(pairs), share(Outcome.CORRECT), share(Outcome.WRONG), share(Outcome.UNSCORED))


def graded_by_math_verify(cases: Sequence[Case]) -> Iterator[Graded]:
    """math-verify as its documentation uses it: it finds the answer in the text and compares it."""
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify

    logging.getLogger("math_verify").setLevel(logging.CRITICAL)
    for case in cases:
        gold = parse(f"${case.gold}$", [LatexExtractionConfig(), ExprExtractionConfig()])
        found = parse(case.text, [LatexExtractionConfig(boxed_match_priority=0), ExprExtractionConfig()])
        same = bool(gold and found) and verify(gold, found)
        outcome = Outcome.CORRECT if same else Outcome.WRONG if gold else Outcome.UNSCORED
        yield Graded(case, str(found[-1]) if found else None, outcome)


def main() -> None:
    print("| part | cases | false right | false wrong | unscored | math-verify alone: false right | false wrong |")
    print("|---|---|---|---|---|---|---|")
    for part in (*PARTS, *PROSE):
        cases = read_cases(part)
        baton = list(graded_by_baton(cases))
        ours, alone = figures_of(baton), figures_of(graded_by_math_verify(cases))
        shares = (ours.false_right, ours.false_wrong, ours.unscored, alone.false_right, alone.false_wrong)
        print(f"| {part} | {ours.cases} | " + " | ".join(f"{share:.1%}" for share in shares) + " |")
        if "--mistakes" in sys.argv:
            _print_mistakes(baton)


def _print_mistakes(graded: Sequence[Graded]) -> None:
    kinds: Counter[str] = Counter()
    for each in graded:
        if each.outcome is not each.case.outcome:
            kinds[each.case.kind] += 1
            print(f"{each.case.kind}: {each.case.gold!r} against {each.answer!r} in {each.case.text[-80:]!r}")
            print(f"    is {each.case.label}, was graded {each.outcome.value}")
    print(", ".join(f"{kind} {count}" for kind, count in kinds.most_common()))


if __name__ == "__main__":
    main()
