"""Replays a recorded run under another policy, to see where that would take over."""
