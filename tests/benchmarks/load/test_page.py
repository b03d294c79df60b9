"""The page has the content of the report and loads no other file."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from benchmarks.load.figures import Figures
from benchmarks.load.judging import Criterion, Targets, judge
from benchmarks.load.page import page
from benchmarks.load.report import Report
from tests.benchmarks.load.figures import GOOD


@pytest.fixture(scope="module")
def report():
    return Report(GOOD, judge(GOOD, Targets()), {"cores": 2})


class Texts(HTMLParser):
    """Collects every text and every attribute of a page."""

    def __init__(self, html):
        super().__init__()
        self.texts, self.tags, self.links = [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [name for name, _ in attrs if name.split(":")[-1] in {"src", "href"}]

    def handle_data(self, data):
        self.texts.append(data)


def test_it_names_no_other_file_or_server(report):
    html = page(report)
    found = Texts(html)

    assert not {"script", "link", "img", "iframe", "object"} & set(found.tags)
    assert found.links == []
    assert re.findall(r"@import|url\(", html) == []


def test_it_has_the_verdict_every_criterion_and_a_plot_of_every_stage(report):
    found = Texts(page(report))

    assert report.verdict in found.texts
    assert {one.name for one in report.criteria} <= set(found.texts)
    assert found.tags.count("svg") == 5


def test_stages_that_were_not_run_have_no_plot():
    found = Texts(page(Report(Figures(GOOD.levels), None, {})))

    assert found.tags.count("svg") == 2


def test_text_is_escaped():
    html = page(Report(GOOD, [Criterion("<b>name</b>", "&", "<", passed=False)], {"a": "<i>"}))

    assert "<b>" not in html
    assert "<i>" not in html
    assert "&lt;b&gt;name" in html
