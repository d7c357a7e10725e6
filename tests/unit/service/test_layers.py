"""Layers as sources: fetched as any, kept as long as all allow, gone when any of them is; one at fault is named."""

import asyncio
import time

import pytest
from msgspec.structs import replace

from imagemill.cache.purges import Subject
from imagemill.model.entry import DAY_S, Failure, Validators
from imagemill.model.errors import (
    BadOption,
    ImageCorrupt,
    LimitExceeded,
    SourceForbidden,
    SourceNotFound,
    SourceTimeout,
    UnsupportedSourceType,
    of_layer,
)
from imagemill.model.failures import as_error, as_failure
from imagemill.model.keys import source_key
from imagemill.model.recipe import SourceRef
from imagemill.model.request import ImageRequest
from imagemill.plan.prepare import prepare
from imagemill.service.explain import explain
from imagemill.service.layers import MOST_AT_ONCE, fetch
from imagemill.settings import Engine as EngineSettings
from imagemill.settings import Limits
from imagemill.storage.base import NONE_KNOWN
from unit.service.cluster import SOURCE, hub, settled
from unit.service.layering import LOGO, MARK, PNG, LayeredNode, Pictures, asked


@pytest.fixture
def pictures():
    return Pictures()


@pytest.fixture
async def node(pictures):
    return LayeredNode(hub(), pictures)


class TestFetching:
    async def test_each_once_and_handed_to_the_engine(self, node, pictures):
        """The picture and its layers, each as its source says; a layer that is named twice is fetched once."""
        served = await node.service.serve(asked(LOGO, MARK, LOGO))

        assert served.entry.rendition.body.decode().split("|") == [f"{ref.address} v1" for ref in (SOURCE, LOGO, MARK)]
        assert [pictures.count(ref) for ref in (SOURCE, LOGO, MARK)] == [1, 1, 1]

    async def test_all_at_once(self, node, pictures):
        """They wait for one another no more than strangers do."""
        pictures.together = asyncio.Event()
        work = asyncio.create_task(node.ask(asked(LOGO, MARK)))
        while len(pictures.asked) < 3:
            await asyncio.sleep(0)
        pictures.together.set()

        assert await work == "MISS"

    async def test_the_cache_of_sources_is_theirs_too(self, node, pictures):
        """A logo is fetched once for many pictures."""
        await node.ask(asked(LOGO))
        await node.ask(asked(LOGO, MARK))

        assert [pictures.count(ref) for ref in (SOURCE, LOGO, MARK)] == [1, 1, 1]

    async def test_too_large_together(self, pictures):
        """`limits.layer_bytes` is for all layers of a request."""
        each = len(f"{LOGO.address} v1")
        enough, few = (LayeredNode(hub(), pictures, layer_bytes=2 * each - spare) for spare in (0, 1))

        assert await enough.ask(asked(LOGO, MARK)) == "MISS"
        with pytest.raises(LimitExceeded, match=f"{2 * each} > {2 * each - 1} bytes") as refused:
            await few.ask(asked(LOGO, MARK))
        assert (refused.value.limit, few.engine.runs) == ("layer_bytes", 0)

    async def test_too_many_in_one_job(self, node):
        """What one rendition may have, many may have together, up to a bound."""
        many = [asked(SourceRef("http", f"http://example.com/{n}")) for n in range(MOST_AT_ONCE + 1)]

        with pytest.raises(LimitExceeded, match="65 different ones"):
            [fresh async for fresh in node.service._renderer.render_all(many)]

    async def test_a_copy_from_before_does_not_do(self, node, pictures):
        """Who asks for all there is of later than now gets all of it asked for, the layers too."""
        for after in (lambda: 0.0, lambda: 0.0, time.time):
            await fetch(node.origin, [asked(LOGO, MARK)], most_bytes=10_000, after_s=after())

        assert [pictures.count(ref) for ref in (SOURCE, LOGO, MARK)] == [2, 2, 2]

    async def test_terms_have_no_bytes(self, node):
        """What is only asked about is not held in memory, with layers or without."""
        for plan in (asked(), asked(LOGO)):
            found = await fetch(node.origin, [plan], most_bytes=10_000)
            assert found.main.body
            assert found.terms(plan).body == b""

    async def test_who_leaves_takes_all_fetches_along(self, node, pictures):
        """No fetch of a layer outlives the request that wanted it."""
        pictures.together = asyncio.Event()
        work = asyncio.create_task(node.ask(asked(LOGO, MARK)))
        while len(pictures.asked) < 3:
            await asyncio.sleep(0)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)

        async with asyncio.timeout(10):
            while len(node.origin._flight):
                await asyncio.sleep(0)


