"""``POST /jobs``: every field is read or refused, and a rendition means what its URL would mean."""

import json
import time

import pytest

from imagemill.model.errors import BadOption, BadRequest, LimitExceeded, UnsupportedSourceType
from imagemill.model.job import Event
from imagemill.model.media import Format
from imagemill.model.recipe import AutoOrient, Encode, Resize, Speed
from imagemill.model.request import SourceRef
from imagemill.plan.prepare import prepare
from imagemill.service.bodies import Digest, fields, metadata, recipe
from imagemill.service.orders import FIELDS
from imagemill.service.steps import plan_of
from unit.service.ordering import CALLBACK, NOW_S, SOURCE, native, reader, rendition, settings, spec
from unit.service.ordering import raw as of


def test_what_is_left_out():
    """Defaults, and nothing invented."""
    found = spec()

    assert (found.priority, found.retries, found.not_before_s, found.deadline_s) == (0, 3, 0.0, None)
    assert (found.callback, found.ttl_s, found.tags, bytes(found.metadata), found.warm) == (
        None,
        None,
        (),
        b"null",
        False,
    )
    assert (found.store, found.renditions[0].key) == ("out", "{job}/{name}.{ext}")
    assert found.source == SourceRef("https", SOURCE)


def test_every_field():
    found = spec(
        type="image/jpeg", priority=9, delay=60, deadline=NOW_S + 90, retries=0, ttl=100_000, tags=["b", "a"],
        metadata={"z": [1, {"y": None}], "a": 1.50}, warm=True,
        callback=CALLBACK | {"events": ["succeeded", "accepted"]},
        destination={"store": "out", "prefix": "p/{tenant}/"}, renditions=[{"name": "x", "params": "format=png", "key": "{name}"}],
    )  # fmt: skip

    assert (found.priority, found.not_before_s, found.deadline_s, found.retries) == (9, NOW_S + 60, NOW_S + 90, 0)
    assert (found.ttl_s, found.tags, found.warm) == (100_000, ("a", "b"), True)
    assert bytes(found.metadata) == b'{"z": [1, {"y": null}], "a": 1.5}'
    assert found.callback.events == (Event.ACCEPTED, Event.SUCCEEDED)
    assert found.renditions[0].key == "p/{tenant}/{name}"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sorce": "x"}, "sorce: unknown field; did you mean source"),
        ({"renditions": [{"name": "a", "parms": ""}]}, r"renditions\[0\].parms: unknown field; did you mean params"),
        ({"destination": {"store": "out", "path": "x"}}, "destination.path: unknown field"),
        ({"callback": CALLBACK | {"event": []}}, "callback.event: unknown field; did you mean events"),
        ({"source": None}, "source: missing"), ({"renditions": None}, "renditions: missing"),
        ({"renditions": []}, "renditions: at least one"), ({"renditions": {}}, "renditions: Expected `array`"),
        ({"destination": None}, "destination: missing"), ({"destination": {}}, "destination.store: missing"),
        ({"source": "\ud800"}, "source|body"), ({"source": 1}, "source: Expected `str`"), ({"source": "ftp://x/"}, "source: source URL: only"),
        ({"priority": 10}, "priority"), ({"priority": True}, "priority"), ({"priority": "1"}, "priority"),
        ({"retries": 21}, "retries"), ({"warm": 1}, "warm"), ({"ttl": "1"}, "ttl"),
        ({"delay": -1}, "delay"), ({"delay": 1, "not_before": NOW_S}, "not together"),
        ({"not_before": "tomorrow"}, "not_before"), ({"not_before": "2026-01-01T00:00:00"}, "timezone"),
        ({"deadline": NOW_S}, "over before"), ({"deadline": NOW_S + 5, "delay": 5}, "over before"),
        ({"tags": ["a", "a"]}, "tags: one is given twice"), ({"tags": ["-"]}, "tags: each"), ({"tags": "a"}, "tags"),
        ({"tags": [str(n) for n in range(17)]}, "16 at most"),
        ({"callback": {"url": "https://x/"}}, "callback.secret: missing"), ({"callback": {"secret": "main"}}, "callback.url: missing"),
        ({"callback": CALLBACK | {"events": []}}, "at least one"), ({"callback": CALLBACK | {"events": ["done"]}}, "'done'"),
        ({"callback": CALLBACK | {"events": ["finished"]}}, "'finished'"),
        ({"renditions": [{"name": "a"}, {"name": "a", "params": "width=1"}]}, "two have the same name"),
        ({"renditions": [{"name": "../x"}]}, r"renditions\[0\].name"), ({"renditions": [{}]}, r"renditions\[0\].name"),
        ({"renditions": [{"name": "a", "key": "x"}, {"name": "b", "key": "x"}]}, "same key"),
        ({"destination": {"store": "out", "prefix": "{nope}/"}}, "destination.prefix"),
        ({"destination": {"store": "out", "prefix": "a//"}}, "is none"),
        ({"destination": None, "warm": True, "renditions": [{"name": "a", "params": "format=png", "key": "x"}]}, "needs a destination"),
    ],
)  # fmt: skip
def test_what_is_refused(changes, words):
    with pytest.raises(BadRequest, match=words):
        spec(**changes)


