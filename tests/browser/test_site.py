"""The documentation site in a real browser: `make test-browser` builds the site and runs this."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urldefrag, urljoin

import pytest

from tests.programs import require

sync_api = pytest.importorskip("playwright.sync_api", reason="`make test-browser` installs it")

SITE = Path(__file__).parents[2] / "build" / "site"
#: Chromium calls its own services without these
QUIET = ("--no-sandbox", "--disable-background-networking", "--disable-component-update")


class _Handler(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        """Print no access log."""


@pytest.fixture(scope="module")
def site_url() -> Iterator[str]:
    assert (SITE / "index.html").is_file(), "build/site is missing: run `make site`"
    handler = partial(_Handler, directory=str(SITE))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    chromium = require("chromium")
    with sync_api.sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=chromium, args=list(QUIET))


class Visit:
    """One page of a browser, with the requests and the console errors that it caused."""

    def __init__(self, browser: Any) -> None:
        self.page = browser.new_page()
        self.requested: list[str] = []
        self.errors: list[str] = []
        self.page.on("request", lambda request: self.requested.append(request.url))
        self.page.on("requestfailed", lambda request: self.errors.append(f"failed: {request.url}"))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._on_console)

    def _on_console(self, message: Any) -> None:
        if message.type == "error":
            self.errors.append(f"{self.page.url}: {message.text} {message.location}")

    def open(self, url: str) -> None:
        answer = self.page.goto(url, wait_until="load")
        assert answer.status == 200, url


@pytest.fixture
def visit(browser: Any) -> Iterator[Visit]:
    visit = Visit(browser)
    yield visit
    visit.page.close()


def _links(visit: Visit) -> set[str]:
    hrefs = visit.page.eval_on_selector_all(
        "nav a.reference.internal, .bd-links a, .navbar-nav a, article a.reference.internal",
        "links => links.map(link => link.getAttribute('href'))",
    )
    here = visit.page.url
    return {urldefrag(urljoin(here, href)).url for href in hrefs if href}


def test_every_page_opens_without_an_error_or_a_request_to_another_host(
    visit: Visit, site_url: str
) -> None:
    to_visit, visited, diagrams = [site_url + "index.html"], set(), 0
    while to_visit:
        url = to_visit.pop()
        visited.add(url)
        visit.open(url)
        diagrams += _rendered_diagrams(visit)
        new = {link for link in _links(visit) if link.startswith(site_url)}
        to_visit += sorted(new - visited - set(to_visit))

    written = {
        site_url + str(path.relative_to(SITE))
        for path in SITE.rglob("*.html")
        if path.name not in {"genindex.html", "search.html"} and "_static" not in path.parts
    }
    assert visited >= written
    assert visit.errors == []
    assert [url for url in visit.requested if not url.startswith((site_url, "data:"))] == []
    assert diagrams >= 3


def _rendered_diagrams(visit: Visit) -> int:
    n = visit.page.locator("pre.mermaid").count()
    if n:
        visit.page.wait_for_function(
            "n => document.querySelectorAll('pre.mermaid svg').length === n", arg=n
        )
        # leaving the page would abort the chunks of Mermaid that are still loading
        visit.page.wait_for_load_state("networkidle")
    return n


def test_search_finds_the_page_of_a_measure(visit: Visit, site_url: str) -> None:
    visit.open(site_url + "search.html?q=worst_stress_loss")

    visit.page.wait_for_selector("#search-results ul li a")

    links = visit.page.eval_on_selector_all(
        "#search-results ul li a", "links => links.map(link => link.getAttribute('href'))"
    )
    assert any(link.startswith("reference/measures.html") for link in links)
    assert visit.errors == []


def test_the_colour_switch_turns_the_page_dark_and_the_choice_is_kept(
    visit: Visit, site_url: str
) -> None:
    visit.page.emulate_media(color_scheme="light")
    visit.open(site_url + "index.html")
    background = "getComputedStyle(document.body).backgroundColor"
    light = visit.page.evaluate(background)

    visit.page.locator("button.theme-switch-button:visible").click()
    visit.page.locator("button.theme-change-button[data-mode=dark]:visible").click()
    dark = visit.page.evaluate(background)
    visit.open(site_url + "glossary.html")

    assert visit.page.get_attribute("html", "data-theme") == "dark"
    assert light == "rgb(255, 255, 255)"
    assert dark == visit.page.evaluate(background) != light
    assert visit.errors == []
