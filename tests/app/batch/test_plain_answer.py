"""Answers in LaTeX are read on one line of the table."""

from __future__ import annotations

import pytest

from baton_reasoning.app.batch.result_table import plain_answer


@pytest.mark.parametrize(
    ("latex", "plain"),
    [
        (r"\left( 3, \frac{\pi}{2} \right)", "(3, π/2)"),
        (r"\frac{14}{3}", "14/3"),
        (r"3\sqrt{13}", "3√13"),
        (r"\frac{1 + \sqrt{5}}{2}", "(1 + √5)/2"),
        (r"90^\circ", "90°"),
        (r"\text{Evelyn}", "Evelyn"),
        (r"(-\infty, 2) \cup (3, \infty)", "(-∞, 2) ∪(3, ∞)"),
        (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}"),
        ("", ""),
    ],
)
def test_what_has_a_sign_is_shown_by_it_and_the_rest_as_it_is_written(latex: str, plain: str) -> None:
    assert plain_answer(latex) == plain
