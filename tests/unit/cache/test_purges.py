"""What is valid after what was purged."""

import timeit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagemill.cache.purge_events import BadEvent, Seal
from imagemill.cache.purges import SKEW_MS, WRITING_MS, Purge, Purges, Subject, Verdict, steady
from imagemill.model.entry import DAY_S, MAX_LIFE_S, Entry, Failure
from imagemill.model.media import Format, Rendition

RENDITION = Rendition(b"x", Format.PNG, "etag", 1, 1)
NOW_MS = 10_000_000
NAMED = [Subject.SOURCE, Subject.TAG, Subject.KEY]


class Clock:
    def __init__(self):
        self.ms = NOW_MS

    def __call__(self):
        return self.ms / 1000


def entry(asked_ms, source="s", tags=()):
    return Entry(RENDITION, born_s=0, source_key=source, tags=tags, asked_ms=asked_ms)


def failure(asked_ms):
    return Failure("source_not_found", "no", born_s=0, source_key="s", asked_ms=asked_ms)


def of(subject, name, at_ms, *, soft=False):
    return Purge.of(Subject(subject), name, at_ms, soft=soft)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def purges(clock):
    return Purges(100, clock=clock)


def fed(clock, *, blind_s=60.0):
    return Purges(100, blind_s=blind_s, clock=clock)


@pytest.mark.parametrize(("subject", "name"), [("source", "s"), ("tag", "a"), ("tag", "b"), ("key", "k")])
def test_a_purge_concerns_what_bears_its_name(purges, subject, name):
    """By source, by any of the tags, by key: asked for before or at the same time is gone, later is valid."""
    purges.note(of(subject, name, 500))

    judged = [purges.judge(entry(ms, tags=("a", "b")), "k") for ms in (499, 500, 501)]

    assert judged == [Verdict.GONE, Verdict.GONE, Verdict.VALID]


@pytest.mark.parametrize("subject", NAMED)
def test_names_of_one_kind_are_none_of_another(purges, subject):
    """A tag that is spelled like a key concerns no key."""
    purges.note(of(subject, "other", 500))

    assert purges.judge(entry(1), "k") is Verdict.VALID
    assert purges.judge(entry(1, source="x", tags=("x",)), "x") is Verdict.VALID


def test_a_soft_purge_makes_stale(purges):
    """Stale, until a hard one; a failure is gone at once, and a source may not be used."""
    purges.note(of("source", "s", 500, soft=True))

    assert purges.judge(entry(500), "k") is Verdict.STALE
    assert purges.judge(entry(501), "k") is Verdict.VALID
    assert purges.judge(failure(500), "k") is Verdict.GONE
    assert not purges.allows("s", 500)
    assert purges.allows("s", 501)


def test_hard_and_soft_of_one_name_are_both_remembered(purges):
    """A soft purge does not undo a hard one, in whatever order they are heard of."""
    purges.note(of("source", "s", 700, soft=True))
    purges.note(of("source", "s", 500))
    purges.note(of("source", "s", 300))

    assert [purges.judge(entry(ms), "k") for ms in (500, 501, 700, 701)] == [
        Verdict.GONE, Verdict.STALE, Verdict.STALE, Verdict.VALID,
    ]  # fmt: skip
    assert len(purges) == 1


def test_a_source_is_judged_for_a_rendition_too(purges):
    """A source that was fetched before a tag or a rendition was purged makes no new one of it."""
    purges.note(of("tag", "t", 500))
    purges.note(of("key", "k", 500))

    assert purges.allows("s", 400)
    assert not purges.allows("s", 400, tags=("t",))
    assert not purges.allows("s", 400, key="k")


def test_everything(purges):
    """A purge of everything is a floor."""
    purges.note(Purge.everything(500))

    assert purges.judge(entry(500), "k") is Verdict.GONE
    assert purges.judge(entry(501), "k") is Verdict.VALID
    assert not purges.raise_floor(500)
    assert purges.raise_floor(501)


