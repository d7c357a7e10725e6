"""``Content-Disposition``: shown or saved, and under which name, for clients of any age.

Source   RFC 6266 (appendix D: no percent sign in ``filename``: some decode it), RFC 8187 section 3.2 (``filename*``).
"""

import re
from urllib.parse import quote

_UNSAFE = re.compile(r'[^ -~]|["\\%]')
_ATTR_CHARS = "!#$&+-.^_`|~"
"""What ``attr-char`` has beside letters and digits."""


def disposition(name: str, *, attachment: bool) -> bytes:
    """A header value that any *name* goes into: what it cannot say in plain ASCII, it says a second time in UTF-8."""
    kind = "attachment" if attachment else "inline"
    plain = _UNSAFE.sub("_", name)
    value = f'{kind}; filename="{plain}"'
    if plain != name:
        value += f"; filename*=UTF-8''{quote(name, safe=_ATTR_CHARS, errors='replace')}"
    return value.encode("ascii")
