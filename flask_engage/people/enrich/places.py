"""What needs no service: the company in an address's domain, and a MaxMind file."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any, Final

from ...errors import InvalidSettings
from ...types import Profile

_log = logging.getLogger("flask_engage")

#: Where people have an address of their own, not their company's. The ends of national ones
#: (yahoo.de, hotmail.co.uk) are in :data:`_FREE_NAMES`.
FREE_MAIL: Final = frozenset(
    """
    126.com 139.com 163.com 21cn.com aim.com aol.com att.net bellsouth.net bigpond.com bk.ru
    blueyonder.co.uk bluewin.ch bol.com.br btinternet.com centrum.cz charter.net comcast.net
    cox.net daum.net docomo.ne.jp duck.com earthlink.net email.cz email.com example.com
    example.net example.org ezweb.ne.jp fastmail.com fastmail.fm foxmail.com free.fr freenet.de
    frontier.com gmail.com googlemail.com gmx.at gmx.ch gmx.com gmx.de gmx.net hanmail.net
    hey.com home.nl hushmail.com icloud.com ig.com.br inbox.com inbox.lv inbox.ru interia.pl
    internode.on.net juno.com kpnmail.nl laposte.net libero.it list.ru live.com mac.com mail.com
    mail.de mail.ee mail.ru mailbox.org mailinator.com me.com msn.com nate.com naver.com
    neuf.fr netscape.net ntlworld.com o2.pl onet.pl online.no optonline.net optusnet.com.au
    orange.fr outlook.com pm.me posteo.de posteo.net proton.me protonmail.ch protonmail.com
    qq.com rambler.ru rediffmail.com riseup.net rocketmail.com rogers.com sapo.pt
    sbcglobal.net seznam.cz sfr.fr shaw.ca sina.com sky.com skynet.be softbank.ne.jp sohu.com
    startmail.com sympatico.ca t-online.de talktalk.net telenet.be telia.com telus.net terra.com.br
    tiscali.it tuta.com tuta.io tutanota.com tutanota.de ukr.net uol.com.br verizon.net
    virgilio.it virginmedia.com vodafone.de wanadoo.fr web.de windstream.net wp.pl xs4all.nl
    xtra.co.nz yandex.com yandex.ru yeah.net ymail.com zoho.com zohomail.com
    """.split()  # noqa: SIM905
)
_FREE_NAMES: Final = frozenset("gmail googlemail gmx hotmail live outlook yahoo yandex".split())  # noqa: SIM905
#: Second levels below which companies have their names.
_SECOND: Final = frozenset("ac co com edu gov ltd me ne net nom or org plc sch".split())  # noqa: SIM905
_DOMAIN: Final = re.compile(r"[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})+")


def domain_of(email: str) -> str | None:
    """Return the domain of an address as it would be registered; None for free mail."""
    host = email.rpartition("@")[2].strip().lower().rstrip(".")
    try:
        host = host.encode("idna").decode() if not host.isascii() else host
    except UnicodeError:
        return None
    if len(host) > 253 or not _DOMAIN.fullmatch(host) or host.rpartition(".")[2].isdigit():
        return None
    parts = host.split(".")
    kept = 3 if len(parts) > 2 and len(parts[-1]) == 2 and parts[-2] in _SECOND else 2
    domain = ".".join(parts[-kept:])
    is_reserved = parts[-1] in ("invalid", "local", "localhost", "test", "example")
    if is_reserved or host in FREE_MAIL or domain in FREE_MAIL or parts[-kept] in _FREE_NAMES:
        return None
    return domain


def guess_companies(emails: Mapping[int, str]) -> dict[int, Profile]:
    """Return the companies that people's addresses speak of, by person."""
    found = {}
    for person_id, email in emails.items():
        domain = domain_of(email)
        if domain is not None:
            found[person_id] = Profile(company=_name_in(domain), company_domain=domain)
    return found


def _name_in(domain: str) -> str:
    label = domain.partition(".")[0]
    if label.startswith("xn--"):
        try:
            label = label.encode().decode("idna")
        except UnicodeError:
            return domain
    return " ".join(word[:1].upper() + word[1:] for word in label.split("-") if word) or domain


def find_places(path: str, addresses: Mapping[int, str]) -> dict[int, Profile]:
    """Return where people are, by person, as a MaxMind file knows it of their addresses.

    The file is opened for these and closed again: it may be replaced at any time.

    :raises InvalidSettings: if it can't be used, or maxminddb is missing.
    """
    try:
        import maxminddb
    except ImportError:
        raise InvalidSettings("A MaxMind file needs maxminddb: flask-engage[geo].") from None
    found: dict[int, Profile] = {}
    try:
        with maxminddb.open_database(path) as reader:
            for person_id, address in addresses.items():
                try:
                    record = reader.get(address)
                except ValueError:
                    continue  # no address, or an IPv6 one, and the file knows IPv4 alone
                profile = _place_in(record)
                if profile is not None:
                    found[person_id] = profile
    except (OSError, maxminddb.InvalidDatabaseError) as error:
        raise InvalidSettings(f"the MaxMind file can't be used: {type(error).__name__}") from error
    return found


def _place_in(record: Any) -> Profile | None:
    if not isinstance(record, dict):
        return None
    city = _name(record.get("city"))
    country = record.get("country")
    code = country.get("iso_code") if isinstance(country, dict) else None
    where = record.get("location")
    zone = where.get("time_zone") if isinstance(where, dict) else None
    words = [text for text in (city, _name(country) or code) if isinstance(text, str)]
    if not words and not isinstance(zone, str):
        return None
    return Profile(
        location=", ".join(words) or None,
        country=code.upper() if isinstance(code, str) else None,
        city=city,
        timezone=zone if isinstance(zone, str) else None,
    )


def _name(place: Any) -> str | None:
    names = place.get("names") if isinstance(place, dict) else None
    name = names.get("en") if isinstance(names, dict) else None
    return name if isinstance(name, str) else None
