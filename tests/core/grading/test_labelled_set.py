"""The grader agrees with people: the labelled set, with the targets that it must meet."""

import pytest

from tests.core.grading.labelled_set import PARTS, figures_of, graded_by_baton, read_cases

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "part", [pytest.param(part, marks=() if part == PARTS[0] else pytest.mark.long) for part in PARTS]
)
def test_the_grader_agrees_with_the_labels(part: str) -> None:
    graded = list(graded_by_baton(read_cases(part)))
    figures = figures_of(graded)
    assert figures.false_right <= 0.003, [each for each in graded if each.false_right]
    assert figures.false_wrong <= 0.02, [each for each in graded if each.false_wrong]
    assert figures.unscored <= 0.02, [each for each in graded if each.unscored]
    assert figures.missed == 0, [each for each in graded if each.missed]
