"""One front process, or several on one port (server.reuse_port)? The same load on both, in turn.

    python bench/fronts.py [-n 2] [-r 3] [-t 5]

Hits: one rendition of about 40 KB that every front has in its L1, over 32 connections. Misses: scenario A of peers.toml,
each with a source of its own, over 8. CPU of whole process trees, workers included, by request: it holds on a busy machine;
requests a second do not, and share the cores with whoever asks. The nodes have as many workers together as the one has.
"""

import argparse
import asyncio
import multiprocessing
import os
import statistics
import threading
import time
import tomllib
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from urllib.parse import quote

import uvloop

import memory  # and with it, where `support` is
import peers
import pictures
from support.ports import free_port

HIT = "/image?source={}&width=512&height=512&format=jpeg&quality=80"
HEADERS = "host: bench\r\nuser-agent: bench\r\naccept: image/avif,image/webp,*/*\r\naccept-encoding: gzip\r\n"


class Client(asyncio.Protocol):
    """One connection that asks again as soon as it is answered."""

    def __init__(self, request, done, times, ended):
        self.request, self.done, self.times, self.ended = request, done, times, ended
        self.buffer, self.wanted = bytearray(), 0

    def connection_made(self, transport):
        self.transport = transport
        self.ask()

    def ask(self):
        self.begun = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data):
        self.buffer += data
        if not self.wanted and (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = bytes(self.buffer[:end]).lower()
            assert head.startswith(b"http/1.1 200"), head
            self.wanted = end + 4 + int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
        if self.wanted and len(self.buffer) >= self.wanted:
            self.times.append(time.perf_counter() - self.begun)
            self.buffer.clear()
            self.wanted = 0
            if self.begun < self.done:
                self.ask()
            else:
                self.transport.close()

    def connection_lost(self, exc):
        if self.begun < self.done:
            self.ended.set_exception(exc or ConnectionError("the connection was closed"))
        else:
            self.ended.set_result(None)


def load(port, target, connections, seconds):
    """Ask on *connections* for *seconds*, from a process of its own; how long each answer took."""

    async def run():
        loop, done, times = asyncio.get_running_loop(), time.perf_counter() + seconds, []
        request, ended = (
            f"GET {target} HTTP/1.1\r\n{HEADERS}\r\n".encode(),
            [loop.create_future() for _ in range(connections)],
        )
        for one in ended:
            await loop.create_connection(partial(Client, request, done, times, one), "127.0.0.1", port)
        await asyncio.gather(*ended)
        return times

    return uvloop.run(run())


class Fronts:
    """So many nodes on one port."""

    def __init__(self, count, source_port):
        cores = len(os.sched_getaffinity(0))
        self.port = free_port()
        own = {"SERVER__REUSE_PORT": "true", "ENGINE__WORKERS": str(max(1, cores // count))}  # fmt: skip
        self.peers = [memory.started(own, source_port, self.port) for _ in range(count)]
        self.count = count

    def cpu_s(self):
        return sum(peers.cpu_s(peer.process.pid) for peer in self.peers)

    def pss_mb(self):
        return sum(peers.pss_mb(peer.process.pid) for peer in self.peers)

    def hits(self, asking, target, seconds):
        before, begun = self.cpu_s(), time.perf_counter()
        times = [
            t for part in asking.map(load, *zip(*[(self.port, target, 16, seconds)] * 2, strict=True)) for t in part
        ]
        wall, used = time.perf_counter() - begun, self.cpu_s() - before
        times.sort()
        return {"cpu us": 1e6 * used / len(times), "a second": len(times) / wall,
                "p50 ms": 1e3 * times[len(times) // 2], "p99 ms": 1e3 * times[int(len(times) * 0.99)]}  # fmt: skip

    def misses(self, scenario, expected, seconds):
        peer, before = self.peers[0], self.cpu_s()
        found = peer.load(scenario, seconds, 8, expected)
        assert not found["bad"], found
        return {"cpu us": 1e6 * (self.cpu_s() - before) / found["n"], "a second": found["rps"],
                "p50 ms": found["p50_ms"], "p99 ms": found["p99_ms"]}  # fmt: skip

    def stop(self):
        for peer in self.peers:
            peer.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", "--fronts", type=int, default=2)
    parser.add_argument("-r", "--rounds", type=int, default=3)
    parser.add_argument("-t", "--seconds", type=float, default=5)
    arguments = parser.parse_args()
    scenario = tomllib.loads((peers.HERE / "peers.toml").read_text())["scenario"]["A"] | {"id": "A"}
    pictures.make(peers.WORK / "pictures")
    peers.Source.files = {p.name: p.read_bytes() for p in (peers.WORK / "pictures").iterdir()}
    peers.SOURCE_PORT = free_port()
    source = peers.SourceServer(("127.0.0.1", peers.SOURCE_PORT), peers.Source)
    threading.Thread(target=source.serve_forever, daemon=True).start()
    target = HIT.format(quote(f"http://127.0.0.1:{peers.SOURCE_PORT}/u/hit/12mp.jpg", safe=""))
    kinds = [Fronts(count, peers.SOURCE_PORT) for count in (1, arguments.fronts)]
    results = {}
    try:
        with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as asking:
            for fronts in kinds:
                results[fronts.count, "start"] = fronts.pss_mb()
                fronts.hits(asking, target, 1)  # 32 connections: no front is left without what all of them ask for
                body = fronts.peers[0].fetch(fronts.peers[0].connect(), fronts.peers[0].path(scenario))[1]
            for n in range(arguments.rounds):
                for fronts in kinds[n % 2 :] + kinds[: n % 2]:
                    for what, found in (("hit", fronts.hits(asking, target, arguments.seconds)),
                                        ("miss", fronts.misses(scenario, len(body), arguments.seconds))):  # fmt: skip
                        results.setdefault((what, fronts.count), []).append(found)
                        print(f"round {n} {fronts.count} {what}:", ", ".join(f"{k} {v:.1f}" for k, v in found.items()),
                              flush=True)  # fmt: skip
    finally:
        for fronts in kinds:
            fronts.stop()
    print(
        "\n| | fronts | CPU µs a request | requests a second | p50 ms | p99 ms | MB at the start |\n|---|---|---|---|---|---|---|"
    )
    for what in ("hit", "miss"):
        for fronts in kinds:
            cells = []
            for field in ("cpu us", "a second", "p50 ms", "p99 ms"):
                values = [found[field] for found in results[what, fronts.count]]
                cells.append(f"{statistics.median(values):.3g} ({min(values):.3g}–{max(values):.3g})")
            print(f"| {what} | {fronts.count} | {' | '.join(cells)} | {results[fronts.count, 'start']:.0f} |")


if __name__ == "__main__":
    main()
