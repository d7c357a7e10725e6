"""What librsvg is given of a hostile picture: nothing that leads out of it, and nothing without end (V01 to V08)."""

import base64
import gzip
import io
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from imagemill.engines.svg.reading import read
from imagemill.engines.svg.text import beginning, unpacked
from imagemill.model.errors import ImageCorrupt, ImagemillError, LimitExceeded, UnsupportedSourceType
from imagemill.plan.geometry import Size
from imagemill.plan.steps import Drawing
from imagemill.settings import Limits

OPEN = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="64" height="64">'
RECT = '<rect width="9" height="9"/>'


def given_to_librsvg(file, limits=Limits()):  # noqa: B008 - frozen
    """The file that is drawn, as text."""
    source = file if isinstance(file, bytes) else file.encode()
    return read(memoryview(source), limits).drawn(Drawing(Size(64, 64))).decode()


def svg(inner, before=""):
    return f"{before}{OPEN}{inner}</svg>"


def data_uri(kind, size=(8, 8), body=None):
    out = io.BytesIO()
    Image.new("RGB", size, (10, 200, 30)).save(out, kind)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(body or out.getvalue()).decode()}"


@pytest.mark.parametrize(
    "before",
    [
        '<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/hostname">]>', '<!DOCTYPE svg [<!ENTITY x "y">]>',
        '<!DOCTYPE svg [<!ENTITY % p SYSTEM "http://127.0.0.1:9/x.dtd"> %p;]>',
        '<!DOCTYPE svg SYSTEM "http://127.0.0.1:9/x.dtd">', '<!DOCTYPE svg PUBLIC "-//X//Y" "file:///etc/passwd">',
        '<!DOCTYPE svg [<!NOTATION n SYSTEM "x"><!ENTITY x SYSTEM "y" NDATA n>]>',
    ],
)  # fmt: skip
def test_entities_and_outer_types_are_refused(before):
    """V01, V02: whether anything refers to them or not."""
    with pytest.raises(ImageCorrupt, match=r"entities|document type"):
        given_to_librsvg(svg(RECT, before))


def test_undeclared_entities_are_refused():
    """V01: also where a document type that nobody reads could declare them."""
    public = '<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">'
    with pytest.raises(ImageCorrupt):
        given_to_librsvg(svg("<text>&x;</text>", public))


@pytest.mark.parametrize(
    "before",
    ["<!DOCTYPE svg>", '<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">',
     '<?xml version="1.0" standalone="no"?><?xml-stylesheet href="http://127.0.0.1:9/a.css"?>', "<!-- a comment -->"],
)  # fmt: skip
def test_harmless_beginnings_are_dropped(before):
    """V01, V03: document types that drawing programs write, style sheets elsewhere, comments."""
    drawn = given_to_librsvg(svg(RECT, before))
    assert "rect" in drawn
    assert not {"DOCTYPE", "stylesheet", "comment"} & {
        word for word in ("DOCTYPE", "stylesheet", "comment") if word in drawn
    }


def test_laughs_end_at_once():
    """V02: by the first declaration, not by how far it could be expanded."""
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    begun = time.process_time()
    with pytest.raises(ImageCorrupt, match="entities are not read"):
        given_to_librsvg(svg("<text>&l9;</text>", f'<!DOCTYPE svg [<!ENTITY l0 "ha">{laughs}]>'))
    assert time.process_time() - begun < 1


OUTSIDE = [
    "http://127.0.0.1:9/canary", "//127.0.0.1/canary", "file:///canary", "canary.png", "../canary", "\\\\host\\canary",
    "text:canary", "msl:canary", "label:@canary", "ephemeral:canary", "vid:canary", "javascript:canary()",
    "canary.svg#a", "data:text/html,canary", "data:image/svg+xml,<svg>canary</svg>", " http://127.0.0.1:9/canary",
    "java&#10;script:canary", "data:image/svg+xml;base64,Y2FuYXJ5",
]  # fmt: skip


@pytest.mark.parametrize("outside", OUTSIDE)
@pytest.mark.parametrize("attribute", ["href", "xlink:href"])
@pytest.mark.parametrize("element", ["image", "use", "a", "textPath", "linearGradient", "pattern", "filter", "feImage"])
def test_links_lead_nowhere_else(element, attribute, outside):
    """V03, V04, V08: whatever the element."""
    link = outside.replace("<", "&lt;")
    drawn = given_to_librsvg(svg(f'<{element} {attribute}="{link}"/>{RECT}'))
    assert "canary" not in drawn
    assert "href" not in drawn


