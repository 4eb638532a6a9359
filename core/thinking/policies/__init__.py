"""One module a policy. `core.thinking.registry` finds every policy class in them."""
