"""Solves the same problems under several settings (arms), and reports how they compare."""
