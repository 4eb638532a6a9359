"""Estimates what each step of a finished text is worth, by continuations that are written from places of it."""
