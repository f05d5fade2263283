"""Names as they are: many scripts, some very long, some meant to do harm."""

from __future__ import annotations

from random import Random
from typing import NamedTuple


class Place(NamedTuple):
    """Where people come from: their time zones and what they are called, `native:latin`."""

    weight: int
    """How many come from here, compared with the others."""
    zones: tuple[str, ...]
    given: tuple[str, ...]
    family: tuple[str, ...]
    family_first: bool = False


PLACES: tuple[Place, ...] = (
    Place(
        22,
        ("America/New_York", "America/Chicago", "America/Los_Angeles", "Europe/London"),
        ("Grace", "Wendell", "Ruth", "Amos", "Della", "Otis", "Pearl", "Silas", "Maeve", "Colin"),
        ("Okafor", "Whitlock", "Barnes", "Tran", "Hale", "O'Brien", "Moss", "Ashdown", "Pike"),
    ),
    Place(
        8,
        ("Europe/Madrid", "America/Mexico_City", "America/Bogota", "America/Argentina/Salta"),
        ("Lucía:lucia", "Íñigo:inigo", "Marisol", "Joaquín:joaquin", "Noemí:noemi", "Rubén:ruben"),
        ("Núñez:nunez", "de la Fuente:delafuente", "Ibarra", "Peña:pena", "Quiroga", "Solís:solis"),
    ),
    Place(
        6,
        ("Europe/Lisbon", "America/Sao_Paulo"),
        ("João:joao", "Conceição:conceicao", "Tiago", "Luísa:luisa", "Davi", "Beatriz"),
        ("Gonçalves:goncalves", "Araújo:araujo", "Brandão:brandao", "Teixeira", "Moura"),
    ),
    Place(
        7,
        ("Europe/Paris", "Africa/Dakar", "America/Montreal"),
        ("Zoé:zoe", "François:francois", "Aïssatou:aissatou", "Maël:mael", "Hélène:helene"),
        ("Lefèvre:lefevre", "N’Diaye:ndiaye", "D’Aubigné:daubigne", "Tremblay", "Bouchard"),
    ),
    Place(
        8,
        ("Europe/Berlin", "Europe/Vienna", "Europe/Zurich"),
        ("Jürgen:juergen", "Änne:aenne", "Käthe:kaethe", "Lutz", "Friederike", "Björn:bjoern"),
        ("Groß:gross", "Müller-Lüdenscheidt:mueller", "Schäfer:schaefer", "von Ahlen:vonahlen"),
    ),
    Place(
        4,
        ("Europe/Warsaw", "Europe/Prague"),
        ("Łucja:lucja", "Zbigniew", "Małgorzata:malgorzata", "Jiří:jiri", "Bożena:bozena"),
        ("Wójcik:wojcik", "Szczęsny:szczesny", "Dvořák:dvorak", "Brzęczyszczykiewicz:brzeczy"),
    ),
    Place(
        3,
        ("Europe/Istanbul",),
        ("İpek:ipek", "Çağla:cagla", "Işıl:isil", "Oğuz:oguz", "Şule:sule"),
        ("Yıldız:yildiz", "Öztürk:ozturk", "Güneş:gunes", "Çelik:celik"),
    ),
    Place(
        4,
        ("Europe/Stockholm", "Atlantic/Reykjavik", "Europe/Copenhagen"),
        ("Åsa:asa", "Søren:soren", "Þórunn:thorunn", "Bjørg:bjorg", "Nils"),
        ("Lindström:lindstrom", "Ørsted:orsted", "Guðmundsdóttir:gudmundsdottir", "Ek"),
    ),
    Place(
        6,
        ("Africa/Cairo", "Asia/Riyadh", "Africa/Casablanca", "Asia/Beirut"),
        ("ليلى:layla", "يوسف:yusuf", "نور:nur", "خالد:khalid", "مريم:maryam", "عمر:omar"),
        ("الخطيب:alkhatib", "حداد:haddad", "المصري:almasri", "بن سعيد:bensaid", "زيدان:zidan"),
    ),
    Place(
        2,
        ("Asia/Jerusalem",),
        ("נועה:noa", "איתן:eitan", "תמר:tamar", "אורי:uri"),
        ("בן־דוד:bendavid", "לוי:levi", "שפירא:shapira", "מזרחי:mizrahi"),
    ),
    Place(
        3,
        ("Asia/Tehran",),
        ("شیرین:shirin", "بهرام:bahram", "نیلوفر:niloufar", "کیان:kian"),
        ("رضایی:rezaei", "جعفری:jafari", "پارسا:parsa", "مهدوی:mahdavi"),
    ),
    Place(
        4,
        ("Asia/Kolkata",),
        ("अनन्या:ananya", "विक्रम:vikram", "मीरा:meera", "अर्जुन:arjun"),
        ("शर्मा:sharma", "मेहता:mehta", "जोशी:joshi"),
    ),
    Place(
        1,
        ("Asia/Kolkata", "Asia/Colombo"),
        ("தமிழ்ச்செல்வி:tamilselvi", "கவின்:kavin", "நிலா:nila"),
        ("சுப்ரமணியன்:subramanian", "முருகன்:murugan"),
    ),
    Place(
        1,
        ("Asia/Dhaka", "Asia/Kolkata"),
        ("অর্ণব:arnab", "মৌসুমী:mousumi", "তানিয়া:tania"),
        ("সেনগুপ্ত:sengupta", "রহমান:rahman"),
    ),
    Place(
        7,
        ("Asia/Shanghai", "Asia/Taipei", "Asia/Singapore"),
        ("伟:wei", "秀英:xiuying", "子涵:zihan", "美玲:meiling", "國強:guoqiang"),
        ("王:wang", "李:li", "陳:chen", "欧阳:ouyang", "張:zhang"),
        family_first=True,
    ),
    Place(
        4,
        ("Asia/Tokyo",),
        ("さくら:sakura", "健太:kenta", "陽子:yoko", "ハルト:haruto", "美咲:misaki"),
        ("佐藤 :sato", "鈴木 :suzuki", "長谷川 :hasegawa", "東海林 :shoji"),
        family_first=True,
    ),
    Place(
        3,
        ("Asia/Seoul",),
        ("서연:seoyeon", "민준:minjun", "지우:jiwoo", "하은:haeun"),
        ("김:kim", "박:park", "남궁:namgung", "최:choi"),
        family_first=True,
    ),
    Place(
        3,
        ("Europe/Kyiv", "Europe/Sofia"),
        ("Оксана:oksana", "Богдан:bohdan", "Ґанна:hanna", "Остап:ostap"),
        ("Шевчук:shevchuk", "Їжакевич:yizhakevych", "Бондар:bondar"),
    ),
    Place(
        1,
        ("Asia/Almaty",),
        ("Айгүл:aigul", "Нұрлан:nurlan", "Әсел:asel"),
        ("Нұрланова:nurlanova", "Ахметов:akhmetov"),
    ),
    Place(
        2,
        ("Europe/Athens",),
        ("Ελένη:eleni", "Γιώργος:giorgos", "Ναυσικά:nafsika", "Άρης:aris"),
        ("Παπαδοπούλου:papadopoulou", "Καραγιάννης:karagiannis", "Βλάχος:vlachos"),
    ),
    Place(
        2,
        ("Asia/Bangkok",),
        ("สมชาย:somchai", "กัญญารัตน์:kanyarat", "อรทัย:orathai"),
        ("ศรีสวัสดิ์:srisawat", "วงศ์สุวรรณ:wongsuwan", "จันทร์เพ็ญ:chanpen"),
    ),
    Place(
        3,
        ("Asia/Ho_Chi_Minh",),
        ("Ngọc Ánh:ngocanh", "Đức:duc", "Thùy Dương:thuyduong", "Hữu:huu"),
        ("Nguyễn :nguyen", "Trần :tran", "Phạm :pham", "Đặng :dang"),
        family_first=True,
    ),
    Place(
        4,
        ("Africa/Lagos", "Africa/Nairobi", "Africa/Johannesburg"),
        ("Ọlábísí:olabisi", "Chidi", "Wanjikũ:wanjiku", "Thandeka", "Kwabena"),
        ("Adébáyọ̀:adebayo", "Ńwosu:nwosu", "Mwangi", "Dlamini", "Asante"),
    ),
    Place(
        1,
        ("Africa/Addis_Ababa",),
        ("ትዕግስት:tigist", "ሰላማዊት:selamawit", "ዳዊት:dawit"),
        ("ኃይሌ:haile", "ተስፋዬ:tesfaye"),
    ),
    Place(
        1,
        ("Asia/Tbilisi",),
        ("ნინო:nino", "გიორგი:giorgi", "თამარ:tamar"),
        ("ბერიძე:beridze", "კაპანაძე:kapanadze"),
    ),
    Place(
        1,
        ("Asia/Yerevan",),
        ("Անահիտ:anahit", "Տիգրան:tigran"),
        ("Պետրոսյան:petrosyan", "Հակոբյան:hakobyan"),
    ),
)
STRANGE: tuple[str, ...] = (
    '"><script>alert(1)</script>',
    "<img src=x onerror=alert(document.domain)>",
    "{{ 7 * 7 }}{% for x in ().__class__.__base__.__subclasses__() %}{% endfor %}",
    "Robert'); DROP TABLE user;--",
    '=HYPERLINK("https://paperkite.example","Click")',
    "javascript:alert(1)//",
    "</textarea></style></script><h1>Big",
    "[a link](javascript:alert(1)) **bold**",
    "\u202eevila tsrif\u202c",
    "O\u200bz\u200b \u2066mixed\u2069 אבג abc",
    "Zoë 👩🏽‍🚀🏳️‍🌈",
    "null",
    "%s%n${name}",
    "X",
    "Hubert Blaine Wolfeschlegelsteinhausenbergerdorff the Elder of Philadelphia and Hamburg",
    "Keihanaikukauakahihuliheekahaunaele",
    (
        "Pablo Diego José Francisco de Paula Juan Nepomuceno María de los Remedios Cipriano de la "
        "Santísima Trinidad Ruiz y Picasso"
    ),
    "محمد بن عبد الرحمن بن عبد العزيز بن عبد اللطيف بن إبراهيم الشريف الهاشمي القرشي",
    "เทพนรินทร์เลิศฤทธิ์มหาจักรวาลสิริวัฒนาธรรมรัตนโกสินทร์",
    "Zͣaͫlͤgͬoͪ Ṱ̺̺̕o͞ ͟t̲h̳e̹ ̼r̺o͍w̱",
)


class Named(NamedTuple):
    """What somebody is called, where mail reaches them, and which clock they live by."""

    name: str
    mailbox: str
    zone: str


def draw(random: Random, number: int) -> Named:
    """A name, a mailbox of its own and a time zone. Every fiftieth person has a strange name."""
    place = random.choices(PLACES, [place.weight for place in PLACES])[0]
    given, given_latin = _split(random.choice(place.given))
    family, family_latin = _split(random.choice(place.family))
    zone = random.choice(place.zones)
    name = f"{family}{given}" if place.family_first else f"{given} {family}"
    mailbox = f"{given_latin}.{family_latin}{number}"
    if number % 50 == 7:
        turn = number // 50
        return Named(STRANGE[turn % len(STRANGE)], f"someone{number}", zone)
    return Named(name, mailbox, zone)


def _split(entry: str) -> tuple[str, str]:
    native, _, latin = entry.partition(":")
    return native, latin or native.lower().replace(" ", "").replace("'", "")
