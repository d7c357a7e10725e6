"""Kill a process of the product at a named step, once; see `crashing/sitecustomize.py` for how."""

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

_HOOK = Path(__file__).with_name("crashing")
_PATIENCE_S = 30.0


class Points:
    """The steps of the processes that are started with `env`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder

    def env(self, breaks: str = "") -> dict[str, str]:
        """What such a process is started with; *breaks* are promises that it does not keep."""
        return {"PYTHONPATH": str(_HOOK), "CRASH_FOLDER": str(self._folder), "CRASH_BREAKS": breaks}

    def begin(self) -> None:
        """Forget what was."""
        for path in self._folder.iterdir():
            path.unlink()

    def arm(self, step: str, victim: str) -> None:
        """Kill *victim* when anybody comes to *step* next."""
        unready = self._folder / f"{step}.unready"
        unready.write_text(victim)
        unready.rename(self._folder / step)

    def wait_for(self, step: str) -> None:
        """Until it has struck."""
        until = time.monotonic() + _PATIENCE_S
        while not (self._folder / f"{step}.struck").exists():
            assert time.monotonic() < until, f"nobody came to {step}: {dict(self.passed())}"
            time.sleep(0.01)

    def looked(self) -> None:
        """Let others go on, now that what the kill has left was seen."""
        (self._folder / "looked").touch()

    def passed(self) -> Counter[str]:
        """How often each step was come to; steps of a store also by the last part of the key."""
        return Counter(name for line in self._lines() for name in self._names(line))

    def _lines(self) -> list[dict[str, Any]]:
        trace = self._folder / "trace"
        return [json.loads(line) for line in trace.read_text().splitlines()] if trace.exists() else []

    @staticmethod
    def _names(line: dict[str, Any]) -> list[str]:
        about = line["about"].rpartition("/")[2]
        return [line["step"], *([f"{line['step']} {about}"] if about else [])]
