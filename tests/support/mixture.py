"""Requests of every kind that a node meets: good, bad, missing, oversized, conditional, slow, and given up."""

import asyncio
import contextlib
import json
import random
import struct
from collections import Counter
from collections.abc import Awaitable, Callable
from io import BytesIO
from socket import SO_LINGER, SOL_SOCKET
from urllib.parse import quote

from PIL import Image

from support.node import Answer, SourceServer, fetch
from unit.engines import hostile

SOURCE_BYTES = 1024 * 1024
"""The limit that the node is to have."""
_FORMATS = ("jpeg", "png", "webp", "avif", "gif")
_HOT = 40
_FAULTS = {500, 0}
"""That no answer may have: an error that nobody foresaw, or none at all."""


class Sources(dict[str, bytes]):
    """A body for any path, by its first word: so there are as many sources as anybody asks for."""

    def get(self, path: str, _default: bytes | None = None) -> bytes | None:
        return super().get(path.strip("/").partition("/")[0])


def pictures() -> dict[str, bytes]:
    """Good ones of five formats and several sizes, and an animation."""
    made = {}
    for kind in ("JPEG", "PNG", "WEBP", "AVIF", "GIF"):
        for n, size in enumerate(((40, 30), (200, 150), (640, 480))):
            made[f"good-{kind}-{n}"] = hostile.encoded(kind, size)
    out = BytesIO()
    frames = [Image.linear_gradient("L").resize((64, 48)).rotate(n * 30) for n in range(8)]
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    return made | {"good-animated": out.getvalue(), "good-cmyk": _cmyk()}


def _cmyk() -> bytes:
    out = BytesIO()
    Image.linear_gradient("L").resize((80, 60)).convert("CMYK").save(out, "JPEG")
    return out.getvalue()


