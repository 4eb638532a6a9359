"""Small only: the control at large share 0."""

from core.thinking.policy import Policy


class Never(Policy):
    name = "never"