def test_forgetting_raises_the_floor(clock):
    """What was forgotten concerns everybody: nothing older than it is served."""
    purges = Purges(3, clock=clock)
    for n in range(5):
        purges.note(of("tag", str(n), NOW_MS - 100 + n))

    assert len(purges) == 3
    assert purges.judge(entry(NOW_MS - 99), "k") is Verdict.GONE
    assert purges.judge(entry(NOW_MS - 98), "k") is Verdict.VALID


def test_a_name_that_is_purged_again_is_not_the_oldest(clock):
    """The least new is forgotten first."""
    purges = Purges(2, clock=clock)
    for name, ms in (("a", 10), ("b", 11), ("a", 12), ("c", 13)):
        purges.note(of("tag", name, NOW_MS - 100 + ms))

    assert purges.judge(entry(NOW_MS - 88, tags=("a",)), "k") is Verdict.GONE
    assert purges.judge(entry(NOW_MS - 88), "k") is Verdict.VALID


def test_what_concerns_nothing_alive_is_forgotten(clock, purges):
    """Purges older than any entry take no room."""
    purges.note(of("tag", "old", NOW_MS))
    clock.ms += (MAX_LIFE_S + DAY_S) * 1000 + 1
    purges.note(of("tag", "new", clock.ms))

    assert len(purges) == 1
    assert purges.judge(entry(NOW_MS), "k") is Verdict.GONE


def test_how_long_purges_are_kept_follows_from_how_long_entries_are(clock):
    purges = Purges(9, stale_s=5, clock=clock)

    assert purges.kept_ms == (MAX_LIFE_S + 5) * 1000


def test_the_future_is_now(clock, purges):
    """A purge dated in the future does not keep a name from being cached until then."""
    purges.note(of("tag", "t", NOW_MS + 10 * SKEW_MS))
    purges.note(Purge.everything(1 << 60))
    clock.ms += 1

    assert purges.judge(entry(clock.ms, tags=("t",)), "k") is Verdict.VALID


def test_blind(clock):
    """L11: while purges cannot be heard, nothing that was asked for longer ago than the bound is used."""
    purges = fed(clock)
    early, late = entry(NOW_MS), entry(NOW_MS + 50_000)
    assert purges.judge(entry(NOW_MS - 60_001), "k") is Verdict.GONE, "nothing was heard yet"
    purges.heard(NOW_MS)

    clock.ms += 60_000
    assert purges.judge(early, "k") is Verdict.VALID
    clock.ms += 1
    assert purges.judge(early, "k") is Verdict.GONE
    assert purges.judge(late, "k") is Verdict.VALID, "fetched while blind: good for the bound from its own fetch on"
    assert not purges.allows("s", NOW_MS)
    clock.ms += 50_000
    assert purges.judge(late, "k") is Verdict.GONE
    assert purges.silence_s() == pytest.approx(110.001)

    purges.heard(clock.ms)
    assert purges.judge(early, "k") is Verdict.VALID, "all that was missed is known by now"
    assert purges.silence_s() == 0


def test_alone_is_not_blind(clock, purges):
    """Without a shared level there is nobody to hear."""
    clock.ms += 10 * 86_400_000

    assert purges.judge(entry(NOW_MS), "k") is Verdict.VALID
    assert purges.settled


def test_hearing_is_never_from_the_future(clock):
    """Sight cannot be promised ahead."""
    purges = fed(clock)
    purges.heard(NOW_MS + 1_000_000)
    clock.ms += 70_000

    assert purges.judge(entry(NOW_MS), "k") is Verdict.GONE


def test_dates_from_the_future_are_not_believed(clock):
    """An entry that claims to be asked for later than now would outlive every purge."""
    purges = fed(clock)
    purges.heard(NOW_MS)

    assert purges.judge(entry(NOW_MS + SKEW_MS), "k") is Verdict.VALID
    assert purges.judge(entry(NOW_MS + SKEW_MS + 1), "k") is Verdict.GONE
    assert purges.judge(entry(1 << 62), "k") is Verdict.GONE


