"""When a queue is of no use: more come than are done, for longer than a burst; until many find a free slot again."""

from imagemill.service.pressure import Pressure


def flood(pressure, begin_s, each, rounds, gap_s=0.1):
    """*each* come for one who is done, again and again; the time afterwards."""
    for n in range(rounds):
        now_s = begin_s + n * gap_s
        for _ in range(each):
            pressure.came(now_s)
            pressure.found(now_s, free=False)
        pressure.done(now_s, waiting=True)
    return begin_s + rounds * gap_s


def flooded():
    pressure = Pressure(0.5, 1)
    return pressure, flood(pressure, 0.0, 3, 20)


def test_thrice_as_many_for_a_while():
    pressure = Pressure(0.5, 1)

    now_s = flood(pressure, 0.0, 3, 5)
    assert not pressure.overloaded(now_s)  # so far it may be a burst
    now_s = flood(pressure, now_s, 3, 9)
    assert pressure.overloaded(now_s)


def test_as_many_as_are_done():
    """A queue of clients that ask again stands for ever."""
    pressure = Pressure(0.5, 1)

    assert not pressure.overloaded(flood(pressure, 0.0, 1, 1000))


def test_a_burst_that_came_before_does_not_count():
    """Whoever comes while it is worked off does not pay for it."""
    pressure = Pressure(0.5, 1)
    for _ in range(1000):
        pressure.came(0.0)
        pressure.found(0.0, free=False)

    assert not pressure.overloaded(flood(pressure, 0.0, 1, 100))


def test_a_crowd_that_comes_at_once_is_no_flood():
    """However many they are, onto a queue that stands; the next crowd, too, once the queue has been worked off a while."""
    pressure, now_s = Pressure(0.5, 1), 0.0
    for _ in range(20):
        now_s = flood(pressure, now_s, 1, 10)
        now_s = flood(pressure, now_s, 100, 1)
        assert not pressure.overloaded(now_s)


def test_a_burst_of_slow_renders():
    """The first of which is done long after the burst."""
    pressure = Pressure(0.5, 1)
    for _ in range(50):
        pressure.came(0.0)
        pressure.found(0.0, free=False)
    for now_s in (2.0, 4.0, 6.0):
        pressure.done(now_s, waiting=True)
        assert not pressure.overloaded(now_s)


def test_a_queue_that_is_empty_now_and_then_does_not_stand():
    pressure, now_s = Pressure(0.5, 1), 0.0
    for _ in range(50):
        now_s = flood(pressure, now_s, 10, 4)
        pressure.done(now_s, waiting=False)

    assert not pressure.overloaded(now_s)


def test_the_end():
    """A free slot now and then is no end; every fifth is; and so is calm."""
    pressure, now_s = flooded()
    for n in range(500):
        pressure.found(now_s, free=n % 12 == 0)
        assert pressure.overloaded(now_s)
    for n in range(60):
        pressure.found(now_s, free=n % 3 == 0)
    assert not pressure.overloaded(now_s)

    pressure, now_s = flooded()
    assert pressure.overloaded(now_s + 1.5)
    assert not pressure.overloaded(now_s + 2.5)


def test_never():
    """A burst that may last for ever."""
    pressure = Pressure(0.0, 1)

    assert not pressure.overloaded(flood(pressure, 0.0, 10, 1000))