class TestFaults:
    @pytest.mark.parametrize(
        "error",
        [
            SourceNotFound("no such"),
            SourceTimeout("slow"),
            UnsupportedSourceType("what is it"),
            SourceForbidden("10.0.0.1"),
        ],
    )
    async def test_it_is_named_and_is_no_fault_of_the_picture(self, node, pictures, error):
        """The same error as of a source; the picture itself, and the picture with another layer, are served on."""
        pictures.errors[LOGO.address] = error

        for _ in range(2):  # found, and remembered
            with pytest.raises(type(error), match=rf"^layer {LOGO.address}: ") as found:
                await node.ask(asked(LOGO))
            assert found.value.layer == LOGO.address

        assert node.engine.runs == 0
        assert await node.ask(asked(MARK)) == "MISS"
        assert await node.ask(asked()) == "MISS"

    async def test_an_address_that_is_refused_says_no_more_of_a_layer(self, node, pictures):
        """S20: no oracle: the reason is in the log only."""
        pictures.errors[LOGO.address] = SourceForbidden("10.0.0.1 is private")
        with pytest.raises(SourceForbidden) as found:
            await node.ask(asked(LOGO))

        assert str(found.value) == f"layer {LOGO.address}: the source address is not allowed"
        assert found.value.reason == "10.0.0.1 is private"

    async def test_the_picture_is_not_told_of_as_a_layer(self, node, pictures):
        """Who wants the same source as a picture, and joins the fetch, gets the error as it is."""
        pictures.errors[LOGO.address] = BadOption("not a key")
        as_picture = replace(asked(), source=LOGO, source_key=source_key(LOGO), key="k")
        pictures.together = asyncio.Event()
        work = [asyncio.create_task(node.ask(plan)) for plan in (asked(LOGO), as_picture)]
        while pictures.count(LOGO) < 1 or pictures.count(SOURCE) < 1:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        pictures.together.set()
        layered, plain = await asyncio.gather(*work, return_exceptions=True)

        assert str(layered) == f"layer {LOGO.address}: not a key"
        assert (str(plain), plain.layer) == ("not a key", "")

    async def test_a_layer_that_no_decoder_reads(self, node):
        """Remembered for that picture with that layer, not for the source of either."""
        node.engine.error = of_layer(UnsupportedSourceType("unknown"), LOGO.shown)
        with pytest.raises(UnsupportedSourceType):
            await node.ask(asked(LOGO))
        node.engine.error = None

        assert await node.ask(asked()) == "MISS"
        with pytest.raises(UnsupportedSourceType):
            await node.ask(asked(LOGO))

    async def test_a_picture_with_it_from_before_is_better_than_none(self, node, pictures):
        """A layer that is down for a moment: the old answer, which has it, goes on for its time."""
        pictures.say(LOGO, max_age_s=0)
        served = await node.service.serve(asked(LOGO))
        node.sources.drop(source_key(LOGO))
        pictures.errors[LOGO.address] = SourceTimeout("slow")
        await asyncio.sleep(0.01)

        again = await node.service.serve(asked(LOGO))

        assert (again.tier, again.entry.rendition) == ("STALE", served.entry.rendition)


