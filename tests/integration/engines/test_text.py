"""Texts in confined workers: what is hostile stays bounded, what is private stays readable, what is wrong stops the start."""

import os
import shutil
import tempfile
from contextlib import aclosing, asynccontextmanager
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from imagemill.engines import typefaces
from imagemill.engines.base import Task
from imagemill.engines.pool import Pool
from imagemill.engines.typefaces import found
from imagemill.model.errors import BadOption, ImagemillError, LimitExceeded, SettingsError
from imagemill.model.media import Format
from imagemill.model.recipe import Encode, Place, Shadow, Text
from imagemill.settings import Engine, Limits
from imagemill.settings import Text as Settings

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives rights up")
REGULAR = typefaces.home() / "DejaVuSans.ttf"


def picture(size=(200, 150)):
    out = BytesIO()
    Image.new("RGB", size).save(out, "PNG")
    return out.getvalue()


SOURCE = picture()


@asynccontextmanager
async def pool(fonts=None, entry="imagemill.engines.worker:main", **settings):
    made = Pool(Engine(**{"deadline_s": 60} | settings), Limits(), workers=1, entry=entry, fonts=fonts)
    await made.start()
    try:
        yield made
    finally:
        await made.close()


async def written(running, *texts):
    async with aclosing(running.run(SOURCE, [Task((*texts, Encode(Format.PNG)))])) as results:
        made = await anext(results)
    return Image.open(BytesIO(made.rendition.body)).convert("L")


@pytest.fixture
def public():
    """A folder that anybody may read."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


HOSTILE = [
    "<b>x</b>", "<span foreground='red' size='9999999'>x</span>", "</span>", "&#0;", "&undefined;", "<!DOCTYPE a [<!ENTITY b 'c'>]>&b;", "<![CDATA[x]]>",
    "@/etc/passwd", "%s%n%d", "\\", "$(id)", "{}" * 200, "'\"", "a\n" * 255 + "a", "m" * 512, " " * 500 + "x", "x" + "\u200d" * 500,
    "\u200f\u200e" * 200 + "x", "שלום" * 100, "مرحبا " * 80, "a\u0301" * 250, "x" + "\u0489" * 30, "e" + "\u0301" * 30 + "e" + "\u0300" * 30,
    "\U0001f600" * 100, "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\ufeffx", "x\ufe0f" * 100, "\ufdfa" * 100, "\U000e0041" * 100 + "x",
    "\U0001f1e6\U0001f1e7", "\u1160" * 50 + "x", "\ufffd" * 300,
]  # fmt: skip


async def test_hostile_texts():
    """V13: each is drawn within the deadline, or refused by name; the worker outlives them all, at every size."""
    drawn = 0
    async with pool() as running:
        pids = running.pids()
        for text in HOSTILE:
            for size, shadow in ((4, None), (32, Shadow()), (1000, None)):
                try:
                    made = await written(
                        running, Text(text, size_px=size, shadow=shadow, place=Place(centidegrees=1234))
                    )
                except (BadOption, LimitExceeded):
                    continue
                drawn += made.size == (200, 150)
        assert running.pids() == pids

    assert drawn > len(HOSTILE)


async def test_nothing_is_opened_before_the_first_text():
    """A worker that has written nothing has read no font."""
    async with pool() as running:
        maps = Path(f"/proc/{running.pids()[0]}/maps")
        await written(running)
        before = maps.read_text()
        made = await written(running, Text("moon"))
        after = maps.read_text()

    assert "DejaVuSans" not in before
    assert "DejaVuSans" in after
    assert max(made.tobytes()) == 255


@as_root
@pytest.mark.parametrize("held", [True, False])
async def test_fonts_of_our_own_may_lie_where_workers_do_not_come(tmp_path, monkeypatch, held):
    """Installed below a home that nobody else may enter, texts are written all the same: what is needed is held open."""
    home = tmp_path / "home"
    shutil.copytree(typefaces.home(), home)
    home.chmod(0o700)
    (tmp_path / "moved_home.py").write_text(
        "from pathlib import Path\n"
        "from imagemill.engines import typefaces, worker\n"
        "from imagemill.engines.operations.lettering import Lettering\n"
        f"typefaces.home = lambda: Path({str(home)!r})\n"
        f"if not {held}:\n    Lettering.before_confinement = lambda self: None\n"
        "main = worker.main\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(typefaces, "home", lambda: home)
    fonts = found(Settings())

    if not held:  # the folder is private indeed
        with pytest.raises(SettingsError, match=r"text\.fonts: .* cannot read it"):
            async with pool(fonts, "moved_home:main"):
                pass
        return
    async with pool(fonts, "moved_home:main") as running:
        made = [await written(running, Text("moon", font)) for font in ("", "DejaVu Sans Bold")]

    assert all(max(one.tobytes()) == 255 for one in made)
    assert made[0].tobytes() != made[1].tobytes()


@as_root
async def test_a_configured_font_that_workers_cannot_read(tmp_path):
    """The pool does not start, and names the file: no request finds it out."""
    shutil.copy(REGULAR, tmp_path / "mine.ttf")
    tmp_path.chmod(0o700)

    with pytest.raises(SettingsError, match=r"text\.fonts: .*mine\.ttf: the user that workers run as cannot read it"):
        async with pool(found(Settings(fonts=(str(tmp_path),)))):
            pass


async def test_a_configured_font(public):
    """A face of a configured folder is written with, by its name; and asked for what ours does not have."""
    old, new = "DejaVu Sans".encode("utf-16-be"), "Quite Other".encode("utf-16-be")
    body = REGULAR.read_bytes().replace(old, new)
    (public / "other.ttf").write_bytes(body)
    async with pool(found(Settings(fonts=(str(public),)))) as running:
        ours, other = [await written(running, Text("moon", font)) for font in ("", "Quite Other")]
        with pytest.raises(BadOption, match="none of Quite Other, DejaVu Sans"):
            await written(running, Text("moon", "Quite"))

    assert ours.tobytes() == other.tobytes()


async def test_a_font_that_is_gone(public):
    """A file that was there at the start is read when it is needed: without it the request fails, and the worker does not."""
    shutil.copy(REGULAR, public / "other.ttf")
    body = (
        (public / "other.ttf")
        .read_bytes()
        .replace("DejaVu Sans".encode("utf-16-be"), "Quite Other".encode("utf-16-be"))
    )
    (public / "other.ttf").write_bytes(body)
    async with pool(found(Settings(fonts=(str(public),)))) as running:
        (public / "other.ttf").unlink()
        with pytest.raises(ImagemillError):
            await written(running, Text("moon", "Quite Other"))
        assert max((await written(running, Text("moon"))).tobytes()) == 255


async def test_boxes():
    """By setting, a character that no font has is a box in confined workers, too."""
    async with pool(found(Settings(missing="box"))) as running:
        assert max((await written(running, Text("日本"))).tobytes()) == 255
    async with pool() as running:
        with pytest.raises(BadOption, match=r"U\+65E5 \(CJK UNIFIED IDEOGRAPH-65E5\), U\+672C"):
            await written(running, Text("日本"))
