"""When a process that died may be started again."""

from baton_reasoning.core.engines.local.restarts import RestartPolicy


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_second_death_without_a_success_between_is_final() -> None:
    policy = RestartPolicy()
    assert policy.allows_restart()
    assert not policy.allows_restart()


def test_a_success_allows_another_restart() -> None:
    policy = RestartPolicy()
    for _ in range(3):
        assert policy.allows_restart()
        policy.succeeded()


def test_restarts_are_bounded_in_time_also_where_each_is_followed_by_a_success() -> None:
    clock = Clock()
    policy = RestartPolicy(most=2, seconds=60, clock=clock)
    for _ in range(2):
        assert policy.allows_restart()
        policy.succeeded()
    assert not policy.allows_restart()
    clock.now = 61
    assert policy.allows_restart()
