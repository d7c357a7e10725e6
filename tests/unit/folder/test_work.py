"""Which files are taken, what becomes of each, and how much is held of them at a time: with an engine that copies."""

import asyncio
import errno
import os

import pytest

from imagemill.engines.base import NO_LAYERS, Made, Stages, Task
from imagemill.folder.candidates import Candidate, Candidates, NotPicture
from imagemill.folder.names import Naming
from imagemill.folder.place import Place
from imagemill.folder.report import Failure, Report
from imagemill.folder.tree import identity, walk
from imagemill.folder.work import FolderRun, Order
from imagemill.model.errors import ImageCorrupt
from imagemill.model.media import Format, Rendition
from imagemill.model.recipe import Encode

JPEG, PNG = b"\xff\xd8\xff picture", b"\x89PNG\r\n\x1a\n picture"


class CopyingEngine:
    """Answers with the source, once it is let; says how many it was at at a time."""

    def __init__(self):
        self.go, self.now, self.most = asyncio.Event(), 0, 0
        self.go.set()

    async def run(self, source, tasks, layers=NO_LAYERS):
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await self.go.wait()
            await asyncio.sleep(0)
            if b"broken" in source:
                raise ImageCorrupt("it breaks off")
            yield Made(Rendition(source, Format.WEBP, "e", 1, 1), Stages())
        finally:
            self.now -= 1