class TestTerms:
    async def test_as_short_as_the_shortest_and_no_date(self, node, pictures):
        """Life of the shortest; no validators: no tag or date of one source speaks for all."""
        pictures.say(SOURCE, max_age_s=900, last_modified_s=50)
        pictures.say(LOGO, max_age_s=70, last_modified_s=90)
        begun = time.time()

        entry = (await node.service.serve(asked(LOGO, MARK))).entry

        assert (entry.life_s, entry.max_age_s, entry.validators) == (70, 70, Validators())
        assert begun <= entry.born_s <= time.time()
        assert entry.source_key == source_key(SOURCE)

    async def test_as_old_as_the_oldest(self, node, pictures):
        """A copy of a layer that was kept dates the whole."""
        await node.service.serve(asked(LOGO))
        await asyncio.sleep(0.01)
        node.sources.drop(source_key(SOURCE))

        entry = (await node.service.serve(asked(LOGO, MARK))).entry

        assert entry.born_s == blob_born(node, LOGO) < blob_born(node, SOURCE)

    @pytest.mark.parametrize("private", [SOURCE, LOGO])
    async def test_private_where_any_is(self, node, pictures, private):
        """And so it is not kept at all."""
        pictures.say(private, storable=False)

        assert [await node.ask(asked(LOGO)) for _ in range(2)] == ["MISS", "MISS"]

    async def test_who_says_nothing_limits_nothing(self, node):
        assert (await node.service.serve(asked(LOGO))).entry.life_s == DAY_S

    async def test_another_rendition_of_the_job_has_its_own(self, node, pictures):
        """In one run, each has the terms of its own layers only."""
        pictures.say(LOGO, max_age_s=70)
        plans = [asked(), asked(LOGO), asked(MARK)]

        made = [fresh.entry async for fresh in node.service._renderer.render_all(plans)]

        assert [entry.life_s for entry in made] == [DAY_S, 70, DAY_S]
        assert [entry.validators.etag for entry in made] == ["v1", "", ""]
        assert [entry.rendition.body.count(b"|") for entry in made] == [0, 1, 1]
        assert node.engine.runs == 1


def blob_born(node, source):
    return node.sources.peek(source_key(source), time.monotonic()).born_s


class TestPurging:
    async def test_a_layer_takes_its_pictures_along(self, node):
        """By its source: in L1 and on the shared level; pictures without it stay."""
        for plan in (asked(LOGO), asked(MARK), asked()):
            await node.ask(plan)
        await asyncio.sleep(0.002)
        node.purge(Subject.SOURCE, source_key(LOGO))

        assert [await node.ask(plan) for plan in (asked(LOGO), asked(MARK), asked())] == ["MISS", "L1", "L1"]

    async def test_on_all_nodes(self, pictures):
        """The purge itself is the one of any source: whoever hears of it judges its copies by it."""
        shared = hub()
        node, other = LayeredNode(shared, pictures), LayeredNode(shared, pictures)
        assert [await node.ask(asked(LOGO)), await other.ask(asked(LOGO))] == ["MISS", "L2"]
        await asyncio.sleep(0.002)
        other.purge(Subject.SOURCE, source_key(LOGO))

        assert await other.ask(asked(LOGO)) == "MISS"

    async def test_what_is_under_way_is_made_anew(self, node, pictures):
        """Whoever asks after the purge gets nothing that was begun before."""
        pictures.together = asyncio.Event()
        early = asyncio.create_task(node.service.serve(asked(LOGO)))
        while pictures.count(LOGO) < 1:
            await asyncio.sleep(0)
        await asyncio.sleep(0.002)
        node.purge(Subject.SOURCE, source_key(LOGO))
        await asyncio.sleep(0.002)
        late = asyncio.create_task(node.service.serve(asked(LOGO)))
        await asyncio.sleep(0)
        pictures.say(LOGO, etag="v2")
        pictures.together.set()
        await early

        assert f"{LOGO.address} v2" in (await late).entry.rendition.body.decode()
        assert pictures.count(LOGO) == 2

    async def test_a_failure_of_it_goes_too(self, node, pictures):
        """A logo that was missing, was put there and purged, is there at once."""
        pictures.errors[LOGO.address] = SourceNotFound("no such")
        with pytest.raises(SourceNotFound):
            await node.ask(asked(LOGO))
        del pictures.errors[LOGO.address]
        await asyncio.sleep(0.002)
        node.purge(Subject.SOURCE, source_key(LOGO))

        assert await node.ask(asked(LOGO)) == "MISS"

    async def test_no_tag_of_a_url_is_a_layer(self, node):
        """The names that layers are purged by cannot be said in a URL, nor in an order to purge, and are not shown."""
        plan = asked(LOGO, tags=("summer",))

        assert plan.tags == (f"*{source_key(LOGO)}", "summer")
        assert explain(plan, "MISS", Limits(), EngineSettings())["tags"] == ["summer"]
        node.purge(Subject.TAG, plan.tags[0])
        await node.ask(plan)
        await asyncio.sleep(0.002)
        node.purge(Subject.TAG, plan.tags[0])
        assert await node.ask(plan) == "L1"


