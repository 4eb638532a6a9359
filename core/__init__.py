"""Baton without a window: the method, the engines, models, batches and the store. Never imports Qt."""
