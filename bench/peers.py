"""Measure imagemill beside other image servers: the same work, in turn, on loopback.

    make bench                                             what can be installed is measured
    python bench/peers.py -p imagemill,sharp -s A,D -r 3   some peers, some scenarios, three rounds
    python bench/peers.py -p imagemill_fast,imagemill,imagemill_small,sharp    the three speeds

Quote the CPU a request, of the peer's whole process tree: it holds on a busy machine. Requests a second and latencies
do not. Every request names its source anew, so that no peer answers two with one run. Every reply is checked.
"""

import argparse
import http.client
import io
import itertools
import json
import math
import os
import shlex
import signal
import socketserver
import statistics
import subprocess
import sys
import threading
import time
import tomllib
from pathlib import Path
from urllib.parse import quote

from PIL import Image

import pictures

HERE = Path(__file__).parent
WORK = Path(os.environ.get("BENCH_WORK", HERE / ".work"))
TICK = os.sysconf("SC_CLK_TCK")
SERIAL = itertools.count()
SOURCE_PORT = 21000


class Source(socketserver.StreamRequestHandler):
    """Serves the pictures from memory: /u/<n>/<name>."""

    disable_nagle_algorithm = True
    files: dict[str, bytes] = {}

    def handle(self) -> None:
        while line := self.rfile.readline():
            while self.rfile.readline() not in {b"\r\n", b""}:
                pass
            name = line.split()[1].decode().rsplit("/", 1)[-1]
            body = self.files.get(name, b"")
            status = "200 OK" if body else "404 Not Found"
            kind = name.rsplit(".", 1)[-1].replace("jpg", "jpeg")
            head = f"HTTP/1.1 {status}\r\ncontent-type: image/{kind}\r\ncontent-length: {len(body)}\r\n\r\n"
            self.wfile.write(head.encode() + body)


class SourceServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    request_queue_size = 128


def tree(pid: int) -> list[int]:
    found, todo = [], [pid]
    while todo:
        found.append(todo.pop())
        for children in Path(f"/proc/{found[-1]}/task").glob("*/children"):
            try:
                todo += map(int, children.read_text().split())
            except OSError:
                pass
    return found


