"""What people wrote: titles, opening lines and sections to draw from."""

from __future__ import annotations

from random import Random

TITLES = (
    "Sunday letter",
    "What the harbour knows",
    "Notes from the allotment",
    "The slow commute",
    "Five links and a soup",
    "Studio diary",
    "Letters to a new colleague",
    "The back room",
    "A week in small type",
    "Minutes of nothing",
    "Field notes",
    "The Thursday fold",
    "رسالة من الميناء",
    "今週のこと",
    "Письмо из деревни",
    "Carta da serra",
    "सप्ताह की चिट्ठी",
)
INTROS = (
    "The boats were late this week, and so am I.",
    "Three things I read, one I made, and a question at the end.",
    "It rained on the market and nobody went home.",
    "We moved the desks. It helped more than the new software did.",
    "",
)
HEADINGS = (
    "What changed",
    "A small win",
    "From the workshop",
    "On the table",
    "Seen this week",
    "Who joined us",
    "Still unsolved",
    "Next time",
    "",
)
TEXTS = (
    "We tried the shorter form first. People answered it.\n\nThe long one is in the drawer.",
    "The kiln is repaired. The first firing goes in on Friday, if the clay dries.",
    "Somebody asked why we print at all. Because it can lie on a table.",
    "There were forty of us and one kettle. Bring a kettle.",
    "The count is done: two hundred and twelve swifts, nine more than last year.",
)
QUOTES = (
    "A letter is a walk with somebody who is not there.",
    "Say it once, and leave a margin.",
    "Whatever you do, do not end with a summary.",
)
LINKS = (
    "How kites fly | https://example.org/kites\nA history of the fold | https://example.org/fold",
    (
        "Bread for people in a hurry | https://example.com/bread\n"
        "The map of quiet streets | https://example.com/quiet\n"
        "An hour of harbour sounds | https://example.org/harbour"
    ),
)
CAPTIONS = ("Taken from the bridge.", "Before the rain.", "")


def title(random: Random, number: int) -> str:
    """What a newsletter is called."""
    return f"{random.choice(TITLES)}, no. {number}"


def body(random: Random, kind: str) -> str:
    """Words for a section of this kind."""
    stock = {"text": TEXTS, "quote": QUOTES, "links": LINKS, "picture": CAPTIONS}
    return random.choice(stock[kind])