@pytest.mark.parametrize("text", [b"", b"[]", b"null", b'{"source":', b"{} {}", b'"\xff"', b"[" * 100_000])
def test_what_is_no_object(text):
    with pytest.raises(BadRequest, match="body"):
        fields(text, "", FIELDS)


@pytest.mark.parametrize(
    ("changes", "limit"),
    [
        ({"renditions": [{"name": str(n)} for n in range(33)]}, "renditions"),
        ({"metadata": "x" * 4095}, "metadata_bytes"),
        ({"not_before": NOW_S + 400 * 86_400}, "ahead"), ({"delay": 1e300}, "ahead"), ({"deadline": 1e300}, "ahead"),
        ({"ttl": 5}, "ttl"), ({"renditions": [{"name": "a", "params": "width=9000"}]}, "output_side"),
        ({"renditions": [{"name": "a", "recipe": [{"type": "blur", "sigma_centi": 100_000}]}]}, "blur"),
    ],
)  # fmt: skip
def test_limits(changes, limit):
    """The same as for requests, and the service's own."""
    with pytest.raises(LimitExceeded) as caught:
        spec(**changes)

    assert caught.value.limit == limit


def test_moments():
    """RFC 3339 or Unix seconds mean the same; what is past is now."""
    assert spec(not_before="2027-01-15T08:01:00Z").not_before_s == NOW_S + 60
    assert spec(not_before="2027-01-15T09:01:00+01:00").not_before_s == NOW_S + 60
    assert spec(not_before=NOW_S + 60).not_before_s == NOW_S + 60
    assert spec(not_before=0).not_before_s == 0


@pytest.mark.parametrize(
    "params",
    [
        "width=64&format=webp",
        "f=webp&w=64",
        {"width": 64, "format": "webp"},
        {"w": "64", "f": "webp"},
        "w=%36%34&format=webp",
    ],
)
def test_a_rendition_means_what_its_url_means(params):
    """Text, object or URL: one recipe, one key."""
    used = settings()
    request = native(used).parse(b"source=https%3A%2F%2Fexample.com%2Fa.jpg&width=64&format=webp&tags=a&ttl=86400")

    found = spec(renditions=[{"name": "small", "params": params}], tags=["a"], ttl=86_400)

    assert plan_of(found, found.renditions[0]) == prepare(request, used.limits)


def test_parameters_of_an_object():
    """Numbers and booleans are written as a URL has them."""
    params = {"width": 64, "enlarge": True, "dpr": 1.5, "crop": "1,2,3,4", "background": "fff"}
    text = "width=64&enlarge=1&dpr=1.5&crop=1,2,3,4&background=fff"

    assert rendition(params=params) == rendition(params=text)
    assert rendition() == rendition(params="") == rendition(params={})


