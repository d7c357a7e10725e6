"""L06: the timer of a connection on which hits were answered early looks for how long it is idle, and no longer."""

import pytest

from imagemill.web.early import EarlyProtocol


class Loop:
    def __init__(self):
        self.now_s, self.timers = 100.0, []

    def time(self):
        return self.now_s

    def call_later(self, seconds, work):
        self.timers.append((self.now_s + seconds, work))
        return work


class Transport:
    closed = False

    def is_closing(self):
        return self.closed

    def close(self):
        self.closed = True


@pytest.fixture
def connection():
    made = EarlyProtocol.__new__(EarlyProtocol)
    made.loop, made.transport, made.timeout_keep_alive = Loop(), Transport(), 15
    made._keep_alive_for(15)
    return made


def run_out(connection):
    connection.loop.now_s, work = connection.loop.timers.pop()
    work()


def test_a_connection_that_was_idle_for_its_time_ends(connection):
    run_out(connection)

    assert connection.transport.closed


def test_one_answer_gives_it_the_rest_of_its_time(connection):
    """To the second: no sooner, no later."""
    connection._answered_at_s = 112.0
    run_out(connection)

    assert not connection.transport.closed
    assert connection.loop.timers[0][0] == 127.0
    run_out(connection)
    assert connection.transport.closed