def test_a_clock_that_was_ahead(clock):
    """What was dated before the shared clock was known is gone where that date is ahead, also when its time comes."""
    purges = fed(clock)
    assert not purges.settled
    clock.ms += 5_000
    wrong = entry(purges.now_ms())
    purges.shift(-600_000)
    purges.heard(purges.now_ms())
    assert purges.settled
    assert purges.now_ms() == NOW_MS + 5_000 - 600_000

    assert purges.judge(wrong, "k") is Verdict.GONE
    fresh = entry(purges.now_ms())
    assert purges.judge(fresh, "k") is Verdict.VALID
    clock.ms += 600_000
    purges.heard(purges.now_ms())
    assert purges.judge(wrong, "k") is Verdict.GONE
    assert purges.judge(fresh, "k") is Verdict.VALID


def test_a_clock_that_was_behind(clock):
    """What is dated too early is purged too eagerly, which is safe; it is not lost for that."""
    purges = fed(clock)
    early = entry(purges.now_ms())
    purges.shift(30_000)
    purges.heard(purges.now_ms())

    assert purges.judge(early, "k") is Verdict.VALID
    purges.note(of("source", "s", NOW_MS + 10))
    assert purges.judge(early, "k") is Verdict.GONE


def test_time_does_not_run_back(clock):
    """A better estimate that is a little behind is waited for: what came later is dated no earlier."""
    purges = fed(clock)
    purges.shift(400)
    purges.shift(100)

    assert purges.now_ms() == NOW_MS + 400
    clock.ms += 301
    assert purges.now_ms() == NOW_MS + 401


@given(st.lists(st.integers(-3_000_000, 3_000_000), max_size=6), st.integers(0, 1_000_000))
def test_no_step_of_the_clock_makes_an_entry_outlive_a_purge(steps, wait_ms):
    """Whatever the clock was set to before: what was asked for before a purge is not valid after it."""
    clock = Clock()
    purges = fed(clock, blind_s=1e6)
    asked = []
    for step in steps:
        asked.append(entry(purges.now_ms()))
        clock.ms += 10
        purges.shift(step)
    clock.ms += 10
    purges.note(of("source", "s", purges.now_ms()))
    clock.ms += wait_ms
    purges.heard(purges.now_ms())

    assert all(purges.judge(e, "k") is Verdict.GONE for e in asked)


EVENTS = st.lists(
    st.tuples(st.sampled_from(NAMED), st.sampled_from("abc"), st.integers(1, 30), st.booleans()), max_size=20
)
ENTRIES = st.tuples(st.sampled_from("abc"), st.sampled_from("abc"), st.sets(st.sampled_from("abc")), st.integers(0, 31))


def plainly(events, held):
    """The rule itself, without any memory to bound."""
    source, key, tags, asked_ms = held
    names = {(Subject.SOURCE, source), (Subject.KEY, key), *((Subject.TAG, t) for t in tags)}
    concerned = [soft for subject, name, at_ms, soft in events if (subject, name) in names and asked_ms <= at_ms]
    return Verdict.VALID if not concerned else Verdict.STALE if all(concerned) else Verdict.GONE


@given(EVENTS, ENTRIES)
def test_the_rule(events, held):
    """An entry is valid only if its fetch began later than every purge that concerns it."""
    purges = Purges(100, clock=lambda: 1.0)
    for subject, name, at_ms, soft in events:
        purges.note(of(subject, name, at_ms, soft=soft))
    source, key, tags, asked_ms = held

    assert purges.judge(entry(asked_ms, source, tuple(sorted(tags))), key) is plainly(events, held)


