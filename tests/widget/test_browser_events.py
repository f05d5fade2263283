"""What people do in their browser, in Chromium: it is stored once, and for the right person."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests._services import CHROMIUM, unavailable
from tests.widget._site import Site, serve_site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserContext, Page, Response, Route

pytestmark = pytest.mark.browser

TRACK = "**/engage/widget/track"


def told(word: str) -> Callable[[Response], bool]:
    """Return what knows the answer to `word`: one to what went before may come meanwhile."""

    def is_it(answer: Response) -> bool:
        return answer.url.endswith("/track") and f'"{word}"' in (answer.request.post_data or "")

    return is_it


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A host under a strict policy, with CSRF protection switched on."""
    with serve_site(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium as people have it: with the cache of pages that one can go back to."""
    if not CHROMIUM.exists():
        unavailable(f"Chromium ({CHROMIUM})", start="apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM),
            args=["--no-sandbox", "--disable-gpu"],
            ignore_default_args=["--disable-back-forward-cache"],
        )
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A fresh browser; a script's error or a violated policy fails the test."""
    context = browser.new_context()
    context.set_default_timeout(60_000)
    complaints: list[str] = []
    context.on("weberror", lambda found: complaints.append(str(found.error)))
    context.on(
        "console",
        lambda said: (
            complaints.append(said.text)
            if "Content Security Policy" in said.text or "TrustedHTML" in said.text
            else None
        ),
    )
    yield context
    context.close()
    assert complaints == []


@pytest.fixture
def ada(site: Site) -> int:
    return site.add_user()


@pytest.fixture
def page(site: Site, context: BrowserContext, ada: int) -> Page:
    """The host's page, opened by Ada; the script knows who she is."""
    return open_page(site, context, ada)


def open_page(site: Site, context: BrowserContext, user_id: int, path: str = "/") -> Page:
    log_in(site, context, user_id)
    page = context.new_page()
    with page.expect_response("**/inbox"):
        page.goto(site.url + path)
    return page


def log_in(site: Site, context: BrowserContext, user_id: int) -> None:
    context.request.get(f"{site.url}/login/{user_id}", max_redirects=0)


def wait_until(page: Page, condition: Callable[[], bool], seconds: float = 60) -> None:
    for _ in range(int(seconds * 20)):
        if condition():
            return
        page.wait_for_timeout(50)
    assert condition()


def test_events_arrive_together_in_the_session_of_the_visit(
    site: Site, page: Page, ada: int
) -> None:
    sent: list[Any] = []
    page.on("request", lambda asked: sent.append(asked) if asked.url.endswith("track") else None)
    with page.expect_response(TRACK) as answer:
        page.evaluate("""() => {
            const cart = {items: 2, total: 9.5, gift: false, note: null, title: 'Kraków 美咲'};
            Engage.track('opened cart', cart);
            cart.items = 3;
            Engage.track('  paid ');
        }""")
    assert answer.value.json() == {"accepted": 2, "rejected": []}
    assert len(sent) == 1
    cart = {"items": 2, "total": 9.5, "gift": False, "note": None, "title": "Kraków 美咲"}
    assert site.events(ada) == [("opened cart", cart), ("paid", {})]
    [session] = site.sessions(ada)
    assert {row.session_id for row in site.event_rows(ada)} == {session.id}
    # The login's answer and the page: events are no hits of their own.
    assert session.hits == 2


def test_many_events_do_not_wait(site: Site, page: Page, ada: int) -> None:
    with page.expect_response(TRACK):
        page.evaluate("for (let i = 0; i < 20; i += 1) Engage.track('scrolled', {i})")
    assert len(site.events(ada)) == 20


def test_a_marked_element_is_tracked_when_used(site: Site, page: Page, ada: int) -> None:
    plan = ("chose plan", {"plan": "pro", "seat_count": 3})
    steps: list[tuple[Callable[[], None], tuple[str, dict[str, Any]] | None]] = [
        (lambda: page.click("#plan b"), plan),
        (lambda: page.press("#plan", "Enter"), plan),
        (lambda: page.press("#plan", " "), plan),
        (lambda: page.click("#plan", button="right"), None),
        (lambda: page.click("h1"), None),
        (lambda: page.click("#icon"), ("opened card", {})),
        (lambda: page.click("#inner"), ("pressed inner", {"code": "007", "on": True})),
        (lambda: page.click("#label"), ("ticked", {})),
        (lambda: page.click("#tick"), ("ticked", {})),
        (lambda: page.click("#in-form"), None),
        (lambda: page.click("#stopped"), ("stopped", {})),
        (lambda: page.click("#leads-on", button="middle"), ("followed", {})),
    ]
    for step, _ in steps:
        step()
    wanted = [event for _, event in steps if event]
    wait_until(page, lambda: len(site.events(ada)) >= len(wanted))
    assert site.events(ada) == wanted


@pytest.mark.parametrize(
    ("act", "name"),
    [
        (lambda page: page.press("#search", "Enter"), "searched"),
        (lambda page: page.click("#leads-on"), "followed"),
    ],
)
def test_what_leads_to_another_page_is_told_before(
    site: Site, page: Page, ada: int, act: Callable[[Page], None], name: str
) -> None:
    act(page)
    page.wait_for_url("**/next*")
    wait_until(page, lambda: bool(site.events(ada)))
    assert [event for event, _ in site.events(ada)] == [name]


NO_NAVIGATION = "Object.defineProperty(window, 'navigation', {value: undefined})"


@pytest.mark.parametrize("script", ["", NO_NAVIGATION])
def test_pages_that_scripts_show_are_sightings(
    site: Site, context: BrowserContext, ada: int, script: str
) -> None:
    context.add_init_script(script)
    page = open_page(site, context, ada)
    before = site.hits(ada)
    for step in (
        "history.pushState(null, '', '/reports')",
        "history.replaceState(null, '', '/reports?sort=name')",  # the same page
        "history.pushState(null, '', '/reports#top')",
        "history.pushState(null, '', '/start'), history.replaceState(null, '', '/people')",
        "history.back()",  # from /people to /reports#top
        "location.hash = '#/inbox?folder=1'",
        "history.pushState(null, '', '/excluded/1'), Engage.page()",
        "history.pushState(null, '', '/next'), Engage.page('viewed next', {tab: 2})",
        "Engage.page()",  # once more, on purpose
    ):
        page.evaluate(f"() => {{ {step} }}")
        page.wait_for_timeout(150)
    with page.expect_response(told("end")):
        page.evaluate("Engage.track('end')")
    assert site.events(ada) == [("viewed next", {"tab": 2}), ("end", {})]
    # /reports, /people, /reports#top, /reports#/inbox, /next twice.
    assert site.hits(ada) - before == 6


def test_a_router_that_tells_of_its_pages_itself_counts_none_twice(
    site: Site, page: Page, ada: int
) -> None:
    before = site.hits(ada)
    page.evaluate("Engage.page()")  # of the page that has just been loaded
    with page.expect_response(told("/reports")):
        page.evaluate("history.pushState(null, '', '/reports')")
        page.wait_for_timeout(150)
        page.evaluate("Engage.page()")
    assert site.hits(ada) - before == 1


def test_a_page_that_a_script_fetches_from_the_host_counts_once(
    site: Site, page: Page, ada: int
) -> None:
    before = site.hits(ada)
    with page.expect_response(told("end")):
        page.evaluate("""async () => {
            document.querySelector('main').textContent = await (await fetch('/next')).text();
            history.pushState(null, '', '/next');
            document.body.dispatchEvent(new Event('htmx:pushedIntoHistory', {bubbles: true}));
        }""")
        page.wait_for_timeout(200)
        page.evaluate("Engage.track('end')")
    assert site.events(ada) == [("end", {})]
    assert site.hits(ada) - before == 1


def test_a_session_begun_by_a_click_tells_where(site: Site, page: Page, ada: int) -> None:
    page.evaluate("history.pushState(null, '', '/reports')")
    page.wait_for_timeout(100)
    site.advance(hours=3)
    with page.expect_response(told("woke up")):
        page.evaluate("Engage.track('woke up')")
    *_, session = site.sessions(ada)
    assert session.landing_page == "/reports"
    assert session.browser is not None
    assert site.event_rows(ada)[-1].session_id == session.id


@pytest.mark.parametrize("then", ["login", "logout"])
def test_nothing_goes_to_somebody_who_logged_in_in_another_tab(
    site: Site, context: BrowserContext, page: Page, ada: int, then: str
) -> None:
    bob = site.add_user()
    other = context.new_page()
    other.goto(site.url + (f"/login/{bob}" if then == "login" else "/logout"))
    hits = site.hits(bob)
    with page.expect_response(TRACK) as answer:
        page.evaluate("Engage.track('by ada, too late'); history.pushState(null, '', '/reports')")
    assert answer.value.status == (409 if then == "login" else 401)
    assert site.events(ada) == site.events(bob) == []
    assert site.hits(bob) == hits
    if then == "login":
        with page.expect_response(told("by bob")) as answer:
            page.evaluate("Engage.track('by bob')")
        assert answer.value.status == 200
        assert site.events(bob) == [("by bob", {})]
        assert site.events(ada) == []


def test_what_is_tracked_first_waits_until_it_is_known_who_is_there(
    site: Site, context: BrowserContext, ada: int
) -> None:
    log_in(site, context, ada)
    page = context.new_page()
    held: list[Route] = []
    page.route("**/inbox*", lambda route: held.append(route))  # noqa: PLW0108
    page.goto(site.url + "/early")  # its own scripts use Engage before ours is there
    page.evaluate("Engage.track('later')")
    page.wait_for_timeout(1500)
    assert site.events(ada) == []
    with page.expect_response(TRACK):
        for route in held:
            route.continue_()
    assert site.events(ada) == [("first of all", {"n": 1}), ("later", {})]


def test_what_is_gathered_is_sent_when_nobody_looks_any_more(
    site: Site, context: BrowserContext, ada: int
) -> None:
    page = open_page(site, context, ada)
    page.evaluate("setTimeout = () => 0")  # nothing else would send it
    page.evaluate("Engage.track('read'); Engage.track('read on')")
    with page.expect_response(TRACK):
        page.evaluate("""() => {
            Object.defineProperty(document, 'hidden', {value: true});
            document.dispatchEvent(new Event('visibilitychange'));
        }""")
    assert [name for name, _ in site.events(ada)] == ["read", "read on"]


def test_a_reply_that_is_lost_doubles_nothing(site: Site, page: Page, ada: int) -> None:
    before = site.hits(ada)
    tries: list[str] = []
    stored: list[int] = []

    def troubled(route: Route) -> None:
        tries.append(route.request.post_data or "")
        if len(tries) == 1:
            route.abort()
        elif len(tries) == 2:
            stored.append(route.fetch().status)  # but nobody hears of it
            route.abort()
        elif len(tries) == 3:
            route.fulfill(status=503, headers={"Retry-After": "1"})
        else:
            route.continue_()

    page.route(TRACK, troubled)
    with page.expect_response(lambda answer: answer.url.endswith("track") and answer.ok):
        page.evaluate("Engage.track('paid', {amount: 40}); history.pushState(null, '', '/reports')")
    assert len(tries) == 4
    assert stored == [200]
    page.unroute(TRACK)
    with page.expect_response(told("end")):
        page.evaluate("Engage.track('end')")
    assert site.events(ada) == [("paid", {"amount": 40}), ("end", {})]
    assert site.hits(ada) - before == 1


def test_what_is_done_offline_arrives_when_the_network_is_back(
    site: Site, context: BrowserContext, page: Page, ada: int
) -> None:
    context.set_offline(True)
    page.evaluate("Engage.track('read offline')")
    page.wait_for_timeout(1500)
    assert site.events(ada) == []
    with page.expect_response(TRACK):
        context.set_offline(False)
    assert site.events(ada) == [("read offline", {})]


def test_a_flood_is_slowed_down_and_loses_nothing(site: Site, page: Page, ada: int) -> None:
    refused: list[str] = []
    page.on(
        "response",
        lambda answer: (
            refused.append(answer.headers["retry-after"]) if answer.status == 429 else None
        ),
    )
    page.evaluate("for (let i = 0; i < 130; i += 1) Engage.track('scrolled', {i})")
    wait_until(page, lambda: len(site.events(ada)) == 130)
    assert [properties["i"] for _, properties in site.events(ada)] == list(range(130))
    assert refused
    assert all(1 <= int(seconds) <= 2 for seconds in refused)


def test_a_developers_mistake_is_told_and_costs_nothing_else(
    site: Site, page: Page, ada: int
) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    with page.expect_response(TRACK) as answer:
        taken = page.evaluate("""() => {
        const round = {}; round.round = round;
        return [
            Engage.track('nested', {a: {b: 1}}),
            Engage.track('round', round),
            Engage.track('large', {text: 'x'.repeat(30000)}),
            Engage.track(''),
            Engage.track('half', {text: '\\ud83d', not: '\\\\ud83d'}),
            Engage.track('good'),
        ];
    }""")
    assert taken == [True, False, False, True, True, True]
    assert [wrong["field"] for wrong in answer.value.json()["rejected"]] == ["properties", "name"]
    half = {"text": "\ufffd", "not": "\\ud83d"}
    assert site.events(ada) == [("half", half), ("good", {})]
    wait_until(page, lambda: len(said) == 4)
    assert all(text.startswith("Engage: ") for text in said)


def test_a_page_in_a_frame_tells_what_is_done_in_it(site: Site, page: Page, ada: int) -> None:
    page.goto(site.url + "/framing")
    frame = page.frame_locator("iframe")
    with page.expect_response(TRACK):
        frame.locator("#plan").click()
    assert [name for name, _ in site.events(ada)] == ["chose plan"]


def test_a_host_below_a_path_has_paths_of_its_own(
    site: Site, context: BrowserContext, ada: int
) -> None:
    page = open_page(site, context, ada, "/shop/")
    site.advance(hours=3)
    with page.expect_response("**/shop/engage/widget/track"):
        page.evaluate("history.pushState(null, '', '/shop/caf%C3%A9')")
    assert site.sessions(ada)[-1].landing_page == "/café"


@pytest.mark.parametrize("same", [True, False])
def test_a_page_taken_from_the_back_forward_cache_is_seen_again(
    site: Site, context: BrowserContext, page: Page, ada: int, same: bool
) -> None:
    page.evaluate("addEventListener('pageshow', (event) => { window.kept = event.persisted; })")
    page.goto(site.url + "/next")
    user_id = ada if same else site.add_user()
    if not same:
        log_in(site, context, user_id)
    before = site.hits(user_id)
    with page.expect_event("framenavigated"):
        page.evaluate("history.back()")
    wait_until(page, lambda: page.evaluate("window.kept"))
    with page.expect_response(told("after")) as answer:
        page.evaluate("Engage.track('after')")
    assert answer.value.status == (200 if same else 409)
    assert [name for name, _ in site.events(user_id)] == (["after"] if same else [])
    assert site.hits(user_id) - before == same


def test_a_page_that_is_prepared_counts_when_it_is_looked_at(
    site: Site, context: BrowserContext, ada: int
) -> None:
    context.add_init_script(
        "Object.defineProperty(document, 'prerendering', {"
        "get: () => !window.shown, configurable: true})"
    )
    log_in(site, context, ada)
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(site.url, wait_until="networkidle")
    page.evaluate("Engage.track('prepared')")
    assert not [url for url in asked if "inbox" in url]
    before = site.hits(ada)
    with page.expect_response(TRACK):
        page.evaluate(
            "window.shown = true, document.dispatchEvent(new Event('prerenderingchange'))"
        )
    assert [name for name, _ in site.events(ada)] == ["prepared"]
    assert site.hits(ada) - before == 1


def test_nobody_is_asked_about_who_is_not_recorded(
    site: Site, context: BrowserContext, ada: int
) -> None:
    asked = threading.Event()
    page = context.new_page()
    page.goto(site.url + "/placed")  # the tag, with nobody logged in
    page.on("request", lambda request: asked.set() if request.method == "POST" else None)
    wait_until(page, lambda: page.evaluate("typeof Engage") == "object")
    page.evaluate("Engage.track('nobody did this')")
    page.click("#plan")
    page.wait_for_timeout(1500)
    assert not asked.is_set()
