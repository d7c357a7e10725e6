"""Hits, answered where their bytes arrive: a plain request whose picture is in memory.

The ordinary way makes callbacks of a parser, a scope, a task and messages of each request, which costs several times
what a hit does. Here a head is looked up by its bytes, and only what can change is asked each time: whether the URL has
ended, what the cache holds and whether it may be used, what the clock says. Whatever is not plain goes the ordinary
way, untouched and uncounted; what is answered is made by the ordinary way's own functions (`web.images`).

Bounded  what is remembered of heads, which are the clients' own bytes, in bytes; a picture is never held by it.
Units    seconds.
"""

import time
from weakref import ReferenceType, ref

from imagemill.model.entry import Entry
from imagemill.model.errors import ImagemillError
from imagemill.model.request import Plan
from imagemill.service.transcode import Served
from imagemill.web.app import Introduced, whole_headers
from imagemill.web.headers import CONDITIONS
from imagemill.web.heads import END, read
from imagemill.web.images import READ, Clock, Images
from imagemill.web.memo import Memo
from imagemill.web.record import Record, Repeated
from imagemill.web.request import Call, new_request_id
from imagemill.web.wire import Fields, head_bytes

MAX_HEAD_BYTES = 2 * 1024
"""A longer head goes the ordinary way."""
MEMO_BYTES = 16 * 1024 * 1024
ALIKE_BYTES = 16 * 1024 * 1024
_MET_BYTES = 512
_ALIKE_BYTES = 3 * 1024
"""What one head costs beside its own bytes, which are held whole for the one, and in parts for the other."""
_OURS = "0123456789abcdef"
"""Stands for an id of ours where none is given yet."""
_ID_NAME = b"\r\nx-request-id: "
_ID_LINE = _ID_NAME + _OURS.encode() + b"\r\n"
_OTHER_CONDITIONS = CONDITIONS - {b"if-none-match", b"if-modified-since"}
"""They can fail, or take a part; under the two named ones a hit is answered with all of it or nothing."""


class _Made:
    """An answer that stays the same for as long as what it was made of."""

    __slots__ = ("_clock", "_default_headers", "_entry", "after_id", "before_id", "has_body", "repeated")

    def __init__(
        self, entry: Entry, clock: Clock, default_headers: Fields, head: bytes, repeated: Repeated, *, has_body: bool
    ) -> None:
        self._entry: ReferenceType[Entry] = ref(entry)
        self._clock = clock
        self._default_headers = default_headers
        before, id_, after = head.partition(_ID_LINE)
        assert id_
        self.before_id, self.after_id = before + _ID_NAME, b"\r\n" + after
        self.repeated = repeated
        self.has_body = has_body

    def holds(self, entry: Entry, now_s: float, default_headers: Fields) -> bool:
        """Whether it is what would be made now."""
        return (
            self._clock.since_s <= now_s < self._clock.until_s
            and self._entry() is entry
            and self._default_headers is default_headers
        )


_Key = tuple[str, str, bytes, frozenset[tuple[bytes, bytes]]]
"""All of a request that an answer, or what is logged of it, depends on."""


class _Alike:
    """Requests that have the same answer and the same words in the log, and the last answer to them."""

    __slots__ = ("call", "key", "made", "plan")

    def __init__(self, key: _Key, call: Call, plan: Plan) -> None:
        self.key = key
        self.call = call
        self.plan = plan
        self.made: _Made | None = None


class _Met:
    """A request as it came from one address."""

    __slots__ = ("alike", "given_id")

    def __init__(self, alike: _Alike, given_id: str) -> None:
        self.alike = alike
        self.given_id = given_id


class Hits:
    """The hits of one route."""

    def __init__(
        self, path: str, images: Images, record: Record, introduced: Introduced, most_head_bytes: int = MAX_HEAD_BYTES
    ) -> None:
        """Answer what asks for *path*, in heads that no port would refuse: of *most_head_bytes* at most."""
        self._path = path
        self._most_head_bytes = min(most_head_bytes, MAX_HEAD_BYTES)
        self._begins = b"GET " + path.encode("ascii") + b"?"
        self._images = images
        self._record = record
        self._introduced = introduced
        self._met: Memo[tuple[str, bytes], _Met] = Memo(MEMO_BYTES)
        self._alike: Memo[_Key, _Alike] = Memo(ALIKE_BYTES)

    def answer(self, raw: bytes, peer: str, default_headers: Fields) -> tuple[bytes, bytes] | None:
        """Head and body of the answer to *raw*, counted and logged; None, and nothing is, for the ordinary way.

        Args:
            raw: What has come on a connection where nothing else is under way.
            peer: The address of its other end; empty = unknown.
            default_headers: What every answer begins with; whoever changes them makes a new list.
        """
        begun, now_s = time.perf_counter(), time.time()
        known = self._met.get((peer, raw))
        met = known or self._meet(raw, peer)
        if met is None:
            return None
        alike = met.alike
        served = self._images.ready(alike.plan, now_s)
        if served is None:
            return None
        if known is None:  # and not before: most of what is no hit is asked for once
            self._remember(raw, peer, met)
        made = alike.made
        if made is None or not made.holds(served.entry, now_s, default_headers):
            made = alike.made = self._make(alike, served, default_headers)
        request_id = met.given_id or new_request_id()
        head = b"%b%b%b" % (made.before_id, request_id.encode(), made.after_id)
        made.repeated.finished(request_id, time.perf_counter() - begun)
        return head, served.entry.rendition.body if made.has_body else b""

    def _meet(self, raw: bytes, peer: str) -> _Met | None:
        """What *raw* asks for, where it is plain, well signed and planned, and has not ended."""
        if len(raw) > self._most_head_bytes or not raw.startswith(self._begins) or not raw.endswith(END):
            return None
        head = read(raw)
        if head is None or head.path != self._path:
            return None
        call = self._introduced(Call("GET", head.path, head.query, head.headers, _OURS, peer))
        alike = self._alike_to(call)
        return None if alike is None else _Met(alike, "" if call.request_id == _OURS else call.request_id)

    def _remember(self, raw: bytes, peer: str, met: _Met) -> None:
        self._met.put((peer, raw), met, len(raw) + _MET_BYTES)
        self._alike.put(met.alike.key, met.alike, 2 * len(raw) + _ALIKE_BYTES)

    def _alike_to(self, call: Call) -> _Alike | None:
        """What is known of *call* from others like it: heads may differ in much that no answer depends on."""
        asked = call.fields(READ)
        if asked.keys() & _OTHER_CONDITIONS:
            return None
        key = (call.client, call.asker, call.target, frozenset(asked.items()))
        alike = self._alike.get(key)
        if alike is None:
            call.headers = [*asked.items()]  # no more is kept of it: hundreds of headers weigh twenty times their head
            self._images.share(call)
            try:
                alike = _Alike(key, call, self._images.plan(call))
            except ImagemillError:
                return None  # the ordinary way says why
        return alike

    def _make(self, alike: _Alike, served: Served, default_headers: Fields) -> _Made:
        clock = self._images.clock(alike.plan, served)
        reply = self._images.respond(alike.call, alike.plan, served, clock)
        head = head_bytes(reply.status, [*default_headers, *whole_headers(reply, _OURS)])
        repeated = alike.made.repeated if alike.made else None
        if repeated is None or not repeated.is_of(reply):
            repeated = self._record.repeated(alike.call, reply)
        return _Made(served.entry, clock, default_headers, head, repeated, has_body=bool(reply.body))
