"""A quota is so many requests in a window, for each caller alone."""

from api.quotas import COUNTED_MAX, Quotas


def test_gives_so_many_in_a_window_and_says_what_is_left() -> None:
    quotas = Quotas(requests=2, window_seconds=10)
    assert quotas.take("a", now_seconds=100) == (1, 10)
    assert quotas.take("a", now_seconds=103) == (0, 7)
    assert quotas.take("a", now_seconds=104) == (-1, 6)
    assert quotas.take("a", now_seconds=110) == (1, 10)


def test_one_who_asks_too_often_costs_nobody_else_anything() -> None:
    quotas = Quotas(requests=1, window_seconds=10)
    assert [quotas.take("a", now_seconds=100).left for _ in range(3)] == [0, -1, -1]
    assert quotas.take("b", now_seconds=100).left == 0


def test_asking_on_while_nothing_is_left_does_not_prolong_the_wait() -> None:
    quotas = Quotas(requests=1, window_seconds=10)
    for second in range(10):
        quotas.take("a", now_seconds=100 + second)
    assert quotas.take("a", now_seconds=110).left == 0


def test_so_many_and_no_more_are_counted() -> None:
    quotas = Quotas(requests=1, window_seconds=10)
    for number in range(COUNTED_MAX + 1):
        quotas.take(number, now_seconds=100)
    assert quotas.take(COUNTED_MAX, now_seconds=101).left == -1
    assert quotas.take(0, now_seconds=101).left == 0