@pytest.mark.parametrize(
    "style",
    [
        '@import "canary";', "@import url(canary);", "@font-face{font-family:a;src:url(canary)}", "rect{fill:url(canary)}",
        "rect{fill:url('canary')}", 'rect{fill:url("http://canary")}', "rect{fill:u\\72l(canary)}", "rect{fill:URL( canary )}",
        "rect{fill:image(canary)}", "rect{mask:image-set('canary' 1x)}", "rect{behavior:canary}", "rect{fill:url(#a) url(canary)}",
        "@media screen{rect{fill:url(canary)}}", "@namespace canary;", "rect{x:expression(canary)}", "rect{fill:src('canary')}",
        "@\\69mport 'canary';", "@import/**/'canary';", "rect{}@import 'canary';", "rect{fill:/**/url(canary)}",
        "rect[x='canary\\']{fill:red}", "</style><script>canary</script><style>", "rect{-moz-binding:url(canary)}",
    ],
)  # fmt: skip
def test_style_names_nothing_outside(style):
    """V03: neither sheets nor attributes; what is understood stays."""
    drawn = given_to_librsvg(svg(f"<style><![CDATA[{style} rect{{fill:red}}]]></style>{RECT}"))
    assert "canary" not in drawn
    value = style.partition("{")[2].rpartition("}")[0].replace('"', "&quot;")
    assert "canary" not in given_to_librsvg(svg(f'<rect style="{value}"/>'))


@pytest.mark.parametrize(
    "value",
    [
        "url(http://canary)",
        "url( 'canary' )",
        "URL(canary)",
        "\\75rl(canary)",
        "url(#a) url(canary)",
        "image(canary)",
        "\\63 canary",
        "@canary",
    ],
)
@pytest.mark.parametrize("name", ["fill", "stroke", "filter", "mask", "clip-path", "marker-end", "cursor", "transform"])
def test_attributes_name_nothing_outside(name, value):
    """V03: presentation attributes are read as CSS is."""
    assert "canary" not in given_to_librsvg(svg(f'<rect {name}="{value}"/>'))


@pytest.mark.parametrize(
    "inner",
    [
        "<script>canary</script>", "<script href='canary'/>", "<rect onload='canary'/>", "<rect onclick='canary'/>",
        "<foreignObject><body xmlns='http://www.w3.org/1999/xhtml' onload='canary'/></foreignObject>",
        "<animate attributeName='href' to='canary'/>", "<set attributeName='href' to='canary'/>", "<handler>canary</handler>",
        "<rect xml:base='canary'/>", "<g><use><script>canary</script></use></g>", "<x:include xmlns:x='http://www.w3.org/2001/XInclude' href='canary'/>",
        "<iframe src='canary'/>", "<rect data-x='canary'/>", "<metadata>canary</metadata>", "<desc>canary</desc>", "<title>canary</title>",
        "<image><script>canary</script></image>", "<rect>canary</rect>", "<audio href='canary'/>",
    ],
)  # fmt: skip
def test_nothing_acts(inner):
    """V04: no script, handler, foreign object, animation, include; no words that are not drawn."""
    drawn = given_to_librsvg(svg(inner + RECT))
    assert "canary" not in drawn
    assert set(re.findall(r"<([\w:]+)", drawn)) <= {"svg", "rect", "g", "use", "image"}


def test_what_is_drawn_stays():
    """Shapes, text, paint servers, style and links within the file."""
    kept = ['<linearGradient id="g">', '<stop offset="1" stop-color="red">', 'fill="url(#g)"', 'href="#r"', "a &amp; b",
            '<tspan dy="1">', "rect.x{fill:blue}", 'style="stroke:#123"', 'transform="rotate(45 3 3)"', 'class="x"']  # fmt: skip
    drawn = given_to_librsvg(
        svg(
            '<defs><linearGradient id="g"><stop offset="1" stop-color="red"/></linearGradient></defs>'
            "<style>rect.x{fill:blue}</style>"
            '<rect id="r" class="x" fill="url(#g)" style="stroke:#123;behaviour:none" transform="rotate(45 3 3)"/>'
            '<use xlink:href="#r"/><text>a &amp; b<tspan dy="1">c</tspan></text>'
        )
    )
    assert [part for part in kept if part not in drawn] == []


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "iso-8859-1"])
def test_encodings_are_normalised(encoding):
    """V04: what is read in another encoding is judged all the same."""
    declared = "utf-16" if encoding.startswith("utf-16") else encoding.removesuffix("-sig")
    file = svg(f"<script>canary</script><text>é</text>{RECT}", f'<?xml version="1.0" encoding="{declared}"?>').encode(
        encoding
    )
    drawn = given_to_librsvg(file)
    assert "canary" not in drawn
    assert "é" in drawn