def cpu_s(pid: int) -> float:
    total = 0
    for p in tree(pid):
        try:
            fields = Path(f"/proc/{p}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(map(int, fields[11:15]))  # own, and that of children that ended
    return total / TICK


def pss_mb(pid: int) -> float:
    total = 0
    for p in tree(pid):
        try:
            lines = Path(f"/proc/{p}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


class Peer:
    def __init__(self, name: str, spec: dict) -> None:
        self.name, self.spec, self.port = name, spec, spec["port"]

    def _fill(self, text: str) -> str:
        return text.replace("{work}", str(WORK)).replace("{python}", sys.executable)

    def install(self) -> None:
        mark = WORK / f"installed-{self.name}"
        if mark.exists():
            return
        for key in ("install", "install_then"):
            if key in self.spec:
                subprocess.run([self._fill(a) for a in self.spec[key]], check=True, stdout=subprocess.DEVNULL)
        mark.touch()

    def start(self) -> None:
        log = (WORK / f"{self.name}.log").open("wb")
        clean = {k: v for k, v in os.environ.items() if not k.startswith("IMAGEMILL_")}
        self.process = subprocess.Popen(
            shlex.split(self._fill(self.spec["start"])), stdout=log, stderr=log, cwd=WORK, start_new_session=True,
            env=clean | self.spec.get("env", {}),
        )  # fmt: skip
        for _ in range(200):
            try:
                self.fetch(self.connect(5), self.spec["health"])
                return
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.1)
        raise SystemExit(f"{self.name} does not answer: see {log.name}")

    def stop(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)  # a session of its own: only what was started here
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)

    def connect(self, timeout_s: float = 120) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)

    def fetch(self, connection: http.client.HTTPConnection, path: str) -> tuple[int, bytes]:
        connection.request("GET", path)
        reply = connection.getresponse()
        return reply.status, reply.read()

    def does(self, s: dict) -> bool:
        """Whether it is known how to ask this peer for a scenario that goes beyond size, format and quality."""
        return not s.get("own") or f"url_{s['id']}" in self.spec

    def path(self, s: dict) -> str:
        kind = "url_crop" if s.get("crop") else "url_anim" if s.get("anim") and "url_anim" in self.spec else "url"
        template = self.spec.get(f"url_{s['id']}") or self.spec[kind]
        plain = f"http://127.0.0.1:{SOURCE_PORT}/u/{next(SERIAL)}/{s['src']}"
        mark = quote(f"http://127.0.0.1:{SOURCE_PORT}/mark.png", safe="")
        values = {k: s[k] for k in ("w", "h", "q", "fmt")}
        return template.format(**values, src=quote(plain, safe=""), src_plain=plain, mark=mark)

    def load(self, s: dict, seconds: float, connections: int, expected: int) -> dict:
        latencies, bad, peak = [], [], [0.0]
        lock, begun = threading.Lock(), time.perf_counter()

        def work() -> None:
            connection = self.connect()
            while time.perf_counter() - begun < seconds:
                t = time.perf_counter()
                try:
                    status, body = self.fetch(connection, self.path(s))
                except (OSError, http.client.HTTPException) as e:
                    status, body, connection = repr(e), b"", self.connect()
                with lock:
                    latencies.append(time.perf_counter() - t)
                    if status != 200 or abs(len(body) - expected) > 0.02 * expected:
                        bad.append((status, len(body)))

        cpu = cpu_s(self.process.pid)
        threads = [threading.Thread(target=work) for _ in range(connections)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            peak[0] = max(peak[0], pss_mb(self.process.pid))
            time.sleep(0.3)
        wall, used, n = time.perf_counter() - begun, cpu_s(self.process.pid) - cpu, len(latencies)
        latencies.sort()
        return {"n": n, "bad": len(bad), "example": bad[:1], "rps": n / wall, "cpu_ms": 1e3 * used / n, "pss_mb": peak[0],
                "p50_ms": 1e3 * latencies[n // 2], "p99_ms": 1e3 * latencies[min(n - 1, int(n * 0.99))]}  # fmt: skip


def wrong(body: bytes, s: dict) -> str:
    """Empty if *body* is the picture that was asked for."""
    try:
        picture = Image.open(io.BytesIO(body))
    except Exception as e:
        return f"undecodable: {e!r:.80}"
    frames = getattr(picture, "n_frames", 1)
    close = all(abs(a - b) <= 1 for a, b in zip(picture.size, s["expect"], strict=True))
    if picture.format.lower() == s["fmt"] and close and (frames > 1) == bool(s.get("anim")):
        return ""
    return f"{picture.format} {picture.size} frames={frames}"


def measure(peers: list[Peer], scenarios: list[dict], rounds: int, seconds: float, connections: int) -> dict:
    sizes, results = {}, {}
    for s, peer in itertools.product(scenarios, peers):
        if not peer.does(s):
            continue
        status, body = peer.fetch(peer.connect(), peer.path(s))
        fault = f"status {status}" if status != 200 else wrong(body, s)
        if fault:
            print(f"{peer.name} does not do {s['id']}: {fault}", flush=True)
        else:
            sizes[peer.name, s["id"]] = len(body)
    for r, s in itertools.product(range(rounds), scenarios):
        for peer in peers[r % len(peers) :] + peers[: r % len(peers)]:
            expected = sizes.get((peer.name, s["id"]))
            if expected:
                peer.load(s, min(0.7, seconds / 4), 2, expected)
                result = peer.load(s, seconds, connections, expected) | {"bytes": expected}
                results.setdefault((peer.name, s["id"]), []).append(result)
                print(f"round {r} {s['id']} {peer.name:10} {result['cpu_ms']:8.1f} ms, bad {result['bad']}", flush=True)
    return results


def report(results: dict, peers: list[Peer], scenarios: list[dict], base: str) -> str:
    def median(peer: str, s: str, field: str) -> float:
        return statistics.median(r[field] for r in results[peer, s])

    ours = [p.name for p in peers if p.name.startswith("imagemill")]
    lines = ["| | work | " + " | ".join([p.name for p in peers] + [f"{name} ÷ {base}" for name in ours]) + " |"]
    lines.append("|---" * (len(peers) + len(ours) + 2) + "|")
    ratios: dict[str, list[float]] = {name: [] for name in ours}
    for s in scenarios:
        cells = []
        for peer in peers:
            runs = results.get((peer.name, s["id"]))
            if not runs:
                cells.append("–")
                continue
            cpu = [r["cpu_ms"] for r in runs]
            cells.append(f"{statistics.median(cpu):.1f} ({min(cpu):.1f}–{max(cpu):.1f}) ms, {runs[0]['bytes']:,} B")
        for name in ours:
            both = (name, s["id"]) in results and (base, s["id"]) in results
            ratio = median(name, s["id"], "cpu_ms") / median(base, s["id"], "cpu_ms") if both else 0.0
            ratios[name] += [ratio] if ratio and not s.get("own") else []
            cells.append(f"{ratio:.2f}" if ratio else "–")
        lines.append(f"| {s['id']} | {s['what']} | {' | '.join(cells)} |")
    for name, found in ratios.items():
        if found:
            lines.append(
                f"\nGeometric mean of {name} ÷ {base}, A to H: {math.exp(statistics.fmean(map(math.log, found))):.2f}"
            )
    for peer in peers:
        pss = [r["pss_mb"] for (name, _), runs in results.items() for r in runs if name == peer.name]
        bad = sum(r["bad"] for (name, _), runs in results.items() for r in runs if name == peer.name)
        if pss:
            lines.append(f"Peak memory of {peer.name} (PSS of its process tree): {max(pss):.0f} MB; bad replies: {bad}")
    return "\n".join(lines)


def spec_of(name: str, config: dict) -> dict:
    """What peers.toml says of a peer; ``like`` another: all that it does not say itself."""
    own = config["peer"][name]
    if "like" not in own:
        return own
    base = config["peer"][own["like"]]
    return base | own | {"env": base["env"] | own["env"]}


def prepared() -> SourceServer:
    """The server of the pictures, which are made where they are missing; and what peers read at their start."""
    pictures.make(WORK / "pictures")
    for name in ("sharp.mjs", "thumbor.conf"):
        (WORK / name).write_text((HERE / name).read_text().replace("@WORK@", str(WORK)))
    Source.files = {p.name: p.read_bytes() for p in (WORK / "pictures").iterdir()}
    return SourceServer(("127.0.0.1", SOURCE_PORT), Source)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-p", "--peers", default="imagemill,sharp,thumbor,ipx")
    parser.add_argument("-s", "--scenarios", default="A,B,C,D,E,F,G,H,I,J,K,L")
    parser.add_argument("-r", "--rounds", type=int, default=3)
    parser.add_argument("-t", "--seconds", type=float, default=3)
    parser.add_argument("-c", "--connections", type=int, default=8)
    parser.add_argument("-o", "--output", type=Path, default=WORK / "results.json")
    arguments = parser.parse_args()
    config = tomllib.loads((HERE / "peers.toml").read_text())
    source = prepared()
    threading.Thread(target=source.serve_forever, daemon=True).start()
    scenarios = [dict(config["scenario"][k], id=k) for k in arguments.scenarios.split(",")]
    peers = []
    try:
        for name in arguments.peers.split(","):
            peer = Peer(name, spec_of(name, config))
            try:
                peer.install()
            except (OSError, subprocess.CalledProcessError) as e:
                print(f"{name} cannot be installed here: {e}", flush=True)
                continue
            peer.start()
            peers.append(peer)
        results = measure(peers, scenarios, arguments.rounds, arguments.seconds, arguments.connections)
    finally:
        for peer in peers:
            peer.stop()
    arguments.output.write_text(json.dumps({"/".join(k): v for k, v in results.items()}, indent=1))
    print("\n" + report(results, peers, scenarios, "sharp"))


if __name__ == "__main__":
    main()
