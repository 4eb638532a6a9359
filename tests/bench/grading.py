"""Baton's grader beside math-verify alone, on the labelled set: `python -m tests.bench.grading [--mistakes]`."""

from __future__ import annotations

import logging
import sys
from collections import Counter
from collections.abc import Iterator, Sequence

from core.grading.verdict import Outcome
from tests.core.grading.labelled_set import PARTS, Case, Figures, Graded, figures_of, graded_by_baton, read_cases


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
    print("| part | cases | grader | false right | false wrong | unscored | no answer found |")
    print("|---|---|---|---|---|---|---|")
    for part in PARTS:
        cases = read_cases(part)
        baton = list(graded_by_baton(cases))
        print(row(part, "Baton", figures_of(baton)))
        print(row(part, "math-verify alone", figures_of(list(graded_by_math_verify(cases)))))
        if "--mistakes" in sys.argv:
            _print_mistakes(baton)


def row(part: str, grader: str, figures: Figures) -> str:
    shares = " | ".join(f"{share:.1%}" for share in (figures.false_right, figures.false_wrong, figures.unscored))
    return f"| {part} | {figures.cases} | {grader} | {shares} | {figures.missed} |"


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