@pytest.mark.parametrize("encoding", ["utf-7", "ibm037", "utf-32", "shift_jis", "x-user-defined"])
def test_other_encodings_are_refused(encoding):
    """V04: by name, before a byte of them is read."""
    with pytest.raises(ImageCorrupt, match="encoding"):
        given_to_librsvg(svg(RECT, f'<?xml version="1.0" encoding="{encoding}"?>'))


def uses(deep, wide=10):
    levels = "".join(f'<g id="l{n}">{f"""<use href="#l{n - 1}"/>""" * wide}</g>' for n in range(1, deep))
    return svg(f'<defs><rect id="l0"/>{levels}</defs><use href="#l{deep - 1}"/>')


def patterns(deep):
    levels = "".join(
        f'<pattern id="l{n}" width="9" height="9">{f"""<rect fill="url(#l{n - 1})"/>""" * 10}</pattern>'
        for n in range(1, deep)
    )
    return svg(f"<defs>{levels}</defs><rect fill='url(#l{deep - 1})'/>")


def styled(deep):
    levels = "".join(
        f'<pattern id="l{n}">{f"<rect class={n - 1!r}/>".replace("=", "=") * 10}</pattern>' for n in range(1, deep)
    )
    levels = levels.replace("class=", 'class="c').replace("/>", '"/>')
    sheet = "".join(f".c{n}{{fill:url(#l{n})}}" for n in range(1, deep))
    return svg(f"<style>{sheet}</style><defs>{levels}</defs><rect class='c{deep - 1}'/>")


def markers(deep):
    levels = "".join(
        f'<marker id="l{n}"><path d="{"M1 1" * 20}" marker-mid="url(#l{n - 1})"/></marker>' for n in range(1, deep)
    )
    return svg(f"<defs>{levels}</defs><g marker-mid='url(#l{deep - 1})'><path d='{'L1 1' * 20}'/></g>")


def filters(inner):
    return svg(f'<filter id="f">{inner}</filter><rect filter="url(#f)" width="64" height="64"/>')


