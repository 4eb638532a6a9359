"""Baton without a window: one file a command. Imports no Qt."""
