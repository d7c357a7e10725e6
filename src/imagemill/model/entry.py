"""What caches hold of one key: a rendition and the terms it is kept on, or a failure that is remembered for a moment.

Units    ``_s`` Unix seconds or seconds; ``asked_ms`` milliseconds on the clock that purges are dated by.
"""

from msgspec import Struct
from msgspec.structs import replace

from imagemill.model.media import Rendition

DAY_S = 86_400
MAX_TAGS = 256
"""On one entry: past these it is made anew, with those that are asked for by then."""
OF_LAYER = "*"
"""A tag that begins so goes on with the source key of a layer: what is purged by that source. No URL can name one."""
MAX_LIFE_S = 3 * DAY_S
"""No entry is fresh for longer than this after its birth, whatever anybody asks for."""
MAX_DATE_S = 253_402_300_799
"""The end of the year 9999: no HTTP date lies later."""


class Validators(Struct, frozen=True):
    """By what a source says that its bytes are still the same (RFC 9110 section 8.8); empty = it says nothing."""

    etag: str = ""
    last_modified_s: int = 0

    @property
    def version(self) -> str:
        """What changes when the bytes change; empty = nothing does."""
        return self.etag or (str(self.last_modified_s) if self.last_modified_s else "")

    def __bool__(self) -> bool:
        """Whether there is anything to ask by."""
        return bool(self.version)


class Entry(Struct, frozen=True, weakref=True):
    """A rendition, what its source said, and how long it may be used."""

    rendition: Rendition
    born_s: float
    """When its source was asked, or last said that it is unchanged."""
    life_s: int = DAY_S
    """Fresh for so long from its birth: the longest lifetime that anybody was allowed to ask for."""
    source_key: str = ""
    validators: Validators = Validators()
    max_age_s: int | None = None
    """What the source allows; None = it says nothing."""
    storable: bool = True
    tags: tuple[str, ...] = ()
    """Names it can be purged by, sorted; they add up over requests."""
    asked_ms: int = 0
    """When its fetch began; a purge from then on makes it invalid."""
    cost_ms: int = 0
    """What fetching and making it took: the dearer, the earlier it is made anew."""
    engine: int = 0
    """Version of the engine that made it, comparable; what an older one made is made anew in time."""
    seen_ms: int = 0
    """When a copy of this node's own was last the same as what nodes share; not shared itself."""

    def is_one_with(self, other: "Entry") -> bool:
        """Whether both are the same rendition of the same fetch."""
        return (self.born_s, self.rendition.etag) == (other.born_s, other.rendition.etag)

    def tagged(self, *tags: str) -> "Entry":
        """The same with further names to be purged by."""
        return replace(self, tags=tuple(sorted({*self.tags, *tags})))

    def joined(self, other: "Entry") -> "Entry":
        """The same, living as long as either and under the names of both."""
        return replace(self.tagged(*other.tags), life_s=max(self.life_s, other.life_s))

    @property
    def expires_s(self) -> float:
        """The end of its freshness."""
        return self.born_s + (min(MAX_LIFE_S, self.life_s))


class Failure(Struct, frozen=True):
    """An answer that is not worth asking for again just now: not found, unsupported, over a limit, poison."""

    code: str
    """Of `model.errors`."""
    message: str
    born_s: float
    source_key: str = ""
    tags: tuple[str, ...] = ()
    limit: str = ""
    asked_ms: int = 0
    unreachable: bool = False
    """Nobody answered there; of this node's network only, and shared with no other."""
    layer: str = ""
    """The layer at fault, see `model.errors`; not shared either, as the message has it."""
