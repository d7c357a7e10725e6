"""Run by `test_late_imports`: what a worker does with each file of a folder, once nothing can be imported any more.

Prints   a line for each that fails: what was asked for, the file, the error.
"""

import sys
from pathlib import Path

from imagemill.dialects.native import Native
from imagemill.engines import worker
from imagemill.engines.base import Task
from imagemill.engines.headers import probe
from imagemill.engines.vips import Vips
from imagemill.plan.prepare import prepare
from imagemill.settings import Engine, Limits

TOLD = "metadata=1&palette=4&blurhash=1&thumbhash=1&phash=1&placeholder=1"
ASKED = ["format=png&width=30", "format=png&metadata=all&trim=5&text=a", "format=tiff&colorspace=p3&metadata=all", "format=webp",
         "format=avif&width=30", "format=gif", "format=apng", "format=jpeg&max_bytes=3000&crop=20,20&gravity=attention"]  # fmt: skip


class Nothing:
    """What finds no module, and says so."""

    def find_spec(self, name, _path=None, _target=None):
        raise ModuleNotFoundError(f"{name} is imported late")


def main(folder):
    """Everything with every file."""
    dialect, limits = Native(Limits(), str), Limits()
    plans = [(query, prepare(dialect.parse(f"source=local:a/b&{query}".encode()), limits)) for query in ASKED]
    plans.append((TOLD, prepare(dialect.described(f"source=local:a/b&{TOLD}".encode()), limits)))
    files = {path.name: memoryview(path.read_bytes()) for path in sorted(Path(folder).iterdir())}
    vips = Vips(limits, Engine())
    worker.load_codecs()
    sys.meta_path[:] = [Nothing()]
    for name, source in files.items():
        for query, plan in plans:
            try:
                list(vips.run(source, probe(source), [Task(plan.recipe, plan.candidates)]))
            except Exception as e:
                print(name, query, type(e).__name__, e)  # noqa: T201 - that is how


if __name__ == "__main__":
    main(sys.argv[1])