def bad_pictures(good: dict[str, bytes]) -> dict[str, bytes]:
    """Truncated, damaged, lying and enormous ones, and such as are none."""
    draw = random.Random(11)
    made = {
        "empty": b"", "text": b"<html>no picture</html>", "huge-png": hostile.png(60_000, 60_000),
        "huge-jpeg": hostile.jpeg(65_000, 65_000), "scans": hostile.many_scans(200), "huge-gif": hostile.gif(30_000, 30_000),
        "frames": hostile.gif(8, 8, frames=400), "webp": hostile.animated_webp((16_000, 16_000), 20),
        "boxes": hostile.nested_avif(500), "grid": hostile.grid_avif(10_000), "no-idat": hostile.PNG + hostile.ihdr(8, 8),
        "comments": hostile.gif_comments(100_000), "avif": hostile.avif(50_000, 50_000),
    }  # fmt: skip
    for name, body in good.items():
        made[f"cut-{name}"] = body[: len(body) // 2]
        damaged = bytearray(body)
        for _ in range(20):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        made[f"damaged-{name}"] = bytes(damaged)
    return {f"bad-{name}": body for name, body in made.items()}


class Mixture:
    """What clients do, drawn by weight; counts what they did and how it was answered."""

    def __init__(self, port: int, source: SourceServer, seed: int) -> None:
        self.port = port
        self.source = source
        self.draw = random.Random(seed)
        good = pictures()
        bad = bad_pictures(good)
        source.bodies = Sources(good | bad | {"oversized": good["good-JPEG-0"] + bytes(SOURCE_BYTES)})
        self._good, self._bad = sorted(good), sorted(bad)
        self._serial = 0
        self._etags: dict[str, str] = {}
        self.done: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._acts: dict[Callable[[], Awaitable[None]], int] = {
            self.hit: 300, self.miss: 200, self.conditional: 120, self.bad_picture: 90, self.missing: 60,
            self.oversized: 15, self.bad_option: 60, self.no_route: 20, self.malformed: 30, self.long_target: 10,
            self.pipelined: 20, self.head: 20, self.leave: 30, self.half_a_head: 15, self.leave_heavy: 1,
            self.slow_head: 8, self.slow_reader: 8, self.job: 10, self.cancelled_job: 6,
        }  # fmt: skip

    async def one(self) -> None:
        """Do one thing."""
        (act,) = self.draw.choices(list(self._acts), list(self._acts.values()))
        self.done[act.__name__] += 1
        try:
            await act()
        except (OSError, IndexError, ValueError, asyncio.IncompleteReadError) as e:
            self.wrong.append(f"{act.__name__}: {e!r}")

    def kinds(self) -> set[str]:
        """All that may be done."""
        return {act.__name__ for act in self._acts}

    # targets

    def _target(self, body: str, more: str = "") -> str:
        return f"/image?source={quote(self.source.url(f'/{body}'), safe='')}{more}"

    def _fresh(self) -> str:
        """What nobody has asked for before."""
        self._serial += 1
        n, kind = self._serial, self.draw.choice(self._good)
        quality = "" if kind == "good-animated" else f"&quality={60 + n % 30}"
        format_ = "webp" if kind == "good-animated" else self.draw.choice(("jpeg", "webp", "png", "avif"))
        return self._target(f"{kind}/{n}", f"&width={16 + n % 97}&format={format_}{quality}")

    def _hot(self) -> str:
        n = int(_HOT * self.draw.random() ** 2)
        return self._target(f"{self._good[n % len(self._good)]}/hot", f"&width={20 + n}&format=webp")

    async def _ask(self, target: str, headers: str = "", *, expected: set[int]) -> Answer:
        answer = await fetch(self.port, target, headers)
        self.answered[str(answer.status)] += 1
        if answer.status not in expected | {503} or answer.status in _FAULTS:
            self.wrong.append(f"{answer.status} for {target[:120]}: {answer.body[:200]!r}")
        return answer

    # good ones

    async def hit(self) -> None:
        await self._ask(self._hot(), expected={200})

    async def miss(self) -> None:
        await self._ask(self._fresh(), expected={200})

    async def head(self) -> None:
        await self._raw(
            f"HEAD {self._hot()} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode(), {b"200", b"503"}
        )

    async def conditional(self) -> None:
        target = self._hot()
        if etag := self._etags.get(target):
            await self._ask(target, f"if-none-match: {etag}\r\n", expected={304, 200})
        else:
            answer = await self._ask(target, expected={200})
            if answer.status == 200:
                self._etags[target] = answer.headers["etag"]

    async def pipelined(self) -> None:
        requests = [f"GET {self._hot()} HTTP/1.1\r\nhost: x\r\n" for _ in range(4)]
        text = "\r\n".join(requests) + "connection: close\r\n\r\n"
        await self._raw(text.encode(), {b"200", b"503"})

    # bad ones

    async def bad_picture(self) -> None:
        self._serial += 1
        target = self._target(f"{self.draw.choice(self._bad)}/{self._serial % 500}", "&width=30&format=webp")
        await self._ask(target, expected={200, 413, 415, 422, 502})

    async def missing(self) -> None:
        self._serial += 1
        await self._ask(self._target(f"nothing/{self._serial}"), expected={404})

    async def oversized(self) -> None:
        self._serial += 1
        await self._ask(self._target(f"oversized/{self._serial}"), expected={413})

    async def bad_option(self) -> None:
        self._serial += 1
        more = self.draw.choice(("&width=0", "&widht=5", "&format=exe", "&width=5&width=6", f"&blur={self._serial}9"))
        await self._ask(self._target(f"good-PNG-0/{self._serial}", more), expected={400, 422})

    async def no_route(self) -> None:
        self._serial += 1
        await self._ask(f"/nowhere/{self._serial}", expected={404})

    async def malformed(self) -> None:
        await self._raw(
            self.draw.choice((b"\x16\x03\x01\x02", b"GET / HTTP/9.9\r\n\r\n", b"nonsense\r\n\r\n")), {b"400"}
        )

    async def long_target(self) -> None:
        await self._ask(self._target("good-PNG-0/" + "a" * 9_000), expected={414})

    # those who leave, and those who are slow

    async def leave(self) -> None:
        await self._leave(self._fresh(), self.draw.random() * 0.03)

    async def leave_heavy(self) -> None:
        """What takes its worker longer than anybody waits for it to end by itself."""
        await self._leave(self._target(f"good-PNG-2/{self.draw.random()}", "&width=4000&enlarge=1&format=avif"), 0.2)

    async def _leave(self, target: str, after_s: float) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(f"GET {target} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        await asyncio.sleep(after_s)
        how = self.draw.randrange(3)
        if how == 0:
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, linger)
        elif how == 1:
            writer.write_eof()
            await asyncio.sleep(0.01)
        writer.transport.abort()

    async def half_a_head(self) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(f"GET {self._fresh()} HTT".encode())
        await writer.drain()
        writer.transport.abort()

    async def slow_head(self) -> None:
        pieces = [f"GET {self._hot()} HTTP/1.1\r\nhost", ": x\r\nconnec", "tion: close\r\n\r", "\n"]
        await self._raw(*(piece.encode() for piece in pieces), expected={b"200", b"503"})

    async def slow_reader(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=256)
        writer.write(f"GET {self._hot()} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
        for _ in range(3):
            await reader.read(100)
            await asyncio.sleep(0.05)
        writer.transport.abort()

    async def _raw(self, *pieces: bytes, expected: set[bytes] | None = None) -> None:
        """Send *pieces*, the last of which may be the statuses expected, and read to the end."""
        *sent, last = (*pieces, expected) if expected is not None else pieces
        assert isinstance(last, set)
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            for n, piece in enumerate(sent):
                if n:
                    await asyncio.sleep(0.03)
                writer.write(piece)
            answer = await reader.read(-1)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        status = answer[9:12]
        self.answered[status.decode()] += 1
        if status not in last:
            self.wrong.append(f"{answer[:100]!r} for {sent[0][:60]!r}")

    # jobs

    async def job(self) -> str | None:
        """Two renditions, of which one may be of a bad source."""
        self._serial += 1
        kind = self.draw.choice(self._good if self._serial % 3 else self._bad)
        order = {
            "source": self.source.url(f"/{kind}/job-{self._serial}"),
            "renditions": [{"name": n, "params": f"width={w}&format=webp"} for n, w in (("a", 20), ("b", 30))],
            "destination": {"store": "out"},
            "retries": 0,
        }
        body = json.dumps(order).encode()
        head = f"POST /jobs HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(head.encode() + body)
            answer = await reader.read(-1)
        finally:
            writer.close()
        self.answered[answer[9:12].decode()] += 1
        if not answer.startswith(b"HTTP/1.1 202"):
            self.wrong.append(f"a job: {answer[:300]!r}")
            return None
        return str(json.loads(answer.partition(b"\r\n\r\n")[2])["id"])

    async def cancelled_job(self) -> None:
        if job := await self.job():
            request = f"DELETE /jobs/{job} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n".encode()
            await self._raw(request, {b"200", b"202", b"204", b"409"})