def test_operations():
    found = rendition(
        recipe=[{"type": "auto_orient"}, {"type": "resize", "width_px": 64}, {"type": "encode", "format": "webp"}]
    )

    assert found.recipe == (AutoOrient(), Resize(64), Encode(Format.WEBP))
    assert found.recipe == rendition(params="width=64&format=webp").recipe
    assert rendition(recipe=[]).recipe == (Encode(),)
    small = rendition(recipe=[{"type": "encode", "format": "png", "speed": "small"}]).recipe
    assert small == (Encode(Format.PNG, 0, Speed.SMALL),) == rendition(params="orient=0&format=png&speed=small").recipe


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"params": "width=0"}, r"renditions\[0\]: width: 0 is not within"),
        ({"params": "widht=1"}, r"renditions\[0\]: widht: unknown parameter"),
        ({"params": {"width": [1]}}, r"renditions\[0\].params"), ({"params": 5}, r"renditions\[0\].params"),
        ({"params": "source=x"}, "it is the job's, as source"), ({"params": {"ttl": 1}}, "it is the job's, as ttl"),
        ({"params": "tags=a"}, "it is the job's, as tags"), ({"params": "exp=1"}, "a job has none"),
        ({"params": "filename=a"}, "a job has none"), ({"params": {"fn": "a"}}, "a job has none"),
        ({"params": {"attachment": True}}, "a job has none"), ({"params": "w=1&att=0"}, "a job has none"),
        ({"params": "format=auto"}, "a job has none; name a format"), ({"params": "", "recipe": []}, "not together"),
        ({"recipe": [{"type": "encode", "format": "auto"}]}, "name a format"), ({"recipe": [{"type": "resiz"}]}, "did you mean resize"),
        ({"recipe": [{"type": "resize", "width": 1}]}, r"recipe\[0\].width: unknown field; did you mean width_px"),
        ({"recipe": [{"type": "resize", "width_px": 1, "position": {"x": 1}}]}, r"position.x: unknown field"),
        ({"recipe": [{"type": "encode"}, {"type": "flip"}]}, "encode comes last"),
        ({"recipe": [{"type": "describe"}]}, "GET /info"),
        ({"recipe": [{"type": "describe"}, {"type": "encode"}]}, "GET /info"),
        ({"recipe": [{"type": "encode"}, {"type": "encode"}]}, "encode comes last"),
        ({"recipe": [{"type": "resize"}]}, r"renditions\[0\]: resize: width or height"),
        ({"recipe": [{"type": "crop", "width_px": 10**12, "height_px": 1}]}, "no number is larger"),
        ({"recipe": [{"width_px": 1}]}, r"recipe\[0\]"), ({"recipe": [5]}, r"recipe\[0\]"),
    ],
)  # fmt: skip
def test_what_is_no_rendition(given, words):
    """The words name the rendition, and the parameter or operation."""
    with pytest.raises(BadOption, match=words):
        rendition(**given)


def test_warm_needs_a_name():
    """What is kept under a key must be what the URL gives to everybody."""
    with pytest.raises(BadOption, match="warm needs a named format"):
        spec(warm=True, renditions=[{"name": "a"}])

    assert spec(warm=True, destination=None).renditions[0].key == ""


@pytest.mark.parametrize(
    "source",
    [
        "https://example.com/a.mp4",
        "https://example.com/a.MOV?x=.jpg",
        "local:sample/b/c.mkv",
        "https://example.com/v.webm",
    ],
)
def test_video_is_refused_at_once(source):
    with pytest.raises(UnsupportedSourceType, match="video"):
        spec(source=source)


@pytest.mark.parametrize(
    "source", ["https://example.com/a.jpg?clip=a.mp4", "https://mp4.example.com/mp4", "local:mp4/a"]
)
def test_what_only_looks_like_video(source):
    assert spec(source=source)


