import pytest

from runtime.limits import RateLimit
from runtime.problem import Problem


def test_acts_beyond_the_rate_are_refused_with_the_time_to_wait() -> None:
    limit = RateLimit("3/minute")
    for _ in range(3):
        limit.hit("mei")
    with pytest.raises(Problem) as caught:
        limit.hit("mei")
    assert (caught.value.status, caught.value.code) == (429, "too_many_requests")
    assert caught.value.headers is not None
    assert 1 <= int(caught.value.headers["retry-after"]) <= 60


def test_one_key_does_not_use_up_anothers_rate() -> None:
    limit = RateLimit("1/minute")
    limit.hit("mei")
    limit.hit("tom")


def test_two_limits_count_apart() -> None:
    RateLimit("1/minute").hit("mei")
    RateLimit("1/minute").hit("mei")


def test_a_rate_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="often"):
        RateLimit("often")
