"""What /info is asked for: its own parameters, those of operations, and none of files."""

import pytest

from imagemill.dialects.native import DESCRIBING, PARAMETERS, Native
from imagemill.model.errors import BadOption
from imagemill.model.recipe import AutoOrient, Blur, Crop, Describe, Resize
from imagemill.plan.prepare import prepare
from imagemill.settings import Limits, Presets

LIMITS = Limits()
PRESETS = Presets({"card": "width=300&height=200&format=webp&quality=70&metadata=all"})
DIALECT = Native(LIMITS, lambda url: url, PRESETS)
ONLY = Native(LIMITS, lambda url: url, Presets(PRESETS.named, only=True))
SOURCE = "source=local:a/b"


def recipe(query, dialect=DIALECT):
    first, *rest = dialect.described(f"{SOURCE}&{query}".encode() if query else SOURCE.encode()).recipe
    assert first == AutoOrient()
    return rest


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("", Describe()), ("metadata=1", Describe(metadata=True)), ("palette=1", Describe(colours=1)),
        ("palette=16", Describe(colours=16)), ("blurhash=1", Describe(blurhash=True)),
        ("thumbhash=1", Describe(thumbhash=True)), ("phash=1", Describe(phash=True)),
        ("placeholder=1", Describe(placeholder=True)), ("metadata=0&phash=0", Describe()),
    ],
)  # fmt: skip
def test_parameter(query, wanted):
    """Each is one question."""
    assert recipe(query) == [wanted]


@pytest.mark.parametrize(
    "query",
    [
        "palette=0", "palette=17", "palette=x", "metadata=2", "blurhash=yes", "phash=1&phash=1", "placeholder", "what=1",
        "format=webp", "f=png", "quality=5", "speed=fast", "filename=a", "attachment=1", "crop=0,0",
    ],
)  # fmt: skip
def test_refused(query):
    """Ill-formed, unknown, or of a file that is not made."""
    with pytest.raises(BadOption):
        recipe(query)


@pytest.mark.parametrize("name", [p.name for p in DESCRIBING if p not in PARAMETERS])
def test_images_have_none_of_it(name):
    """/image has names of its own."""
    with pytest.raises(BadOption):
        DIALECT.parse(f"{SOURCE}&{name}=1".encode())


def test_operations_come_first():
    """In the fixed order, or as ops says."""
    assert recipe("width=5&palette=2&crop=1,2") == [Crop(1, 2), Resize(5), Describe(colours=2)]
    assert recipe("ops=blur:2/crop:1,2&phash=1") == [Blur(200), Crop(1, 2), Describe(phash=True)]


def test_presets():
    """What is done is done, how it would be written is no matter; and where there are only presets, they are asked for."""
    assert recipe("preset=card&phash=1") == [Resize(300, 200), Describe(phash=True)]
    assert recipe("preset=card&phash=1", ONLY) == [Resize(300, 200), Describe(phash=True)]
    assert recipe("phash=1&metadata=1", ONLY) == [Describe(phash=True, metadata=True)]
    with pytest.raises(BadOption, match="only presets"):
        recipe("width=5", ONLY)


def test_names_are_unique():
    names = [name for p in DESCRIBING for name in (p.name, p.alias) if name]

    assert len(set(names)) == len(names)


def test_every_question_has_its_key():
    """Another question is another answer, and a picture is no description of it."""
    queries = [
        "",
        "metadata=1",
        "palette=1",
        "palette=2",
        "blurhash=1",
        "thumbhash=1",
        "phash=1",
        "placeholder=1",
        "width=5",
    ]
    keys = [prepare(DIALECT.described(f"{SOURCE}&{q}".strip("&").encode()), LIMITS).key for q in queries]
    keys.append(prepare(DIALECT.parse(SOURCE.encode()), LIMITS).key)

    assert len(set(keys)) == len(keys)


def test_terms_of_delivery():
    """Lifetime, end and tags are as those of pictures."""
    asked = DIALECT.described(f"{SOURCE}&ttl=90000&expires=5&tags=b,a".encode())

    assert (asked.ttl_s, asked.expires_at_s, asked.tags) == (90_000, 5, ("a", "b"))
