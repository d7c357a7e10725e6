"""Run ``imagemill`` with a leak planted: the front keeps a kilobyte of every request."""

import sys

from imagemill import cli, wiring

_kept: list[bytes] = []
_finished = wiring.Service._finished


def _leaking(*words: object) -> None:
    _kept.append(bytes(1024))
    _finished(*words)


wiring.Service._finished = _leaking

if __name__ == "__main__":
    sys.exit(cli.main())