BOMBS = {
    "use 10^17": (uses(18), "drawn"), "patterns": (patterns(12), "drawn|vertices"), "by style": (styled(12), "drawn|vertices"),
    "markers": (markers(12), "drawn|vertices"), "inherited": (svg("<pattern id='p'>" + RECT * 500 + "</pattern><g fill='url(#p)'>" + RECT * 500 + "</g>"), "drawn"),
    "deep": (svg("<g>" * 100_000 + "</g>" * 100_000), "in one another"), "unknown deep": (svg("<x>" * 5_000 + "</x>" * 5_000), "in one another"),
    "many": (svg("<g/>" * 50_001), "elements"), "chain": (svg("".join(f'<g id="a{n}"><use href="#a{n + 1}"/></g>' for n in range(1000))), "in one another"),
    "itself": (svg('<g id="a"><use href="#a"/></g>'), "in itself"), "in a circle": (svg('<g id="a"><use href="#b"/></g><g id="b"><use href="#a"/></g>'), "in itself"),
    "mask of itself": (svg('<mask id="m"><rect mask="url(#m)"/></mask><rect mask="url(#m)"/>'), "in itself"),
    "attributes": (svg("<rect " + " ".join(f'a{n}="1"' for n in range(200)) + "/>"), "attributes"),
    "rules": (svg("<style>" + ".a{fill:red}" * 2_001 + "</style>"), "style"), "matches": (svg("<style>" + ".a{fill:red}" * 1_000 + "</style>" + RECT * 2_001), "style"),
    "blur": (filters('<feGaussianBlur stdDeviation="1e9"/>'), "stdDeviation"), "blur inf": (filters('<feGaussianBlur stdDeviation="1 1e999"/>'), "stdDeviation"),
    "shadow": (filters('<feDropShadow stdDeviation="40"/>'), "stdDeviation"), "css blur": (svg('<rect style="filter:blur(99999px)"/>'), "blur"),
    "css shadow": (svg("<style>rect{filter:drop-shadow(1px 1px 9999px rgb(1,2,3))}</style><rect/>"), "blur"), "morphology": (filters('<feMorphology radius="1000"/>'), "radius"),
    "octaves": (filters('<feTurbulence numOctaves="99999"/>'), "numOctaves"), "kernel": (filters('<feConvolveMatrix order="500"/>'), "order"),
    "dashes": (svg('<path d="M0 0H9" stroke-dasharray="1e-9"/>'), "dashes"), "css dashes": (svg("<style>*{stroke-dasharray:0.00001,0}</style>"), "dashes"),
    "chained": (filters('<feGaussianBlur stdDeviation="2"/>' * 300), "draw"), "paid by others": (filters('<feMorphology radius="-1e5"/><feTurbulence numOctaves="-1e5"/>' + "<feTile/>" * 500), "draw"),
    "filter functions": (svg('<rect filter="' + "blur(9px) " * 300 + '"/>'), "draw"), "in a style": (svg('<rect style="filter:' + "sepia(1)" * 300 + '"/>'), "draw"),
    "in a sheet": (svg("<style>rect{filter:" + "sepia(1) " * 30 + "}</style>" + RECT * 10), "draw"), "selectors": (svg("<style>" + ",".join("x" * 250) + "{fill:red}</style>" + RECT * 8_001), "selectors"),
    "filters by use": (svg('<filter id="f"><feTile/></filter><g id="a"><rect filter="url(#f)"/></g>' + '<use href="#a"/>' * 500), "draw"),
}  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS)
def test_bomb(bomb):
    """V05, V06: counted before anything is drawn; in a time that the file's own length bounds."""
    file, words = BOMBS[bomb]
    with pytest.raises(LimitExceeded, match=words):
        given_to_librsvg(file)


@pytest.mark.timed
@pytest.mark.parametrize(
    "file",
    [
        svg("<style>" + "@a;" * 200_000 + "a{fill:red}</style>"), svg(f'<g fill="{"a" * 16_000}"/>' * 10),
        svg("<style>a{" + f"fill:{'a' * 16_000};" * 10 + "}</style>"), svg(f'<g fill="{"a" + " " * 16_000}"/>' * 10),
    ],
    ids=["at-rules", "words", "words of CSS", "spaces"],
)  # fmt: skip
def test_reading_takes_as_long_as_the_file(file):
    """V02, V05: no letter is looked at once for each of the others; that took many seconds."""
    begun = time.process_time()
    given_to_librsvg(file)

    assert time.process_time() - begun < 1.5


def test_functions_are_found_behind_anything():
    """V03: a function that is not known takes its value with it, wherever its name begins."""
    for value in ("1url(http://a/)", "red url(http://a/)", "#url(http://a/)", "(url (http://a/))", "-url(http://a/)"):
        assert "http://a" not in given_to_librsvg(svg(f'<rect fill="{value}" style="stroke:{value}"/>'))


def test_what_is_below_the_bounds_is_drawn():
    """V05: thousands of uses, a few filters, dashes of a pixel."""
    drawn = given_to_librsvg(
        svg('<g id="a"><rect/></g>' + '<use href="#a"/>' * 5_000 + '<path d="M0 0H9" stroke-dasharray="1 2"/>')
    )
    assert drawn.count("<use") == 5_000
    assert "feGaussianBlur" in given_to_librsvg(filters('<feGaussianBlur stdDeviation="2"/>' * 3))
    assert "sepia" in given_to_librsvg(svg(f'<rect filter="blur(2) sepia(1) {"url(#f) " * 9}"/>'))


@pytest.mark.parametrize("plain", [b" " * 100_000_000, svg(RECT * 100_000).encode()], ids=["spaces", "shapes"])
def test_gzip_is_capped(plain):
    """V08: no more is unpacked than may be read."""
    with pytest.raises(LimitExceeded, match="bytes of text"):
        given_to_librsvg(gzip.compress(plain, 1))


