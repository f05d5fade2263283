"""Where an HTML document's body ends, told from the bytes alone.

A browser's rules decide what is markup: an end tag inside of a comment, a script or an
attribute is text. Only the few rules that matter for finding ``</body>`` are followed.
"""

from __future__ import annotations

import re
from typing import Final

_AT_THE_END: Final = re.compile(
    rb"</body\s*+>(?:\s++|</html\s*+>|<!--[^>]*+(?<=--)>)*+\Z", re.IGNORECASE
)
"""How nearly all documents end: then nothing else has to be read."""

_TAIL_BYTES: Final = 256
"""How much of the document's end is looked at for that."""

_SCRIPT_BYTES: Final = 1024
"""How far back a script is looked for that isn't closed at such an end. One that begins earlier
is a page cut off, or made by mistake: to a browser all the rest is that script, which never
runs, so nothing is lost there. To search the whole document costs half of all that we do to it.
"""

_RAW: Final = (
    b"script",
    b"style",
    b"textarea",
    b"title",
    b"template",
    b"noscript",
    b"iframe",
    b"xmp",
    b"noembed",
    b"noframes",
)
"""Elements whose content is text to a browser, or a part of no page (template)."""

_TOKEN: Final = re.compile(
    rb"<!--(?:-?>|.*?(?:--!?>|\Z))"
    rb"|(?P<body></body(?=[\s/>])[^>]*>)"
    rb"|<(?P<raw>" + b"|".join(_RAW) + rb")(?=[\s/>])"
    rb'(?:[^>=]++|=\s*+"[^"]*+"|=\s*+\'[^\']*+\'|=)*+(?:>|\Z)'
    rb'|<[a-z/!?](?:[^>=]++|=\s*+"[^"]*+"|=\s*+\'[^\']*+\'|=)*+(?:>|\Z)',
    re.IGNORECASE | re.DOTALL,
)

_RAW_END: Final = {
    name: re.compile(rb"</" + name + rb"(?=[\s/>])[^>]*>", re.IGNORECASE) for name in _RAW
}


_USUAL: Final = (b"</body></html>", b"</body>\n</html>", b"</body>\n</html>\n")
"""How most documents end, to the byte. Behind such an end nothing can close a comment or a script
that were still open: in that page, cut off or made by mistake, all the rest is text to a browser,
and what is put there harms nobody."""
_LONGEST_USUAL: Final = max(map(len, _USUAL))


def end_of_body(document: bytes) -> int | None:
    """Return the offset of the last ``</body>`` that is markup, or None if there is none."""
    if document.endswith(_USUAL):
        return document.rfind(b"</body>", -_LONGEST_USUAL)
    start = max(0, len(document) - _TAIL_BYTES)
    at_the_end = _AT_THE_END.search(document, start)
    if at_the_end:
        position = at_the_end.start()
        # A comment or a script may still be open there: then it is text.
        comment = document.rfind(b"<!--", 0, position)
        script = document.rfind(b"<script", max(0, position - _SCRIPT_BYTES), position)
        if (comment < 0 or document.find(b"-->", comment, position) >= 0) and (
            script < 0 or document.find(b"</script", script, position) >= 0
        ):
            return position
    return _search(document) if b"</body" in document.lower() else None


def _search(document: bytes) -> int | None:
    found: int | None = None
    position = 0
    while token := _TOKEN.search(document, position):
        position = token.end()
        if token["body"]:
            found = token.start()
        elif raw := token["raw"]:
            end = _RAW_END[raw.lower()].search(document, position)
            if end is None or _nests(document[position : end.start()]):
                return found
            position = end.end()
    return found


def _nests(content: bytes) -> bool:
    """Tell whether a script's end tag may not be its end: nobody writes this, we stay out."""
    start = content.find(b"<!--")
    return start >= 0 and b"<script" in content[start:].lower()
