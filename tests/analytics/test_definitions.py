"""The definitions of all figures, and the guides: words for everybody who is signed in."""

import re
from html import unescape

import pytest

from analytics import access, handbook
from analytics.metrics import FORMULA, METRICS, parts_of

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite_suffices]


def test_every_metric_has_its_anchor_unit_and_words(as_):
    html = unescape(as_("noor").get("/definitions/").content.decode())
    ids = re.findall(r'<article id="(\w+)">(.*?)</article>', html, re.S)
    found = dict(ids)
    assert len(found) == len(ids), "an anchor is there twice"
    assert set(METRICS) <= set(found)
    for name, metric in METRICS.items():
        assert metric.description in found[name] and metric.label in found[name]
        assert handbook.UNITS[metric.unit] in found[name]
    inside = set(re.findall(r'href="#([^"]+)"', html))
    assert inside <= set(re.findall(r'id="([^"]+)"', html)), "a link leads nowhere"


def test_a_formula_names_its_parts_and_nothing_of_the_database():
    for metric in METRICS.values():
        words = handbook.formula(metric.name)
        if metric.mart != FORMULA:
            assert words == []
            continue
        assert {part for _, part in words if part} == set(parts_of(metric.sql))
        text = "".join(word for word, _ in words)
        assert not re.search(r"[{}:_]|nullif|DOUBLE", text), text
        assert text.count("(") == text.count(")")


@pytest.mark.parametrize(("name", "said"), [
    ("clients", "Customers \N{MINUS SIGN} Subscribers"),
    ("stops", "Deliveries + Pickups"),
    ("revenue_per_item", "Revenue / Items"),
    ("digital_share", "(Stripe collections + Terminal collections) / (Stripe collections + Terminal collections + Cash "
                      "collections)"),
    ("m1_item_retention", "M1 items / M0 items of the period before"),
])  # fmt: skip
def test_formulas_read_as_people_write_them(name, said):
    assert "".join(word for word, _ in handbook.formula(name)) == said


@pytest.fixture
def guides(tmp_path, monkeypatch):
    monkeypatch.setattr(handbook, "DOCS", tmp_path)
    (tmp_path / "personas").mkdir()
    return tmp_path / "personas"


def test_a_guide_is_shown_as_a_page_and_html_in_it_as_text(as_, guides):
    (guides / "executive.md").write_text(
        "# Executive Pulse\n\nLook at **revenue**.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n<script>x</script>\n\n"
        "[bad](javascript:alert(1)) [good](/executive/)"
    )
    client = as_("layla")
    html = client.get("/guide/executive/").content.decode()
    assert "<strong>revenue</strong>" in html and "<td>1</td>" in html
    assert "<script>x" not in html and "&lt;script&gt;x" in html
    assert 'href="javascript' not in html and '<a href="/executive/">good</a>' in html
    assert "<title>Executive Pulse" in html
    assert "/guide/executive/" in client.get("/guide/").content.decode()


def test_guides_link_to_each_other_as_pages(as_, guides):
    links = "[how](../collections.md#undo), [that](secret.md), [web](https://a.ae/b.md)"
    (guides / "desk.md").write_text(f"# D\n\nSee {links}.")
    (guides.parent / "collections.md").write_text("# C\n\nOf [the desk](personas/desk.md), [settings](settings.md).")
    client = as_("dana")
    html = client.get("/guide/desk/").content.decode()
    assert 'See <a href="/guide/collections/">how</a>, that, <a href="https://a.ae/b.md">web</a>' in html
    assert '<a href="/operations/receivables/">' in html
    assert 'Of <a href="/guide/desk/">the desk</a>, settings.' in client.get("/guide/collections/").content.decode()


@pytest.mark.parametrize("name", handbook.GUIDES)
def test_every_guide_is_written_and_leads_to_its_page(as_, golden_data, name):
    html = as_("root").get(f"/guide/{name}/").content.decode()
    assert f'<p class="crumbs"><a href="{access.PAGES[handbook.GUIDES[name][1]].url()}">' in html
    assert ".md" not in re.sub(r"<code>[^<]*</code>", "", html)


def test_a_guide_that_is_not_there_is_not_found(as_, guides):
    (guides / "secret.md").write_text("# Not a persona's")
    client = as_("noor")
    for page in ("executive", "secret", "nothing"):
        assert client.get(f"/guide/{page}/").status_code == 404
    assert b"No guide has been written yet" in client.get("/guide/").content


def test_a_guide_links_only_to_a_page_that_its_reader_may_open(as_, guides, golden_data):
    (guides / "finance.md").write_text("# Finance")
    assert b'href="/finance/"' in as_("farid").get("/guide/finance/").content
    assert b'href="/finance/"' not in as_("omar").get("/guide/finance/").content


def test_a_stranger_reads_neither(client):
    for address in ("/definitions/", "/guide/", "/guide/executive/"):
        assert client.get(address)["Location"].startswith("/login/")
