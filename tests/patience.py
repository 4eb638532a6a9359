"""How long a test waits for something that must happen before it fails: far longer than any of it takes."""

PATIENCE = 120.0
"""Seconds. Whether a test passes must not depend on how fast or how busy the machine is."""