def test_gzip():
    """V08: a packed picture is one; a damaged or cut one is not."""
    packed = gzip.compress(svg(RECT).encode())
    assert "rect" in given_to_librsvg(packed)
    with pytest.raises(ImageCorrupt, match="breaks off"):
        given_to_librsvg(packed[:-9])
    with pytest.raises(ImageCorrupt, match="damaged"):
        given_to_librsvg(packed[:-8] + bytes(8))


def test_no_more_is_unpacked_than_is_looked_at():
    """V08: a byte beyond the cap tells that there is more; the rest is never made."""
    bomb = gzip.compress(b" " * 50_000_000, 1)
    assert len(unpacked(bomb, 1000)) == 1001
    assert len(beginning(bomb, 1000)) <= 1000


def test_text_has_a_limit_of_its_own():
    """V08: `svg_bytes`, packed or not."""
    with pytest.raises(LimitExceeded, match="100"):
        given_to_librsvg(svg(RECT * 100), Limits(svg_bytes=100))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_embedded_pictures(kind):
    """V08: four formats, drawn as PNG or JPEG; they count as pixels as often as they are drawn."""
    file = svg(f'<image id="i" href="{data_uri(kind)}"/><use href="#i"/><use href="#i"/>').encode()
    document = read(memoryview(file), Limits())
    assert document.info.embedded_pixels == 3 * 64
    assert f"data:image/{'jpeg' if kind == 'JPEG' else 'png'};base64," in document.body


@pytest.mark.parametrize(
    ("uri", "limits", "words"),
    [
        (data_uri("PNG", (3000, 2)), Limits(side_px=2000), "side"), (data_uri("GIF", (300, 300)), Limits(pixels=80_000), "pixels"),
        (data_uri("PNG", (300, 300)), Limits(total_pixels=100_000), "pixels"), (data_uri("JPEG", (200, 100)), Limits(decoded_bytes=50_000), "decoded_bytes"),
    ],
)  # fmt: skip
def test_embedded_pictures_obey_limits(uri, limits, words):
    """V08: those of sources; and of all together, as often as they are drawn."""
    with pytest.raises(LimitExceeded, match=words):
        given_to_librsvg(svg(f'<image href="{uri}"/><image href="{uri}"/>'), limits)


def test_embedded_pictures_are_counted_before_they_are_decoded():
    """V08, R09: the one that is too many is not brought to PNG first: here it could not be, it breaks off."""
    whole = data_uri("GIF", (300, 300))
    broken = data_uri("GIF", body=base64.b64decode(whole.partition(",")[2])[:-40])
    with pytest.raises(LimitExceeded, match="embeds more than 100000 pixels"):
        given_to_librsvg(svg(f'<image href="{whole}"/><image href="{broken}"/>'), Limits(total_pixels=100_000))


@pytest.mark.parametrize(
    "uri", ["data:image/png;base64,!!!", "data:image/png;base64,AAA", data_uri("GIF", body=b"GIF89a\1\0")]
)
def test_damaged_pictures_are_refused(uri):
    """V08: not left to whoever draws."""
    with pytest.raises(ImageCorrupt):
        given_to_librsvg(svg(f'<image href="{uri}"/>'))


@pytest.mark.parametrize("file", [b"<?xml version='1.0'?><html/>", b"<x:svg xmlns:x='urn:other'/>", b"<!-- --><rss/>"])
def test_other_xml(file):
    """XML of another kind is no picture."""
    with pytest.raises(UnsupportedSourceType):
        given_to_librsvg(file)


@pytest.mark.parametrize("file", [b"", b"<svg", b"<svg>", b"<svg xmlns='http://www.w3.org/2000/svg'><g></svg>", b"<svg a:b='1'/>", b"<svg>\0</svg>"])  # fmt: skip
def test_no_xml(file):
    """What does not end, or was never begun."""
    with pytest.raises(ImageCorrupt):
        given_to_librsvg(file)


@given(st.text(st.sampled_from(list("<>&'\"/=!?-[]# svgrectuse:href()@\\\n")), max_size=60))
def test_junk_is_refused_or_drawn(junk):
    """Whatever stands in a file: a picture or an error of ours; what is written is well-formed, and stays as it is."""
    try:
        drawn = given_to_librsvg(svg(junk))
    except ImagemillError:
        return
    assert given_to_librsvg(drawn) == drawn
