"""GET an image: verify, parse, plan, serve, respond."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from typing import Any, NamedTuple

from imagemill.cache.base import Cache
from imagemill.dialects.base import Dialect
from imagemill.model.client import Client
from imagemill.model.errors import BadOption, ImagemillError, ProcessingTimeout, TargetTooLong, UrlExpired
from imagemill.model.filename import suffixed
from imagemill.model.media import LOSSLESS, Format
from imagemill.model.request import ImageRequest, Plan
from imagemill.model.signing import MARK, verify
from imagemill.plan import negotiate
from imagemill.plan.prepare import SAVE_DATA, prepare
from imagemill.service.explain import explain
from imagemill.service.transcode import Served, Transcoder
from imagemill.settings import Settings
from imagemill.web.cors import Cors
from imagemill.web.disposition import disposition
from imagemill.web.fallbacks import Fallbacks
from imagemill.web.headers import CONDITIONS, Delivery, respond
from imagemill.web.problems import Reply, json_reply
from imagemill.web.request import Call, until_left

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
READ = CONDITIONS | negotiate.READ | {b"origin"}
"""The header fields that an answer here can depend on, beside those that `web.proxies` reads."""
_MEMO_S = 300.0
_OPTIONS = ((b"allow", b"GET, HEAD, OPTIONS"), (b"x-content-type-options", b"nosniff"))


class Clock(NamedTuple):
    """All that an answer with one entry takes from the clock. Unix time."""

    now_s: int
    age_s: int
    left_s: int
    """How long the caller may use it from now on."""
    since_s: float
    until_s: float
    """When it will be another; by less than what a clock is off by."""


class Images:
    """The native dialect's handlers."""

    def __init__(
        self,
        dialect: Dialect,
        transcoder: Transcoder,
        memo: Cache[Plan],
        settings: Settings,
        *,
        read: Callable[[bytes, Client], ImageRequest] | None = None,
        fallbacks: Fallbacks | None = None,
    ) -> None:
        """Hold the parts.

        Args:
            dialect: What queries are written in.
            transcoder: Does the work.
            memo: Plans by what was asked; several may share it, as paths are part of that.
            settings: All of them.
            read: What a query stands for; None = what *dialect* makes of one that asks for a picture.
            fallbacks: What is shown in place of errors; None = nothing.
        """
        self._read = read or dialect.parse
        self._fallbacks = fallbacks or Fallbacks({}, settings.fallback)
        self._transcoder = transcoder
        self._memo = memo
        self._settings = settings
        self._cors = Cors(settings.server.cors_origins)
        self._keys: Mapping[str, bytes] = {name: key.encode() for name, key in settings.signing.keys.items()}

    async def get(self, call: Call, receive: Receive) -> Reply | None:
        """Answer with a rendition, or with None where the client has left."""
        self.share(call)
        plan = self.plan(call)
        served = self._transcoder.hit(plan)
        if served is None:
            until_s = time.monotonic() + self._settings.server.request_timeout_s
            try:
                served = await self._while_wanted(plan, receive, until_s)
            except ImagemillError as e:
                return await self._instead(call, plan, e, receive, until_s)
        if served is None:
            return None
        return self.respond(call, plan, served, self.clock(plan, served))

    async def _instead(
        self, call: Call, plan: Plan, error: ImagemillError, receive: Receive, until_s: float
    ) -> Reply | None:
        """The picture that is shown where *plan* ended in *error*; that error itself where none can be shown."""
        other = self._fallbacks.plan(plan, error)
        if other is None:
            raise error
        try:
            served = self._transcoder.hit(other) or await self._while_wanted(other, receive, until_s)
        except ImagemillError:
            raise error from None
        if served is None:
            return None
        call.tier, call.error = served.tier, error
        return self._fallbacks.reply(
            call, plan, served, error, time.time(),
            vary=_vary(plan, served.entry.rendition.format) + self._cors.vary,
            resource_policy=self._settings.server.cross_origin_resource_policy,
            disposition=_disposition(plan, served.entry.rendition.format),
        )  # fmt: skip

    # the same in steps, for whoever meets a call again and again

    def share(self, call: Call) -> None:
        """Let pages of other origins read what becomes of *call*, as far as they may."""
        call.sharing = self._cors.fields(call.header(b"origin"))

    def ready(self, plan: Plan, now_s: float) -> Served | None:
        """What L1 holds for *plan* at Unix time *now_s*, where `get` would answer with it at once.

        None, and nothing is done or counted, where `get` is to be asked.
        """
        return None if _has_expired(plan, now_s) else self._transcoder.ready(plan)

    def clock(self, plan: Plan, served: Served) -> Clock:
        """What the clock says of *served* now."""
        now_s, born_s = time.time(), served.entry.born_s
        age_s = max(0, int(now_s - born_s))
        until_s = min(
            int(now_s) + 1, born_s + age_s + 1
        )  # lives are whole seconds, so what is left changes with the age
        return Clock(int(now_s), age_s, self._transcoder.left_s(plan, served.entry), now_s, until_s)

    async def preflight(self, call: Call, _receive: Receive) -> Reply:
        """Say which requests are answered, and to a page of which origin."""
        vary = ((b"vary", ", ".join(self._cors.vary).encode()),) if self._cors.vary else ()
        return Reply(204, (*_OPTIONS, *vary, *self._cors.preflight(call.header(b"origin"))), b"")

    async def explain(self, call: Call, _receive: Receive) -> Reply:
        """Say what `get` would do with the same query, and do nothing."""
        return json_reply(200, self.explained(call))

    def explained(self, call: Call) -> dict[str, Any]:
        """See `explain`; the signature, if any, is taken off and not judged."""
        plan = self._prepared(call.query.partition(MARK)[0], self._client(call))
        return explain(plan, self._transcoder.tier(plan), self._settings.limits, self._settings.engine)

    def plan(self, call: Call) -> Plan:
        """The plan of a call whose signature and expiry hold now.

        Verifying, parsing and planning are pure, so what they give is remembered together.
        """
        if len(call.target) > self._settings.server.max_target_bytes:
            raise TargetTooLong(f"target: {len(call.target)} > {self._settings.server.max_target_bytes} bytes")
        client = self._client(call)
        key = _memo_key(call, client)
        plan = self._memo.get(key, time.monotonic())
        if plan is None:
            plan = self._prepared(self._verified(call), client)
            self._memo.put(key, plan, time.monotonic(), ttl_s=_MEMO_S)
        if _has_expired(plan, time.time()):
            raise UrlExpired("the URL has expired")
        return plan

    def _prepared(self, query: bytes, client: Client) -> Plan:
        return prepare(self._read(query, client), self._settings.limits, client, self._settings.negotiation)

    def _client(self, call: Call) -> Client:
        return negotiate.client(call.fields(negotiate.READ), self._settings.negotiation)

    def _verified(self, call: Call) -> bytes:
        """The query without its signature; nothing is parsed before it is verified."""
        if self._settings.signing.mode == "required" or (MARK in call.target and self._keys):
            return verify(call.target, self._keys).partition(b"?")[2]
        if MARK in call.target:
            raise BadOption("signature: no keys are configured here")
        return call.query

    async def _while_wanted(self, plan: Plan, receive: Receive, until_s: float) -> Served | None:
        """Serve *plan* unless the client leaves first; what nobody else wants then is stopped."""
        work = asyncio.create_task(self._in_time(plan, until_s))
        gone = asyncio.create_task(until_left(receive))
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
            return await work if work.done() else None
        finally:
            for task in (work, gone):
                if not task.done():
                    task.cancel()
                    with suppress(asyncio.CancelledError):
                        await task

    async def _in_time(self, plan: Plan, until_s: float) -> Served:
        """Make *plan* before *until_s* on the monotonic clock."""
        try:
            async with asyncio.timeout(until_s - time.monotonic()):
                return await self._transcoder.make(plan)
        except TimeoutError:
            raise ProcessingTimeout(f"not done after {self._settings.server.request_timeout_s:g} s") from None

    def respond(self, call: Call, plan: Plan, served: Served, clock: Clock) -> Reply:
        """The answer to *call* with *served*.

        Raises:
            PreconditionFailed: see `web.headers.respond`.
            RangeNotSatisfiable: as above.
        """
        call.tier = served.tier
        entry, stages = served.entry, served.stages
        asked = call.fields(CONDITIONS)
        timings = {} if served.tier == "L1" else {
            "fetch": served.fetch_ms, "queue": stages.queue_ms, "handover": stages.handover_ms,
            "probe": stages.probe_ms, "render": stages.render_ms, "cpu": stages.cpu_ms,
        }  # fmt: skip
        return respond(
            Delivery(
                body=entry.rendition.body,
                etag=entry.rendition.etag,
                media_type=entry.rendition.media_type,
                lifetime_s=clock.age_s + clock.left_s,
                age_s=clock.age_s,
                private=not entry.storable and not self._settings.cache.store_private,
                tier=served.tier,
                last_modified_s=entry.validators.last_modified_s,
                expires_at_s=plan.expires_at_s,
                vary=_vary(plan, entry.rendition.format) + self._cors.vary,
                ttl=_ttl(plan),
                timings_ms=timings,
                resource_policy=self._settings.server.cross_origin_resource_policy,
                sharing=call.sharing,
                disposition=_disposition(plan, entry.rendition.format),
            ),
            if_none_match=asked.get(b"if-none-match", b""),
            if_modified_since=asked.get(b"if-modified-since", b""),
            now_s=clock.now_s,
            if_match=asked.get(b"if-match", b""),
            if_unmodified_since=asked.get(b"if-unmodified-since", b""),
            wanted_range=asked.get(b"range", b"") if call.method == "GET" else b"",
            if_range=asked.get(b"if-range", b""),
        )


def _has_expired(plan: Plan, now_s: float) -> bool:
    return plan.expires_at_s is not None and plan.expires_at_s <= now_s


def _memo_key(call: Call, client: Client) -> str:
    """All that a plan depends on: the whole target, signature and all, and the class of its client."""
    said = f"{','.join(client.formats)} {client.dpr_centi} {client.width_px} {client.saves_data:d}"
    return f"{call.target.decode('latin-1')} {said}"


def _disposition(plan: Plan, format_: Format) -> bytes:
    """Empty where the caller wants nothing of it: the picture is shown, under whatever name its URL suggests."""
    if not (plan.filename or plan.attachment):
        return b""
    return disposition(suffixed(plan.filename, format_), attachment=plan.attachment)


def _vary(plan: Plan, format_: Format) -> tuple[str, ...]:
    """What an answer in *format_* owes to its client: where nothing is lost there is no quality to save data by."""
    return tuple(name for name in plan.vary if name != SAVE_DATA or format_ not in LOSSLESS)


def _ttl(plan: Plan) -> str:
    """What became of a lifetime that policy does not allow; empty where nothing did."""
    return f"{plan.ttl_s}; asked={plan.asked_ttl_s}" if plan.asked_ttl_s is not None else ""
