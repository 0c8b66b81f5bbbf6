"""Trying again is spaced out, and a circuit that is open is probed with little."""

import pytest

from homeiq_engine.replica import Backoff, CircuitState
from homeiq_engine.replica._breaker import CircuitBreaker


def test_back_off_doubles_up_to_a_minute_with_jitter() -> None:
    """The first wait is a second; later ones lie between half and all of the doubled time."""
    backoff = Backoff()

    delays = [[backoff.delay(failures) for _ in range(200)] for failures in range(12)]

    ceilings = [min(60.0, 2.0**failures) for failures in range(12)]
    assert all(
        max(1.0, ceiling / 2) <= delay <= ceiling
        for ceiling, row in zip(ceilings, delays, strict=True)
        for delay in row
    )
    assert len(set(delays[-1])) > 100


@pytest.mark.parametrize(("asked", "lowest", "highest"), [(10.0, 10, 10), (1e9, 3600, 3600), (0.1, 1, 1), (None, 1, 1)])
def test_retry_after_is_a_lower_bound_up_to_an_hour(asked: float | None, lowest: float, highest: float) -> None:
    """A server cannot switch the replica off for a year."""
    assert lowest <= Backoff().delay(0, asked) <= highest


@pytest.mark.parametrize(("failures", "asked", "delay"), [(0, None, 300), (50, None, 300), (0, 500.0, 500)])
def test_what_only_a_person_can_mend_is_tried_every_five_minutes(
    failures: int, asked: float | None, delay: float
) -> None:
    """A wrong token is wrong in a second's time too."""
    assert Backoff().delay(failures, asked, refused=True) == delay


def test_the_circuit_opens_at_the_fifth_failure_in_a_row_and_is_probed() -> None:
    """Closed for four failures, open at the fifth; a failed probe opens it again, one that passes closes it."""
    breaker = CircuitBreaker(Backoff())
    seen = []
    for _ in range(5):
        breaker.begin()
        breaker.failed()
        seen.append(breaker.state)
    breaker.begin()
    seen.append(breaker.state)
    breaker.failed()
    seen.append(breaker.state)
    breaker.begin()
    breaker.succeeded()
    seen.append(breaker.state)
    breaker.begin()
    breaker.failed()
    seen.append(breaker.state)

    closed, opened, half = CircuitState.CLOSED, CircuitState.OPEN, CircuitState.HALF_OPEN
    assert seen == [*[closed] * 4, opened, half, opened, closed, closed]
    assert breaker.failures == 1