def test_a_type_is_checked():
    for kind in (
        "image/avif",
        "image/tiff",
        "image/svg+xml",
        "image/heic",
        "image/bmp",
        "image/vnd.microsoft.icon",
        "image/jxl",
    ):
        assert spec(type=kind) == spec()
    for kind in ("video/mp4", "image/x-tga", "", "text/html"):
        with pytest.raises(UnsupportedSourceType, match="type"):
            spec(type=kind)


def test_a_schedule_has_its_own_times():
    for field in ({"delay": 1}, {"not_before": NOW_S}, {"deadline": NOW_S + 9}):
        with pytest.raises(BadOption, match="a schedule has its own times"):
            spec(timed=False, **field)


def test_metadata_is_no_deeper_than_others_read():
    assert bytes(metadata(of("[" * 32 + "]" * 32), "metadata")) == b"[" * 32 + b"]" * 32
    for deep in ("[" * 33 + "]" * 33, '{"a":' * 33 + "1" + "}" * 33, "[" * 5_000 + "]" * 5_000):
        with pytest.raises(BadOption, match="metadata"):
            metadata(of(deep), "metadata")


def digest(text):
    made = Digest()
    made.add(text.encode())
    return made.text()


def test_equal_bodies_have_equal_digests():
    """Spaces and the order of fields do not count; every value does."""
    assert digest('{"a":1,"b":[1,{"d":2,"c":"é"}]}') == digest('{ "b": [1, {"c": "\\u00e9", "d": 2}],\n"a": 1}')
    assert (
        len({digest(t) for t in ('{"a":1}', '{"a":2}', '{"a":"1"}', '{"a":[1]}', '{"a":null}', "{}", '{"b":1}')}) == 7
    )


def test_what_repeats_is_read_once():
    """A batch of ten thousand names the same renditions ten thousand times."""
    one = reader()
    given = [
        fields(
            json.dumps(
                {"source": f"https://example.com/{n}", "warm": True, "renditions": [{"name": "a", "params": "f=png"}]}
            ).encode(),
            "",
            FIELDS,
        )
        for n in range(2)
    ]

    first, second = map(one.spec, given)

    assert first.renditions is second.renditions
    assert first.source != second.source


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('{"source":"SOURCE","source":"https://other.example/","warm":true,"renditions":[]}', "source"),
        ('{"source":"SOURCE","warm":true,"renditions":[{"name":"a","name":"b"}]}', r"renditions\[0\].name"),
        ('{"source":"SOURCE","warm":true,"renditions":[{"name":"a","params":{"width":1,"width":2}}]}', r"params.width"),
        (
            '{"source":"SOURCE","warm":true,"renditions":[{"name":"a","recipe":[{"type":"flip","type":"flop"}]}]}',
            "type",
        ),
        ('{"source":"SOURCE","destination":{"store":"a","store":"b"}}', "destination.store"),
        (
            '{"source":"SOURCE","warm":true,"renditions":[{"name":"a","params":"f=png"}],"metadata":[{"x":{"a":1,"\\u0061":2}}]}',
            "metadata",
        ),
    ],
)
def test_no_name_is_given_twice(text, where):
    """Of two, a proxy or a log may read the one and we the other."""
    with pytest.raises(BadOption, match=f"{where}.* given twice"):
        reader().spec(fields(text.replace("SOURCE", SOURCE).encode(), "", FIELDS))


def test_many_names_are_read_in_linear_time():
    text = "{" + ",".join(f'"a{n}":1' for n in range(200_000)) + ',"a0":2}'
    begun = time.process_time()

    with pytest.raises(BadOption, match="a0: given twice"):
        fields(text.encode(), "", FIELDS)

    assert time.process_time() - begun < 2


def test_metadata_may_hold_numbers_of_any_length():
    assert bytes(metadata(of("1" * 4000), "metadata")) == b"1" * 4000


def test_an_operation_has_its_own_fields():
    with pytest.raises(BadOption, match=r"r\[1\].rgba: unknown field"):
        recipe(of('[{"type":"flip"},{"type":"flip","rgba":1}]'), "r")
