"""When a failed request is sent again, and after how long."""

import pytest

from vectorfleet import backoff, errors

UNSENT = errors.ConnectionFailedError("no route", sent=False)
BROKEN = errors.ConnectionFailedError("reset", sent=True)


class Clock:
    """A clock that moves only when told."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def course(clock: Clock, chance: float = 1.0, **settings: float) -> backoff.Course:
    """Return a call's course with settings of the retries."""
    retries = backoff.Retries(**settings)
    return backoff.Course(backoff.Pace(retries, timeout=10.0, clock=clock, chance=lambda: chance))


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (UNSENT, True),
        (BROKEN, True),
        (errors.RequestTimeoutError("late", sent=True), True),
        (errors.RateLimitError(429, "busy"), True),
        (errors.UnavailableError(503, "starting", retry_after=1.0), True),
        (errors.UnavailableError(503, "starting"), True),
        (errors.UnavailableError(504, "the outcome is unknown"), True),
        (errors.ServerError(500, "a bug"), False),
        (errors.BadRequestError(400, "no"), False),
        (errors.AuthenticationError(401, "no"), False),
        (errors.NotFoundError(404, "no"), False),
        (errors.InvalidInputError("no"), False),
        (errors.ReplyError("no"), False),
    ],
)
def test_what_may_pass_is_tried_again(error, again):
    """Whatever became of a write, its id makes another try safe; what can never succeed is left."""
    assert backoff.may_repeat(error) is again


def test_waits_double_up_to_the_greatest_and_end_after_the_times():
    """The bound of each wait is twice the one before, up to max_delay; then the error stands."""
    attempts = course(Clock(), times=5, first_delay=1.0, max_delay=5.0)
    assert [attempts.delay_after(BROKEN) for _ in range(6)] == [1.0, 2.0, 4.0, 5.0, 5.0, None]


def test_jitter_is_full():
    """A wait is anything from nothing to its bound."""
    assert course(Clock(), chance=0.0, first_delay=1.0).delay_after(BROKEN) == 0.0
    assert course(Clock(), chance=0.5, first_delay=1.0).delay_after(BROKEN) == 0.5


def test_the_server_s_wish_is_a_lower_bound():
    """With Retry-After nobody comes back earlier, and not everyone at once."""
    busy = errors.RateLimitError(429, "busy", retry_after=3.0)
    assert course(Clock(), chance=0.5, first_delay=1.0).delay_after(busy) == 3.5


def test_a_wait_that_would_outlast_the_budget_is_not_begun():
    """The error comes at once instead of after a wait that can't help."""
    busy = errors.RateLimitError(429, "busy", retry_after=61.0)
    assert course(Clock(), budget=60.0).delay_after(busy) is None


def test_an_attempt_is_cut_to_what_is_left():
    """The last attempt may take no longer than the budget."""
    clock = Clock()
    attempts = course(clock, budget=25.0)
    assert attempts.begin() == 10.0
    clock.now += 20.0
    assert attempts.begin() == 5.0


def test_an_answer_in_drips_is_held_to_the_attempt_s_time():
    """A server that sends a byte now and then does not hold the caller for ever."""
    clock = Clock()
    attempts = course(clock)
    attempts.begin()
    clock.now += 9.9
    attempts.check()
    clock.now += 0.2
    with pytest.raises(errors.RequestTimeoutError):
        attempts.check()


@pytest.mark.parametrize("settings", [{"times": -1}, {"budget": 0}, {"first_delay": -1}, {"max_delay": 0}])
def test_a_policy_that_makes_no_sense_is_refused(settings):
    """Negative times and waits of nothing are mistakes."""
    with pytest.raises(errors.InvalidInputError):
        backoff.Retries(**settings)


@pytest.mark.parametrize("timeout", [0, -1, float("inf"), float("nan")])
def test_a_timeout_is_a_positive_number(timeout):
    """No timeout at all is not on offer."""
    with pytest.raises(errors.InvalidInputError, match="timeout"):
        backoff.Pace(None, timeout, clock=Clock(), chance=lambda: 1.0)


def test_a_number_alone_sets_the_times():
    """`retries=0` switches them off."""
    assert backoff.Pace(0, 1.0, clock=Clock(), chance=lambda: 1.0).policy == backoff.Retries(times=0)
