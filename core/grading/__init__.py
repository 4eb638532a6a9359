"""Extracts the answer from a text, compares it with the expected one, and says correct, wrong or unscored."""
