"""A worker that has given its rights up imports nothing more: the interpreter's own files may be out of its reach."""

import subprocess
import sys
from pathlib import Path

from PIL import Image

from golden import inputs, pictures, sources
from imagemill.engines.decoded import pyvips

IMPORTLESS = Path(__file__).parent / "importless.py"


def spoken():
    """A picture with all that has words in it, and a profile that has its name in two bytes a letter, as cameras write it."""
    tags = Image.Exif()
    tags[0x010E], tags[0x8298] = "what it shows \u00e4", "whose it is"
    profile = bytes(pyvips.Image.profile_load("p3"))
    assert b"mluc" in profile
    body = pictures.encoded(pictures.photo(60, 40), "JPEG", exif=tags.tobytes(), xmp=b"<x/>", icc_profile=profile)
    iptc = b"\x1c\x02\x78\0\3" + b"f\xe4h"
    resource = b"Photoshop 3.0\x008BIM\4\4\0\0" + len(iptc).to_bytes(4, "big") + iptc
    return body[:2] + b"\xff\xed" + (len(resource) + 2).to_bytes(2, "big") + resource + body[2:]


def drawn(encoding, mark=b""):
    text = (
        f'<?xml version="1.0" encoding="{encoding}"?><svg xmlns="http://www.w3.org/2000/svg" width="40" height="30"/>'
    )
    return mark + text.encode(encoding)


def test_nothing_is_imported_late(tmp_path):
    """Whatever is asked for of whatever source: all of it goes without one more import."""
    files = {name.replace(" ", "-"): body for name, (body, _, _) in inputs.all_of_them().items()}
    files |= {name: sources.source(name).body for name in sources.NAMES} | {"spoken": spoken()}
    for encoding in ("utf-8", "us-ascii", "iso-8859-1", "iso-8859-15", "windows-1252"):
        files[f"svg {encoding}"] = drawn(encoding)
    files |= {"svg utf-16 le": drawn("utf-16-le", b"\xff\xfe"), "svg utf-16 be": drawn("utf-16-be", b"\xfe\xff")}
    for name, body in files.items():
        (tmp_path / name).write_bytes(body)

    ran = subprocess.run([sys.executable, IMPORTLESS, tmp_path], capture_output=True, text=True, check=False)

    assert (ran.stdout, ran.returncode) == ("", 0), ran.stderr
