"""R15: whatever a name holds, ``Content-Disposition`` stays one header that says one file name; read back by two parsers."""

import re
from email.message import EmailMessage
from email.policy import HTTP

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagemill.web.disposition import disposition

GRAMMAR = re.compile(
    rb"""(inline|attachment);\ filename="([ !#-$&-\[\]-~]*)"(?:;\ filename\*=UTF-8''((?:[A-Za-z0-9!#$&+.^_`|~-]|%[0-9A-F]{2})+))?"""
)
"""RFC 6266 section 4.1 with RFC 8187's ext-value, narrowed to what has one meaning everywhere."""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cats.webp", b'inline; filename="cats.webp"'),
        ("a b;c=d'.png", b"""inline; filename="a b;c=d'.png\""""),
        ("été.jpg", b"inline; filename=\"_t_.jpg\"; filename*=UTF-8''%C3%A9t%C3%A9.jpg"),
        ("猫.gif", b"inline; filename=\"_.gif\"; filename*=UTF-8''%E7%8C%AB.gif"),
        ('"; x="y.png', b"inline; filename=\"_; x=_y.png\"; filename*=UTF-8''%22%3B%20x%3D%22y.png"),
        ("%0d%0aa.png", b"inline; filename=\"_0d_0aa.png\"; filename*=UTF-8''%250d%250aa.png"),
        ("a\\.png", b"inline; filename=\"a_.png\"; filename*=UTF-8''a%5C.png"),
        (
            "\r\nSet-Cookie: a=b.png",
            b"inline; filename=\"__Set-Cookie: a=b.png\"; filename*=UTF-8''%0D%0ASet-Cookie%3A%20a%3Db.png",
        ),
    ],
)
def test_values(name, value):
    """Plain where it can be, else a stand-in and the name itself; the last three never come from the dialect."""
    assert disposition(name, attachment=False) == value
    assert disposition(name, attachment=True) == b"attachment" + value.removeprefix(b"inline")


@given(st.text(max_size=130), st.booleans())
def test_any_name_is_one_value(name, attachment):
    """No byte of a name ends the value, the header or the quotes, and none is lost."""
    value = disposition(name, attachment=attachment)

    kind, plain, extended = GRAMMAR.fullmatch(value).groups()
    assert (kind == b"attachment") is attachment
    assert len(plain) == len(name)
    assert extended or plain.decode() == name


@given(st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=120))
def test_another_parser_reads_the_name(name):
    """Python's own parser of such headers, which knows RFC 8187."""
    message = EmailMessage(policy=HTTP)
    message["Content-Disposition"] = (
        disposition(f"a{name}.png", attachment=True).decode().replace('filename="', 'old="')
    )
    told = message["Content-Disposition"]

    assert told.content_disposition == "attachment"
    assert told.params.get("filename", told.params["old"]) == f"a{name}.png"
