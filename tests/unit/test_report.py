"""The report holds everything it was given, loads nothing, and trusts no text."""

import base64
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from largebatch.report.page import cell, render
from largebatch.report.titles import TITLES

SVG = '<svg xmlns="http://www.w3.org/2000/svg"><circle id="a" r="1"/></svg>'
VOID = {"meta", "img", "br", "link", "input", "hr"}
LOADING = {"script", "link", "iframe", "object", "embed", "base", "video", "audio", "source"}


def claim(number, network, verdict, effect=math.nan, low=math.nan, high=math.nan) -> dict:
    return {
        "claim": number,
        "statement": f"Statement number {number}.",
        "network": network,
        "verdict": verdict,
        "effect": effect,
        "effect_name": "gap of SB over LB",
        "unit": "points",
        "low": low,
        "high": high,
        "trials": 5,
        "paper": "0.22 points",
        "basis": f"Basis of {number} on {network}.",
    }


def make_content(**changes) -> dict:
    claims = [claim(n, "F1", "yes", 1.234, 0.5, 2.0) for n in range(1, 10)]
    claims += [claim(10, "F1", "not measured"), claim(1, "all networks", "undecided")]
    figures = [
        {"name": name, "title": f"Title of {name}", "caption": f"Caption of {name}.", "svg": SVG}
        for name in ("figure_gap", "figure1", "figure2")
    ]
    tables = [
        {
            "name": name,
            "title": f"Title of {name}",
            "caption": f"Caption of {name}.",
            "frame": pd.DataFrame({"network": ["F1"], "value": [0.98765]}),
        }
        for name in ("table1", "convergence", "paper")
    ]
    content = {
        "study": "mini",
        "title": "A miniature",
        "headline": "Nine claims hold. One was not measured.",
        "claims": pd.DataFrame(claims),
        "figures": figures,
        "tables": tables,
        "failures": pd.DataFrame(columns=["network", "method", "trial", "message"]),
        "remedies": "",
        "settings_yaml": "seed: 0\n",
        "provenance": {"Code": [("commit", "abc123"), ("uncommitted changes", False)]},
    }
    return content | changes


class Page(HTMLParser):
    """Collects tags, and fails where they are not properly nested."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.text = [], [], ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def attributes(self, name):
        return [attributes[name] for _, attributes in self.tags if name in attributes]


def test_page_holds_every_claim_figure_table_setting_and_source():
    content = make_content()
    page = Page(render(content))
    for number in range(1, 11):
        assert f"Statement number {number}." in page.text
        assert f"Basis of {number} on F1." in page.text
    for exhibit in content["figures"] + content["tables"]:
        assert page.text.count(exhibit["caption"]) == 1
        assert page.attributes("id").count(exhibit["name"]) == 1
    for words in (
        "1.23 points",
        "0.500 to 2.00",
        "0.988",
        "seed: 0",
        "abc123",
        "One was not measured.",
    ):
        assert words in page.text


def test_verdict_of_all_networks_leads_and_single_ones_follow():
    html = render(make_content())
    block = html[html.index('<tbody id="claim1">') : html.index('<tbody id="claim2">')]
    assert re.findall(r'class="badge ([a-z-]+)"', block) == ["undecided", "yes"]
    block = html[html.index('<tbody id="claim10">') :]
    assert 'class="badge not-measured"' in block


def test_figures_are_embedded_unchanged():
    sources = [a["src"] for tag, a in Page(render(make_content())).tags if tag == "img"]
    assert len(sources) == 3
    for source in sources:
        head, packed = source.split(",")
        assert head == "data:image/svg+xml;base64"
        assert base64.b64decode(packed).decode() == SVG


def test_page_loads_nothing_from_elsewhere():
    html = render(make_content())
    page = Page(html)
    assert not LOADING & {tag for tag, _ in page.tags}
    assert all(source.startswith("data:") for source in page.attributes("src"))
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_links_inside_the_page_have_targets():
    page = Page(render(make_content()))
    targets = [link[1:] for link in page.attributes("href") if link.startswith("#")]
    ids = page.attributes("id")
    assert len(targets) > 10
    assert set(targets) <= set(ids)
    assert len(ids) == len(set(ids))


def test_columns_of_numbers_are_aligned_to_the_right():
    frame = pd.DataFrame({"a": ["1.2e-05", "–"], "b": ["97.8 ± 0.1", "3 [1, 5]"], "c": ["x", "1"]})
    table = {"name": "t", "title": "T", "caption": "C.", "frame": frame}
    page = Page(render(make_content(tables=[table])))
    heads = [a.get("class") for tag, a in page.tags if tag == "th" and a.get("scope") == "col"]
    assert heads[-3:] == ["num", "num", None]


def test_texts_are_escaped():
    evil = "<script>alert(1)</script>&"
    content = make_content(title=evil, headline=evil, settings_yaml=evil)
    content["figures"][0]["caption"] = content["tables"][0]["caption"] = evil
    content["tables"][0]["frame"] = pd.DataFrame({evil: [evil]})
    content["claims"]["basis"] = content["claims"]["paper"] = evil
    content["failures"] = pd.DataFrame(
        [{"network": "F1", "method": "lb", "trial": 0, "message": evil}]
    )
    content["provenance"] = {evil: [(evil, evil)]}
    html = render(content)
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&amp;" in html


def test_failed_runs_stand_before_the_verdict():
    failures = pd.DataFrame(
        [{"network": "F1", "method": "lb", "trial": 2, "message": "loss is NaN at epoch 7"}]
    )
    html = render(make_content(failures=failures))
    assert "1 run failed" in html
    assert html.index("loss is NaN at epoch 7") < html.index('id="verdict"')
    assert "failures" not in Page(render(make_content())).attributes("id")


def test_a_run_that_never_started_stands_among_the_failed_ones():
    message = "not started: the SB run ended before epoch 30"
    rows = [("F1", "lb", 2, "loss is NaN at epoch 7"), ("F1", "warm30", 1, message)]
    failures = pd.DataFrame(rows, columns=["network", "method", "trial", "message"])
    text = Page(render(make_content(failures=failures))).text
    assert "2 runs failed" in text
    assert f"F1 warm30 trial 1: {message}" in text
    assert "diverged" not in text


def test_sections_without_content_are_left_out():
    content = make_content(tables=[])
    page = Page(render(content))
    assert not {"training", "beside"} & set(page.attributes("id"))
    assert {"training", "beside"} <= set(Page(render(make_content())).attributes("id"))


def test_every_exhibit_has_a_title_and_a_caption_file():
    captions = Path(__file__).parents[2] / "workflow" / "report"
    assert set(TITLES) == {path.stem for path in captions.glob("*.rst")} - {"workflow"}


def test_missing_content_and_unknown_verdicts_are_refused():
    content = make_content()
    del content["headline"]
    with pytest.raises(ValueError, match="lacks headline"):
        render(content)
    with pytest.raises(ValueError, match="'maybe'"):
        render(make_content(claims=pd.DataFrame([claim(1, "F1", "maybe")])))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.99996, "1.00"),
        (-12.345, "−12.3"),
        (1234.5, "1,234"),
        (0.000012345, "1.23e−05"),
        (0.0, "0.00"),
        (7, "7"),
        (True, "yes"),
        (math.nan, "–"),
        (None, "–"),
        (-math.inf, "−∞"),
        ("97.8 ± 0.1", "97.8 ± 0.1"),
    ],
)
def test_cells_have_three_significant_digits(value, text):
    assert cell(value) == text
