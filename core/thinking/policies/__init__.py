"""Holds one policy per module. `core.thinking.registry` finds every policy class in them."""
