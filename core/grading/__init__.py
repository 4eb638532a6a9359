"""Grading: extract the answer from a text, compare it with the expected one, and say correct, wrong or unscored."""