@given(EVENTS, ENTRIES, st.integers(1, 4), st.randoms())
def test_forgetting_is_never_kinder(events, held, most, random):
    """However little is remembered, and in whatever order it was heard: nothing that was purged is valid."""
    random.shuffle(events)
    purges = Purges(most, clock=lambda: 1.0)
    for subject, name, at_ms, soft in events:
        purges.note(of(subject, name, at_ms, soft=soft))
    source, key, tags, asked_ms = held
    verdict = purges.judge(entry(asked_ms, source, tuple(tags)), key)

    assert len(purges) <= most
    assert verdict.value >= plainly(events, held).value


def test_a_judgement_costs_little():
    """On the way of every hit: about a microsecond; the bound leaves room for a busy machine."""
    purges = Purges(100, blind_s=60)
    purges.heard(purges.now_ms())
    held = entry(purges.now_ms(), tags=("a", "b"))

    best = min(timeit.repeat(lambda: purges.judge(held, "k"), number=2_000, repeat=9)) / 2_000

    assert best < 10e-6


def test_the_steady_clock_is_the_time():
    assert steady()() == pytest.approx(__import__("time").time(), abs=1)


SEAL = Seal("secret", "imagemill:purges")


@given(
    st.sampled_from(NAMED),
    st.text(max_size=80),
    st.integers(0, 1 << 53),
    st.booleans(),
    st.sampled_from(["", "s", "s" * 99]),
)
def test_an_event_is_what_was_said(subject, name, at_ms, soft, secret):
    """Encode and decode are inverse."""
    purge, seal = of(subject, name, at_ms, soft=soft), Seal(secret, "p")

    assert seal.decode(seal.encode(purge)) == purge
    assert seal.decode(seal.encode(Purge.everything(at_ms))) == Purge.everything(at_ms)


@given(st.integers(0, 60), st.integers(1, 255))
def test_a_changed_event_is_refused(at, flip):
    """L12: at any byte."""
    event = bytearray(SEAL.encode(of("tag", "t", 5)))
    event[at % len(event)] ^= flip

    with pytest.raises(BadEvent):
        SEAL.decode(bytes(event))


@given(st.binary(max_size=200))
def test_noise_is_refused(noise):
    with pytest.raises(BadEvent):
        SEAL.decode(noise)


@pytest.mark.parametrize(
    "other", [Seal("other", "imagemill:purges"), Seal("", "imagemill:purges"), Seal("secret", "x:purges")]
)
def test_who_does_not_know_the_secret_purges_nothing(other):
    """Nor does one who speaks to another prefix."""
    with pytest.raises(BadEvent):
        SEAL.decode(other.encode(of("tag", "t", 5)))


@pytest.mark.parametrize(
    "purge",
    [
        Purge(Subject.TAG, b"short", 5), Purge(Subject.TAG, b"", 5), Purge(Subject.ALL, b"0" * 16, 5), Purge(Subject.TAG, b"0" * 16, -1),
        Purge(Subject.TAG, b"0" * 17, 5), Purge(Subject.TAG, b"0" * 16, 1 << 60), Purge(Subject.ALL, b"", 5, soft=True),
    ],
)  # fmt: skip
def test_what_is_well_sealed_is_still_checked(purge):
    with pytest.raises(BadEvent):
        SEAL.decode(SEAL.encode(purge))


def test_a_copy_is_judged_by_its_own_tags_until_a_tag_is_purged():
    """Another node may have given the entry that very tag; one that was compared with the shared one since, is known."""
    fed, alone = Purges(9, blind_s=60), Purges(9)
    now_ms = fed.now_ms()
    for purges in (fed, alone):
        assert purges.knows_tags(now_ms)
        purges.note(Purge.of(Subject.SOURCE, "a", now_ms))
        assert purges.knows_tags(now_ms)
        purges.note(Purge.of(Subject.TAG, "a", now_ms))

    assert not fed.knows_tags(now_ms)
    assert not fed.knows_tags(now_ms + WRITING_MS)
    assert fed.knows_tags(now_ms + WRITING_MS + 1)
    assert alone.knows_tags(now_ms)
