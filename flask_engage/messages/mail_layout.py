"""The frame of a mail: one column of at most 600 px that every mail program can draw.

Mail programs know tables and styles on the element itself, and little else; those that know
more get a dark form by a style sheet in the head. Nothing is loaded from anywhere.
"""

from __future__ import annotations

import html
from typing import Final

_FONT: Final = (
    "font-family:-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;"
)
_MONO: Final = "font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;"

#: Styles by element, written onto it: several programs drop every style sheet.
_STYLES: Final = {
    "p": "margin:0 0 16px;",
    "h1": "margin:28px 0 12px;font-size:24px;line-height:32px;font-weight:600;",
    "h2": "margin:28px 0 12px;font-size:20px;line-height:28px;font-weight:600;",
    "h3": "margin:24px 0 8px;font-size:16px;line-height:24px;font-weight:600;",
    "h4": "margin:24px 0 8px;font-size:16px;line-height:24px;font-weight:600;",
    "ul": "margin:0 0 16px;padding:0 0 0 24px;",
    "ol": "margin:0 0 16px;padding:0 0 0 24px;",
    "li": "margin:0 0 6px;",
    "blockquote": "margin:0 0 16px;padding:0 0 0 16px;border-left:3px solid #d9d5ce;color:#5f5b54;",
    "pre": "margin:0 0 16px;padding:12px 14px;background:#f4f2ee;border-radius:6px;"
    f"font-size:14px;line-height:20px;white-space:pre-wrap;{_MONO}",
    "code": f"font-size:14px;{_MONO}",
    "hr": "margin:24px 0;border:0;border-top:1px solid #e3dfd8;",
    "img": "max-width:100%;height:auto;border:0;border-radius:6px;",
    "a": "color:#a53d1f;text-decoration:underline;",
}

_SHEET: Final = """\
:root{color-scheme:light dark;supported-color-schemes:light dark}
.card>:first-child,.words>:first-child{margin-top:0!important}
.words>:last-child{margin-bottom:0!important}
@media (max-width:520px){.page{padding:0!important}.card{border-radius:0!important;\
border-left:0!important;border-right:0!important}.words{padding:28px 20px!important}}
@media (prefers-color-scheme:dark){body,.page{background:#171614!important}\
.card{background:#201f1c!important;border-color:#35332f!important}\
.words{color:#ece9e3!important}.words a{color:#ff9b7d!important}\
.words blockquote{color:#b3aea4!important;border-color:#4a4741!important}\
.words pre{background:#2a2825!important}.words hr{border-color:#35332f!important}\
.foot,.foot a{color:#a09b91!important}}"""


def lay_out(subject: str, inner: str, *, unsubscribe_url: str | None = None) -> str:
    """Return the whole HTML document of a mail. `inner` is clean HTML of ours."""
    return f"""\
<!doctype html>
<html dir="auto">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<title>{html.escape(subject)}</title>
<style>{_SHEET}</style>
</head>
<body style="margin:0;padding:0;background:#f6f4f0;">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0">
<tr><td class="page" align="center" style="padding:32px 12px;background:#f6f4f0;">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" \
class="card" style="max-width:600px;background:#ffffff;border:1px solid #e3dfd8;\
border-radius:10px;border-collapse:separate;">
<tr><td class="words" dir="auto" style="padding:36px 40px;color:#23211e;font-size:16px;\
line-height:26px;overflow-wrap:anywhere;text-align:start;{_FONT}">
{_styled(inner)}
</td></tr>
</table>
{_foot(unsubscribe_url)}</td></tr>
</table>
</body>
</html>
"""


def _foot(unsubscribe_url: str | None) -> str:
    if not unsubscribe_url:
        return ""
    return (
        '<p class="foot" style="margin:20px 0 12px;font-size:13px;line-height:20px;'
        f'color:#6b675f;{_FONT}">'
        f'<a href="{html.escape(unsubscribe_url)}" '
        'style="color:#6b675f;text-decoration:underline;">Unsubscribe</a></p>\n'
    )


def _styled(inner: str) -> str:
    # Cleaned HTML holds "<" only where a tag of ours begins: text in it is escaped.
    for tag, style in _STYLES.items():
        inner = inner.replace(f"<{tag}>", f'<{tag} style="{style}">')
        inner = inner.replace(f"<{tag} ", f'<{tag} style="{style}" ')
    return inner