class TestChanges:
    async def test_nothing_is_said_to_be_unchanged(self, node, pictures):
        """With layers no conditional question is asked, so an old picture is never renewed with a new logo unseen."""
        pictures.say(SOURCE, max_age_s=0)
        for _ in range(2):
            await node.service.serve(asked(LOGO))
            for ref in (SOURCE, LOGO):
                node.sources.drop(source_key(ref))
            await asyncio.sleep(0.002)
            pictures.say(LOGO, etag="v2")

        assert all(known == NONE_KNOWN for _, known in pictures.asked)
        assert b"logo.png v2" in (await node.service.serve(asked(LOGO))).entry.rendition.body

    @pytest.mark.parametrize("changed", [SOURCE, LOGO])
    async def test_a_source_seen_changed_ends_what_was_made_of_it(self, node, pictures, changed):
        """Seen by way of one picture, be it as its layer: all that has it is made anew; the others are not."""
        for plan in (asked(LOGO), asked(MARK), asked(LOGO, MARK)):
            await node.ask(plan)
        pictures.say(changed, etag="v2")
        node.sources.drop(source_key(changed))
        await asyncio.sleep(0.002)
        await node.ask(asked(MARK, LOGO))
        await settled(node)

        tiers = [await node.ask(plan) for plan in (asked(LOGO), asked(MARK), asked(LOGO, MARK))]

        assert tiers == (["MISS"] * 3 if changed is SOURCE else ["MISS", "L1", "MISS"])
        assert f"{changed.address} v2" in (await node.service.serve(asked(LOGO))).entry.rendition.body.decode()

    async def test_a_layer_is_the_same_source_as_a_picture(self, node, pictures):
        """Seen changed as a picture of its own, it ends what it is a layer of."""
        await node.ask(asked(LOGO))
        pictures.say(LOGO, etag="v2")
        node.sources.drop(source_key(LOGO))
        await asyncio.sleep(0.002)
        await node.ask(prepare(ImageRequest(LOGO, (PNG,)), Limits()))
        await settled(node)

        assert await node.ask(asked(LOGO)) == "MISS"


def test_explain_names_layers_and_says_what_they_cost():
    """/explain reads no layer either: it tells for one of a certain size."""
    told, plain = (explain(plan, "MISS", Limits(), EngineSettings()) for plan in (asked(LOGO), asked()))

    assert told["layers"] == [{"scheme": "http", "address": LOGO.address, "key": source_key(LOGO)}]
    assert plain["layers"] == []
    assert told["estimate"]["cpu_ms"] > plain["estimate"]["cpu_ms"]
    assert "layers of png of 800 x 600 px" in told["estimate"]["for"]


def test_a_failure_keeps_whose_it_was():
    """Through memory and back, also where what is said is always the same."""
    for error in (SourceForbidden("why"), ImageCorrupt("torn"), LimitExceeded("pixels", "9 > 8")):
        named = of_layer(error, "local:a/b")
        kept = as_failure(named, "k", 1.0, 1)
        again = as_error(kept)

        assert isinstance(kept, Failure)
        assert (type(again), str(again), again.layer) == (type(error), str(named), "local:a/b")
        assert str(named).startswith("layer local:a/b: ")
        assert error.layer == ""
        assert of_layer(named, "outer") is named
