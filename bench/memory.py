"""How much memory imagemill takes: at its start, under the load of peers.py, and a minute after it.

    python bench/memory.py                       default settings; three rounds of A to H, as peers.py has them
    python bench/memory.py -r 1 -t 2 -w 60 JSON  shorter; and JSON = settings by variable, e.g. '{"CACHE__POLICY": "lru"}'

PSS of the process tree, in MB: what is shared between processes is counted once. The three demands: at most 400 at the
peak; within 20 % of the start a minute after the load; no wrong reply. Ports are any free ones.
"""

import argparse
import json
import os
import statistics
import sys
import threading
import time
import tomllib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import peers
import pictures
from support.ports import free_port

KINDS = ("Pss", "Pss_Anon", "Pss_File", "Pss_Shmem")
MOST_MB, MORE = 400, 1.2


def role(pid: int) -> str:
    words = Path(f"/proc/{pid}/cmdline").read_bytes()
    return "worker" if b"engines.worker" in words else "jobs" if b"--supervised" in words else "front"


def taken_mb(pid: int) -> dict[str, dict[str, float]]:
    """By role, and in all: each kind of PSS."""
    found: dict[str, dict[str, float]] = {}
    for one in peers.tree(pid):
        try:
            name, lines = role(one), Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        sizes = {key: int(rest.split()[0]) / 1024 for key, _, rest in (line.partition(":") for line in lines[1:])}
        for whose in (name, "all"):
            sums = found.setdefault(whose, dict.fromkeys(KINDS, 0.0))
            for kind in KINDS:
                sums[kind] += sizes.get(kind, 0.0)
    return found


def shown(name: str, taken: dict[str, dict[str, float]]) -> str:
    whole = taken["all"]
    kinds = ", ".join(f"{kind.removeprefix('Pss_').lower()} {whole[kind]:.0f}" for kind in KINDS[1:])
    roles = ", ".join(f"{role} {taken[role]['Pss']:.0f}" for role in ("front", "jobs", "worker") if role in taken)
    return f"{name:12} {whole['Pss']:6.0f} MB  ({roles}; {kinds})"


class Watch(threading.Thread):
    """Looks every fifth of a second, and remembers the most."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.ended = pid, threading.Event()
        self.most: dict[str, dict[str, float]] = {"all": dict.fromkeys(KINDS, 0.0)}

    def run(self) -> None:
        while not self.ended.wait(0.2):
            now = taken_mb(self.pid)
            if "all" in now and now["all"]["Pss"] > self.most["all"]["Pss"]:
                self.most = now


def started(settings: dict[str, str], source_port: int, port: int = 0) -> peers.Peer:
    spec = tomllib.loads((peers.HERE / "peers.toml").read_text())["peer"]["imagemill"]
    port, admin_port = port or free_port(), free_port()
    own = {
        "SERVER__PORT": str(port), "SERVER__ADMIN_PORT": str(admin_port), "SOURCES__PORTS": f"[{source_port}]",
        "SOURCES__ALLOW_NETWORKS": '["127.0.0.0/8"]', "LOG__FORMAT": "json",
    }  # fmt: skip
    spec |= {"port": port, "env": {f"IMAGEMILL_{name}": value for name, value in (own | settings).items()}}
    peer = peers.Peer("imagemill", spec)
    peer.start()
    return peer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("settings", nargs="?", type=json.loads, default={})
    parser.add_argument("-s", "--scenarios", default="A,B,C,D,E,F,G,H")
    parser.add_argument("-r", "--rounds", type=int, default=3)
    parser.add_argument("-t", "--seconds", type=float, default=3)
    parser.add_argument("-c", "--connections", type=int, default=8)
    parser.add_argument("-w", "--wait", type=float, default=60, help="seconds after the load")
    arguments = parser.parse_args()
    config = tomllib.loads((peers.HERE / "peers.toml").read_text())
    pictures.make(peers.WORK / "pictures")
    peers.Source.files = {p.name: p.read_bytes() for p in (peers.WORK / "pictures").iterdir()}
    peers.SOURCE_PORT = free_port()
    source = peers.SourceServer(("127.0.0.1", peers.SOURCE_PORT), peers.Source)
    threading.Thread(target=source.serve_forever, daemon=True).start()
    peer = started(arguments.settings, peers.SOURCE_PORT)
    try:
        time.sleep(2)
        before = taken_mb(peer.process.pid)
        print(shown("at the start", before), flush=True)
        watch = Watch(peer.process.pid)
        watch.start()
        scenarios = [dict(config["scenario"][k], id=k) for k in arguments.scenarios.split(",")]
        results = peers.measure([peer], scenarios, arguments.rounds, arguments.seconds, arguments.connections)
        watch.ended.set()
        watch.join()
        print(shown("at the end", taken_mb(peer.process.pid)), flush=True)
        time.sleep(arguments.wait)
        after = taken_mb(peer.process.pid)
    finally:
        peer.stop()
    runs = [run for of_one in results.values() for run in of_one]
    cpu = {s: statistics.median(run["cpu_ms"] for run in of_one) for (_, s), of_one in results.items()}
    bad, most, grown = sum(r["bad"] for r in runs), watch.most["all"]["Pss"], after["all"]["Pss"] / before["all"]["Pss"]
    print("CPU ms a request, medians:", ", ".join(f"{s} {ms:.1f}" for s, ms in cpu.items()))
    print(shown("at the start", before), shown("at the peak", watch.most),
          shown(f"{arguments.wait:g} s after", after), sep="\n")  # fmt: skip
    print(f"peak {most:.0f} of {MOST_MB} MB; {arguments.wait:g} s after {grown:.2f} × the start, of {MORE}; "
          f"{sum(r['n'] for r in runs)} requests, {bad} of them wrong")  # fmt: skip
    sys.exit(most > MOST_MB or grown > MORE or bad > 0)


if __name__ == "__main__":
    os.environ.setdefault("BENCH_WORK", str(peers.WORK))
    main()
