"""Which fonts there are: those of the settings in their order, then our own; or a setting that is wrong."""

import shutil

import pytest

from imagemill.engines import typefaces
from imagemill.engines.typefaces import found, shown
from imagemill.model.errors import SettingsError
from imagemill.settings import Text

OWN = ["DejaVu Sans Bold", "DejaVu Sans"]
REGULAR = typefaces.home() / "DejaVuSans.ttf"


def renamed(target, family):
    """Our regular face under another family of as many letters."""
    old, new = ("DejaVu Sans".encode("utf-16-be"), family.ljust(11).encode("utf-16-be"))
    target.write_bytes(REGULAR.read_bytes().replace(old, new))
    return target


def test_own():
    """Without any setting: one family, under a licence that lies beside it, in no more than its size allows."""
    assert shown(found(Text()).faces) == ", ".join(OWN)
    assert typefaces.DEFAULT in OWN
    assert "Bitstream Vera" in (typefaces.home() / "LICENSE.txt").read_text()
    assert sum(path.stat().st_size for path in typefaces.home().glob("*.ttf")) < 1_500_000


def test_order(tmp_path):
    """Places as they are configured, files by name, folders in folders too; our own last; of one name the first."""
    for place, names in {"b": ["Beta Face A", "Alpha FaceB"], "a/deep": ["Gamma Face "]}.items():
        (tmp_path / place).mkdir(parents=True)
        for n, name in enumerate(names):
            renamed(tmp_path / place / f"{n}.TTF", name)
    (tmp_path / "b" / "notes.txt").write_text("no font")
    (tmp_path / "b" / "broken.ttf").write_bytes(b"\0\1\0\0")
    (tmp_path / "b" / "empty.otf").write_bytes(b"")
    shutil.copy(REGULAR, tmp_path / "a" / "same.ttf")

    fonts = found(Text(fonts=(str(tmp_path / "b"), str(tmp_path / "a"), str(tmp_path / "b" / "0.TTF"))))

    assert [face.name.strip() for face in fonts.faces] == [
        "Beta Face A",
        "Alpha FaceB",
        "Gamma Face",
        "DejaVu Sans",
        "DejaVu Sans Bold",
    ]
    assert fonts.faces[3].path == str(tmp_path / "a" / "same.ttf")


def test_one_file(tmp_path):
    """A file may be named as well as a folder."""
    assert found(Text(fonts=(str(renamed(tmp_path / "x.ttf", "Alone")),))).faces[0].name.strip() == "Alone"


def broken(folder):
    (folder / "broken.ttf").write_bytes(b"no font at all")
    return str(folder / "broken.ttf")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda tmp: "fonts", "an absolute path is wanted"), (lambda tmp: "", "an absolute path is wanted"),
        (lambda tmp: str(tmp / "missing"), "missing: No such file"), (str, "no font in it"),
        (broken, "neither TrueType nor OpenType"),
    ],
)  # fmt: skip
def test_wrong_settings(tmp_path, make, message):
    """The service does not start, and says which."""
    with pytest.raises(SettingsError, match=message) as caught:
        found(Text(fonts=(make(tmp_path),)))

    assert str(caught.value).startswith("text.fonts: ")


def test_too_many(tmp_path):
    """More than workers can be told of is refused at the start, not cut."""
    long = tmp_path.joinpath(*["d" * 200] * 10)
    long.mkdir(parents=True)
    for n in range(20):
        renamed(long / f"{n}.ttf", f"Face {n}")

    with pytest.raises(SettingsError, match="22 faces are too many"):
        found(Text(fonts=(str(tmp_path),)))


def test_boxes():
    """What becomes of characters that no face has is told to workers."""
    assert (found(Text()).boxes, found(Text(missing="box")).boxes) == (False, True)
