"""Baton: a small language model reasons, and a large one writes the steps where reasoning is hard.

An installation holds `app`, `core` and `resources` inside this package; in the repository they lie at the top. setup.py
puts them here, and the links do so for what reads a checkout: type checkers, import-linter and PYTHONPATH.
"""
