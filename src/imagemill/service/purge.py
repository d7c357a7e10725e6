"""Make what is cached invalid: by source, by tag, or by the URL of one exact rendition.

Units    ``at_ms`` milliseconds on the clock that purges are dated by.
Errors   `BadRequest` for an order that names nothing; `DependencyDown` where only this node could be told.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec
from msgspec import UNSET, Struct, UnsetType

from imagemill.cache.purges import Purge, Subject
from imagemill.dialects.base import Dialect
from imagemill.model.client import ANYONE
from imagemill.model.errors import BadRequest, DependencyDown
from imagemill.model.keys import source_key
from imagemill.model.request import is_tag
from imagemill.model.signing import MARK
from imagemill.plan.negotiate import clients
from imagemill.plan.prepare import NEGOTIATION, result_key_of
from imagemill.settings import Limits, Negotiation

MAX_ORDER_BYTES = 16 * 1024
NO_LIMITS = Limits()
_IMAGE, _INFO = b"/image", b"/info"


class Order(Struct, frozen=True, forbid_unknown_fields=True):
    """What to purge: exactly one of these."""

    source: str | UnsetType = UNSET
    """Its address, in whatever spelling."""
    tag: str | UnsetType = UNSET
    target: str | UnsetType = UNSET
    """A URL of this service from its path on, signed or not: all it may be answered with, whoever asks."""

    def __post_init__(self) -> None:
        """Refuse none and several."""
        if sum(part is not UNSET for part in (self.source, self.tag, self.target)) != 1:
            raise BadRequest("exactly one of source, tag and target is wanted")

    @classmethod
    def of(cls, *, source: str | None = None, tag: str | None = None, target: str | None = None) -> "Order":
        """As the constructor, with None for what is not given."""
        given = {"source": source, "tag": tag, "target": target}
        return cls(**{name: value for name, value in given.items() if value is not None})


def read_order(body: bytes) -> Order:
    """The order that a JSON body is, or `BadRequest`."""
    try:
        return msgspec.json.decode(body, type=Order)
    except (msgspec.MsgspecError, UnicodeDecodeError) as e:
        raise BadRequest(f"body: {e}") from e


class Purged(Struct, frozen=True):
    """What was done."""

    purged: Order
    at_ms: int
    """What was fetched until then is not used any more."""
    names: int = 1
    """Sources, tags or renditions: a URL with ``format=auto`` has several."""


class Notes(Protocol):
    """Where purges are noted."""

    def now_ms(self) -> int:
        """The time to date one by."""
        ...

    def note(self, purge: Purge, /) -> None:
        """Remember one."""
        ...


class Purger:
    """Notes purges here, at once, and tells the other nodes through *publish*, if there are any."""

    def __init__(
        self,
        notes: Notes,
        dialect: Dialect,
        publish: Callable[[Purge], Awaitable[bool]] | None,
        observe: Callable[[str], None] = lambda _: None,
        *,
        limits: Limits = NO_LIMITS,
        policy: Negotiation = NEGOTIATION,
    ) -> None:
        """Hold the parts; *limits* and *policy* are those that requests are planned by."""
        self._notes = notes
        self._dialect = dialect
        self._publish = publish
        self._observe = observe
        self._limits = limits
        self._policy = policy

    async def carry_out(self, order: Order) -> Purged:
        """Do what *order* says; it holds for every fetch that begins after this returns.

        Raises:
            BadRequest: a source, tag or target is none.
            DependencyDown: it holds on this node, and the others could not be told.
        """
        at_ms, names = 0, 1
        match order:
            case Order(source=str(source)):
                at_ms = await self.purge(source=self._source_key(source))
            case Order(tag=str(tag)):
                at_ms = await self.purge(tag=tag)
            case Order(target=str(target)):
                keys = self._keys(target)
                at_ms, names = await self.purge(keys=keys), len(keys)
        return Purged(order, at_ms, names)

    async def purge(self, *, source: str = "", tag: str = "", keys: Sequence[str] = ()) -> int:
        """Purge a source by its key, a tag, or renditions by theirs; as `carry_out`, and give the time."""
        if tag and not is_tag(tag):
            raise BadRequest("tag: 1 to 64 of A-Z a-z 0-9 _ . : - are wanted, the first a letter or a digit")
        at_ms = self._notes.now_ms()
        named = [(Subject.SOURCE, source), (Subject.TAG, tag), *((Subject.KEY, key) for key in keys)]
        purges = [Purge.of(subject, name, at_ms) for subject, name in named if name]
        if not purges:
            raise BadRequest("there is nothing to purge")
        if not await self._tell(purges):
            raise DependencyDown("purged on this node; the other nodes could not be told, so repeat it")
        return at_ms

    async def _tell(self, purges: Sequence[Purge]) -> bool:
        for purge in purges:
            self._notes.note(purge)
            if self._publish is None:
                self._observe(purge.subject)
        if self._publish is None:
            return True
        for purge in purges:
            if not await self._publish(purge):
                return False
        return True

    def _source_key(self, address: str) -> str:
        """By way of the dialect, so that every spelling is the one that requests are known by."""
        try:
            address.encode()
        except UnicodeEncodeError as e:
            raise BadRequest("source: no text") from e
        return source_key(self._dialect.source(address))

    def _keys(self, target: str) -> tuple[str, ...]:
        path, _, query = _raw(target).partition(MARK)[0].partition(b"?")
        if path not in {_IMAGE, _INFO}:
            raise BadRequest("target: it begins with /image?source= or /info?source=")
        if path == _INFO:
            return (result_key_of(self._dialect.described(query), self._limits, ANYONE, self._policy),)
        keys = [
            result_key_of(request, self._limits, client, self._policy)
            for client in clients(self._policy)
            for request in (self._dialect.parse(query, client),)
        ]
        return tuple(dict.fromkeys(keys))


def _raw(text: str) -> bytes:
    """As it would come in; what is no text is left to the dialect to refuse."""
    return text.encode("utf-8", "surrogatepass")
