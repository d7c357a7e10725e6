"""What a hit costs, beside nginx and Go: ``python bench/hits.py [SECONDS] [--signed-urls N]``.

The same rendition of about 30 KB from three servers, by 32 connections that send six browser headers:

imagemill    this node, all on: signature, expiry, conditional headers, metrics, access log to a file; from L1
nginx        one worker, the body as a static file, access log on, sendfile and tcp_nopush as Debian sets them
nginx tuned  the same with open_file_cache and a buffered access log
Go Fiber     a bare handler that answers from memory: no log, no metrics (bench/fiber)

Three interleaved rounds. Figures: CPU (utime + stime) of each server's whole process tree by the requests it answered,
in microseconds; the load's own CPU is not counted. The load is `wrk`, for SECONDS (4) a server and round, over N (1)
signed URLs of one length. Thresholds: 1.5 times nginx, 1.1 times Fiber. Then where the microseconds go, each part alone.

Needs: wrk and nginx (apt-get install wrk nginx-light), and Go for Fiber; what is missing is named and left out.
"""

import contextlib
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from hits_parts import parts
from imagemill.model.signing import sign
from peers import cpu_s
from support.node import serving
from support.ports import free_port

ROUNDS, CONNECTIONS = 3, 32
KEY = "a key for a bench, thirty-two bytes or more"
LEAST_BYTES = 30_000
HEADERS = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "Accept": "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8",
    "Accept-Language": "en-GB,en;q=0.9,de;q=0.8",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Referer": "https://shop.example/garden/flowers?page=2",
}
"""The sixth is Host, which wrk adds."""
NGINX = """
worker_processes 1; daemon off; pid {folder}/{port}.pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log {folder}/{port}.access.log combined{buffered};
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    sendfile on; tcp_nopush on; keepalive_requests 1000000000;
    {cached} types {{ image/webp webp; }}
    server {{ listen 127.0.0.1:{port}; location = /image {{ alias {folder}/body.webp; }} }}
}}
"""
LUA = """
local targets = {}
for line in io.lines("%s") do targets[#targets + 1] = line end
local at = 0
request = function() at = at %% #targets + 1; return wrk.format("GET", targets[at]) end
"""


class Peer:
    """A server under load."""

    def __init__(self, name, pid, port, targets):
        self.name, self.pid, self.port, self.targets = name, pid, port, targets
        self.us: list[float] = []

    def round(self, folder, seconds):
        """One round of load; raise where not every answer was the picture."""
        listed = folder / f"{self.name}.targets"
        listed.write_text("\n".join(self.targets))
        script = folder / f"{self.name}.lua"
        script.write_text(LUA % listed if len(self.targets) > 1 else "")
        headers = [word for pair in HEADERS.items() for word in ("-H", ": ".join(pair))]
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}", "-s", str(script), *headers]
        before = cpu_s(self.pid)
        said = subprocess.run(
            [*command, f"http://127.0.0.1:{self.port}{self.targets[0]}"], capture_output=True, text=True, check=True
        ).stdout
        used_s = cpu_s(self.pid) - before
        requests, size, unit = re.search(r"(\d+) requests in [^,]+, ([\d.]+)([MG])B read", said).groups()
        assert "Non-2xx" not in said, said
        assert "Socket errors" not in said, said
        assert float(size) * 2 ** (30 if unit == "G" else 20) / int(requests) > 0.98 * LEAST_BYTES, said
        self.us.append(used_s / int(requests) * 1e6)


def get(port, target):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{target}", headers=HEADERS)
    with urllib.request.urlopen(request) as answer:
        return answer.read(), answer.headers


@contextlib.contextmanager
def mill(folder, count):
    """A node, and targets of which each is in L1; the body goes to ``body.webp`` for the others."""
    with serving(folder, signing={"mode": "required", "keys": {"bench": KEY}}) as node:
        width, body = 860, b""
        while len(body) < LEAST_BYTES:
            width += 4
            body, _ = get(node.port, signed(f"width={width}", 0))
        targets = [signed(f"width={width}", n) for n in range(count)]
        for target in targets:
            body, _ = get(node.port, target)
        assert get(node.port, targets[-1])[1]["X-Cache"] == "L1"
        (folder / "body.webp").write_bytes(body)
        yield Peer("imagemill", node.process.pid, node.port, targets)


def signed(options, number):
    """A target of its own for each *number*, all of one picture; they end in a day or later."""
    until = int(time.time()) // 86_400 * 86_400 + 2 * 86_400 + number
    query = f"source=local:sample/dandelion.jpg&{options}&format=webp&quality=80&expires={until}"
    return sign(f"/image?{query}".encode(), "bench", KEY.encode()).decode()


@contextlib.contextmanager
def started(name, command, port):
    process = subprocess.Popen(command)
    try:
        for _ in range(100):
            with contextlib.suppress(OSError):
                get(port, "/image")
                break
            time.sleep(0.1)
        yield Peer(name, process.pid, port, ["/image"])
    finally:
        process.terminate()
        process.wait(10)


def nginx(folder, *, tuned=False):
    port = free_port()
    buffered, cached = (" buffer=64k flush=1s", "open_file_cache max=100;") if tuned else ("", "")
    conf = folder / f"{port}.conf"
    conf.write_text(NGINX.format(folder=folder, port=port, buffered=buffered, cached=cached))
    folder.chmod(0o755)  # nginx's worker is nobody where this is root
    return started("nginx tuned" if tuned else "nginx", ["nginx", "-c", str(conf)], port)


def fiber(folder):
    port, binary = free_port(), folder / "fiber"
    subprocess.run(["go", "build", "-o", str(binary), "."], cwd=Path(__file__).parent / "fiber", check=True)
    return started("Go Fiber", [str(binary), str(port), str(folder / "body.webp")], port)


def main():
    numbers = [int(word) for word in sys.argv[1:] if word.isdigit()]
    seconds, count = (numbers[0] if numbers else 4), (numbers[1] if "--signed-urls" in sys.argv else 1)
    if not shutil.which("wrk"):
        sys.exit("wrk is missing: apt-get install wrk")
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        peers = [stack.enter_context(mill(folder, count))]
        for tool, start in (("nginx", nginx), ("nginx", partial(nginx, tuned=True)), ("go", fiber)):
            if shutil.which(tool):
                peers.append(stack.enter_context(start(folder)))
            else:
                print(f"{tool} is missing: left out")
        for _ in range(ROUNDS):
            for peer in peers:
                peer.round(folder, seconds)
        print(
            f"{(folder / 'body.webp').stat().st_size} bytes, {count} URLs, {CONNECTIONS} connections, load {os.getloadavg()[0]:.1f}"
        )
        for peer in peers:
            ratio = statistics.median(own / other for own, other in zip(peers[0].us, peer.us, strict=True))
            rounds = " ".join(f"{us:6.1f}" for us in peer.us)
            print(f"{peer.name:11} {statistics.median(peer.us):6.1f} us/hit ({rounds})   imagemill is {ratio:.2f} x")
    parts(HEADERS, KEY)


if __name__ == "__main__":
    main()
