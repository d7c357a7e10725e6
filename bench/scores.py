"""How good and how large are the answers? Bytes and scores of every peer on the scenarios of peers.toml.

    python bench/scores.py                                      imagemill and sharp
    python bench/scores.py -p imagemill_fast,imagemill,sharp -s B,C

Each answer is scored against what Pillow's Lanczos filter makes of the source: SSIMULACRA2 (100 = the same; below it, the
difference from the last peer named), and SSIM of the lightness to check it against. Of animations every eighth frame.
"""

import argparse
import threading
import tomllib
from pathlib import Path

import peers
from judge import Judge


def answers(names: list[str], scenarios: list[dict], config: dict, folder: Path) -> dict:
    """Peer and scenario to the file of its answer."""
    made = {}
    for name in names:
        peer = peers.Peer(name, peers.spec_of(name, config))
        peer.install()
        peer.start()
        try:
            for s in scenarios:
                status, body = peer.fetch(peer.connect(), peer.path(s))
                if status == 200 and not peers.wrong(body, s):
                    made[name, s["id"]] = folder / f"{name}-{s['id']}.{s['fmt']}"
                    made[name, s["id"]].write_bytes(body)
        finally:
            peer.stop()
    return made


def table(names: list[str], scenarios: list[dict], made: dict, judge: Judge) -> str:
    lines = ["| | work | " + " | ".join(f"{n}: bytes | SSIMULACRA2 | SSIM" for n in names) + " |"]
    lines.append("|---" * (2 + 3 * len(names)) + "|")
    for s in scenarios:
        source = peers.WORK / "pictures" / s["src"]
        found = {
            n: judge.ask(source, made[n, s["id"]], cover=bool(s.get("crop"))) for n in names if (n, s["id"]) in made
        }
        base = found.get(names[-1])
        cells = []
        for n in names:
            if n not in found:
                cells.append("– | – | –")
                continue
            score = f"{found[n]['ssimulacra2']:.2f}"
            if base and n != names[-1]:
                score += f" ({found[n]['ssimulacra2'] - base['ssimulacra2']:+.2f})"
            cells.append(f"{made[n, s['id']].stat().st_size:,} | {score} | {found[n]['ssim']:.4f}")
        lines.append(f"| {s['id']} | {s['what']} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-p", "--peers", default="imagemill,sharp")
    parser.add_argument("-s", "--scenarios", default="A,B,C,D,E,F,G,H")
    arguments = parser.parse_args()
    config = tomllib.loads((peers.HERE / "peers.toml").read_text())
    source = peers.prepared()
    threading.Thread(target=source.serve_forever, daemon=True).start()
    folder = peers.WORK / "answers"
    folder.mkdir(exist_ok=True)
    names = arguments.peers.split(",")
    scenarios = [dict(config["scenario"][k], id=k) for k in arguments.scenarios.split(",")]
    made = answers(names, scenarios, config, folder)
    judge = Judge(peers.WORK)
    print("\n" + table(names, scenarios, made, judge))
    judge.close()


if __name__ == "__main__":
    main()