class Folders:
    def __init__(self, root):
        self.source, self.out = root / "in", root / "out"
        self.source.mkdir()
        self.out.mkdir()
        self.told, self.engine, self.limit = [], CopyingEngine(), 1000

    def put(self, **files):
        for name, body in files.items():
            path = self.source / name.replace("__", "/").replace("_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)

    def findings(self, place, *, over=False, template="{stem}.{ext}", wanted=Format.WEBP):
        candidates = Candidates(self.source, place, Naming(template), wanted, over=over)
        return candidates.among(walk(self.source, identity(self.out)))

    async def run(self, *, over=False, found=None, workers=2, place=None, **how):
        report = Report()
        place = place or Place(self.out, identity(self.source))
        order = Order(self.source, Task((Encode(Format.WEBP),)), self.limit, over)
        work = FolderRun(self.engine, place, order, report, workers=workers, tell=self.told.append)
        try:
            await work.run(found if found is not None else self.findings(place, over=over, **how))
        finally:
            place.close()
        return report

    @property
    def made(self):
        return {str(p.relative_to(self.out)): p.read_bytes() for p in self.out.rglob("*") if p.is_file()}


@pytest.fixture
def folders(tmp_path):
    return Folders(tmp_path)


async def test_a_tree(folders):
    """Every picture, in the same tree; what is no picture is counted, and bytes are."""
    folders.put(a_jpg=JPEG, sub__b_png=PNG, sub__deep__c=PNG, notes_txt=b"no picture")

    report = await folders.run()

    assert folders.made == {"a.webp": JPEG, "sub/b.webp": PNG, "sub/deep/c.webp": PNG}
    assert (report.made, report.not_pictures, report.failed) == (3, 1, 0)
    assert report.bytes_in == report.bytes_out == len(JPEG + PNG + PNG)
    assert folders.told == [NotPicture("notes.txt")]


async def test_bad_files_are_told_and_the_rest_is_made(folders):
    """Each with its code: no picture though its name says so, broken, too large, taken."""
    folders.put(
        a_jpg=b"no picture", b_jpg=JPEG + b"broken", c_jpg=JPEG + bytes(1000), d_jpg=JPEG, d_png=PNG, e_jpg=b"", f_jpg=JPEG
    )  # fmt: skip

    report = await folders.run()

    assert {(f.file, f.code) for f in folders.told} == {
        ("a.jpg", "unsupported_source_type"), ("b.jpg", "image_corrupt"), ("c.jpg", "source_too_large"),
        ("d.png", "name_taken"), ("e.jpg", "unsupported_source_type"),
    }  # fmt: skip
    assert set(folders.made) == {"d.webp", "f.webp"}
    assert (report.made, report.failed) == (2, 5)


async def test_two_that_would_be_one_are_kept_apart_by_a_template(folders):
    folders.put(d_jpg=JPEG, d_png=PNG)

    await folders.run(template="{name}.{ext}")

    assert folders.made == {"d.jpg.webp": JPEG, "d.png.webp": PNG}


async def test_keep_names_by_what_a_file_is(folders):
    """And two files with one name in two folders are no trouble."""
    folders.put(a_jpg=JPEG, sub__a_jpg=JPEG, b_jpg=PNG)

    await folders.run(wanted=Format.KEEP)

    assert set(folders.made) == {"a.jpg", "sub/a.jpg", "b.png"}


async def test_a_second_run_goes_on(folders):
    """What is there is kept as it is, and counted; unless it is to be made anew."""
    folders.put(a_jpg=JPEG, b_jpg=JPEG)
    (folders.out / "a.webp").write_bytes(b"before")

    report = await folders.run()
    again = await folders.run()
    assert (report.made, report.kept, again.made, again.kept) == (1, 1, 0, 2)
    assert folders.made["a.webp"] == b"before"

    anew = await folders.run(over=True)
    assert (anew.made, anew.kept) == (2, 0)
    assert folders.made["a.webp"] == JPEG


async def test_a_place_that_is_lost_on_the_way(folders, monkeypatch):
    """Whoever was quicker keeps it."""
    folders.put(a_jpg=JPEG)
    monkeypatch.setattr(Place, "has", lambda *_: False)
    (folders.out / "a.webp").write_bytes(b"theirs")

    report = await folders.run()

    assert (report.made, report.kept, folders.made) == (0, 1, {"a.webp": b"theirs"})


async def test_unreadable(folders, monkeypatch):
    """Also what was swapped for a link, or a pipe, since it was listed."""
    folders.put(a_jpg=JPEG, b_jpg=JPEG, c_jpg=JPEG)
    met = list(walk(folders.source, identity(folders.out)))
    for name in "bc":
        (folders.source / f"{name}.jpg").unlink()
    (folders.source / "b.jpg").symlink_to(folders.source / "a.jpg")
    os.mkfifo(folders.source / "c.jpg")
    place = Place(folders.out, identity(folders.source))
    candidates = Candidates(folders.source, place, Naming(), Format.WEBP, over=False)

    report = await folders.run(place=place, found=candidates.among(met))

    assert [(f.file, f.code) for f in folders.told] == [("b.jpg", "unreadable"), ("c.jpg", "unreadable")]
    assert (report.made, set(folders.made)) == (1, {"a.webp"})


async def test_a_folder_in_the_way(folders):
    folders.put(a_jpg=JPEG, sub__b_jpg=JPEG)
    (folders.out / "a.webp").mkdir()
    (folders.out / "sub").touch()

    await folders.run()

    assert [(f.file, f.code) for f in folders.told] == [("a.jpg", "not_written"), ("sub/b.jpg", "not_written")]


async def test_a_full_disk_ends_it(folders, monkeypatch):
    """Nothing is rendered for nothing; the report says that it is not the whole."""
    folders.put(**{f"{n}_jpg": JPEG for n in range(200)})

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Place, "put", full)

    report = await folders.run()

    assert report.stopped == "No space left on device"
    assert 1 <= report.failed <= 5
    assert not report.is_well(strict=False)


async def test_few_are_held_at_a_time(folders):
    """However many there are: as many as workers at the engine, and no more looked for than a hundred."""
    looked_for = 0
    folders.put(a_jpg=JPEG)

    def endless():
        nonlocal looked_for
        while looked_for < 100_000:
            looked_for += 1
            yield Candidate((), "a.jpg", f"{looked_for}.webp")

    folders.engine.go.clear()
    running = asyncio.create_task(folders.run(found=endless(), workers=3))
    before = -1
    while before != looked_for or folders.engine.now < 3:
        before = looked_for
        await asyncio.sleep(0.05)

    assert looked_for <= 100
    assert folders.engine.most == 3
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert folders.made == {}


async def test_what_nobody_can_list_is_a_failure(folders, monkeypatch):
    folders.put(sub__a_jpg=JPEG)
    scandir = os.scandir

    def refusing(path):
        if getattr(path, "name", "") == "sub":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr("imagemill.folder.tree.os.scandir", refusing)

    await folders.run()

    assert folders.told == [Failure("sub", "unreadable", "Permission denied")]
