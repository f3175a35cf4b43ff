"""Share links: who makes one, what it shows without a sign-in, and everything that makes it show nothing."""

import json
import re
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission
from django.core import signing
from django.test import Client
from django.utils import timezone

from analytics import queries, share
from analytics.dashboards import DASHBOARDS, frame
from analytics.models import ApiToken, ShareLink, StoreAccess, api_token_find, api_token_make
from operations import checks
from tests.conftest import GOLDEN

pytestmark = pytest.mark.django_db



@pytest.fixture
def golden() -> dict:
    return json.loads((GOLDEN / "expected.json").read_text())


@pytest.fixture
def link(people, golden_data):
    """make a link as somebody, of what an address' parameters name."""

    def make(name: str = "layla", page: str = "executive", days: int = 7, newest: bool = False, **params) -> ShareLink:
        from analytics.access import store_of

        build = queries.current(only=store_of(people[name]))
        state = frame.read_state(DASHBOARDS[page], params, build)
        assert state.messages == ()
        return share.make(people[name], state, "Our pulse", days, newest)

    return make


@pytest.fixture
def stranger():
    """A browser without cookies that would be refused without a CSRF token."""
    return Client(enforce_csrf_checks=True)


def value(page: str, metric: str) -> str:
    """The figure on a card, as it is written."""
    card = re.search(rf'data-metric="{metric}">.*?<p class="val">(.*?)</p>', page, re.S)
    return re.sub(r"<[^>]*>", "", card[1]).strip()


def revenue(build, store=None, month="2026-02") -> str:
    answer = build.query(["revenue"], "month", since=month, until=month, filters=queries.Filters(store=store))
    return f"Dhs {answer['revenue'][0]:,.0f}"


# --- What a link shows ---------------------------------------------------------------------------------------------


def test_a_link_shows_its_tab_to_a_stranger(link, stranger):
    made = link(tab="snapshot", period="2026-01", store="hielo")
    answer = stranger.get(share.address(made))
    page = answer.content.decode()
    assert answer.status_code == 200
    assert value(page, "revenue") == revenue(queries.current(), "Hielo", "2026-01")
    assert revenue(queries.current(), None, "2026-01") not in page
    assert "January 2026 · Hielo" in page


def test_a_filter_that_the_tab_does_not_take_is_no_part_of_its_link(link, stranger):
    made = link(tab="snapshot", period="2026-02", area="other", segment="champions")
    assert "area=other" in made.query and "segment" not in made.query
    assert stranger.get(share.address(made)).status_code == 200


def test_the_figures_are_golden(link, stranger, golden):
    page = stranger.get(share.address(link(period="2026-02"))).content.decode()
    assert value(page, "revenue") == f"Dhs {golden['months']['2026-02']['revenue']:,.0f}"
    assert value(page, "customers") == f"{golden['months']['2026-02']['customers']:,}"


def test_the_charts_travel_as_json(link, stranger, golden):
    page = stranger.get(share.address(link(tab="trends", period="2026-02"))).content.decode()
    figures = json.loads(re.search(r'<script id="figures" type="application/json">(.*?)</script>', page, re.S)[1])
    bars = figures["charts"]["revenue-bars"]["data"][0]
    assert bars["y"][-1] == pytest.approx(golden["months"]["2026-02"]["revenue"], abs=0.01)
    boxes = re.findall(r'data-figure="([^"]+)"', page)
    assert boxes
    assert set(boxes) == set(figures["charts"])


def every_tab():
    return [(page, tab.slug) for page, d in DASHBOARDS.items() for tab in d.tabs]


@pytest.mark.parametrize(("which", "tab"), every_tab())
def test_every_tab_can_be_shared_and_leads_nowhere(which, tab, link, stranger):
    answer = stranger.get(share.address(link("root", which, tab=tab)))
    text = answer.content.decode()
    assert answer.status_code == 200
    assert re.findall(r"<a\b|<form\b|<button\b|<iframe\b", text) == []
    addresses = set(re.findall(r'(?:href|src|action)="([^"]*)"', text))
    assert addresses
    assert all(address.startswith("/static/") for address in addresses), addresses
    assert "csrf" not in text


@pytest.mark.parametrize(("which", "tab"), every_tab())
def test_a_link_of_a_person_kept_to_a_store_is_kept_to_it(which, tab, link, stranger):
    dashboard = DASHBOARDS[which]
    if dashboard.tab(tab).whole:
        pytest.skip("a tab of the whole business: not hers to share")
    answer = stranger.get(share.address(link("hala", which, tab=tab)))
    assert answer.status_code == 200
    assert "Hielo" in answer.content.decode()


def test_names_travel_and_ways_to_reach_people_do_not(link, stranger):
    shown = {}
    for which, tab in every_tab():
        page = stranger.get(share.address(link("root", which, tab=tab))).content.decode()
        assert not re.search(r"\+971|@\w+\.|>Phone<|>E-mail<", page), f"{which} {tab}"
        shown[tab] = ">Customer</th>" in page
    assert shown["lifetime"]
    assert shown["outstanding"]


def test_the_newest_period_moves_on_and_a_chosen_one_stays(link):
    chosen, newest = link(period="2025-06"), link(period="2025-06", newest=True)
    assert share.read(chosen).period.key == "2025-06"
    assert share.read(newest).period.key == "2026-02"


# --- Headers, cookies, frames --------------------------------------------------------------------------------------


def test_no_cookie_is_set_or_needed(link, stranger):
    answer = stranger.get(share.address(link()))
    assert not answer.cookies
    assert not stranger.cookies
    assert "Set-Cookie" not in answer.headers


def test_who_is_signed_in_gets_the_same_page(link, stranger, as_):
    address = share.address(link())
    assert as_("noor").get(address).content == stranger.get(address).content


def test_no_site_may_frame_a_link_until_the_settings_name_it(link, stranger, settings):
    address = share.address(link())
    answer = stranger.get(address)
    assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]
    assert answer["X-Frame-Options"] == "DENY"
    settings.SHARE_ORIGINS = ["https://www.notion.so", "https://example.notion.site"]
    answer = stranger.get(address)
    assert "frame-ancestors https://www.notion.so https://example.notion.site" in answer["Content-Security-Policy"]
    assert "X-Frame-Options" not in answer.headers


def test_other_pages_stay_out_of_every_frame(stranger, as_, golden_data, settings):
    settings.SHARE_ORIGINS = ["https://www.notion.so"]
    for answer in (stranger.get("/login/"), as_("layla").get("/executive/"), as_("layla").get("/sharing/")):
        assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]
        assert answer["X-Frame-Options"] == "DENY"


def test_a_link_is_not_passed_on_kept_or_indexed(link, stranger):
    for address in (share.address(link()), "/share/1.forged/"):
        answer = stranger.get(address)
        assert answer["Referrer-Policy"] == "no-referrer"
        assert "noindex" in answer["X-Robots-Tag"]
        assert "no-store" in answer["Cache-Control"]
        assert "script-src 'self';" in answer["Content-Security-Policy"]


def test_a_link_only_shows(link, stranger):
    address = share.address(link())
    assert {stranger.post(address).status_code, stranger.put(address).status_code} <= {403, 405}


@pytest.mark.parametrize(
    ("origin", "good"),
    [
        ("https://www.notion.so", True),
        ("http://localhost:8080", True),
        ("https://*.notion.site", True),
        ("*", False),
        ("www.notion.so", False),
        ("https://www.notion.so/page", False),
        ("https://a.com; script-src *", False),
        ("'self'", False),
    ],
)
def test_the_settings_name_sites_alone(settings, origin, good):
    settings.SHARE_ORIGINS = [origin]
    assert [e.id for e in checks.share_origins_are_origins(None)] == ([] if good else ["moonwalk.E006"])


# --- What ends a link ----------------------------------------------------------------------------------------------


def shows_nothing(client, address: str, status: int) -> bool:
    answer = client.get(address)
    text = answer.content.decode()
    return answer.status_code == status and "This link shows nothing" in text and "Dhs" not in text


@pytest.mark.parametrize("part", ["", "1", "x.y", "1.x", "%00", "1." + "A" * 43])
def test_a_forged_address_is_not_found(link, stranger, part):
    link()
    answer = stranger.get(f"/share/{part}/")
    assert answer.status_code == 404
    assert b"Dhs" not in answer.content


def test_a_signature_made_for_something_else_is_not_found(link, stranger):
    made = link()
    for signer in (signing.Signer(sep="."), signing.Signer(salt="moonwalk.other", sep=".")):
        assert shows_nothing(stranger, f"/share/{signer.sign(str(made.pk))}/", 404)
    other = link()
    number, _, signature = share.address(other).strip("/").rpartition("/")[2].partition(".")
    assert shows_nothing(stranger, f"/share/{made.pk}.{signature}/", 404)
    assert int(number) == other.pk


def test_a_link_runs_out(link, stranger):
    made = link(days=7)
    address = share.address(made)
    assert made.expires_at - made.created_at == timedelta(days=7)
    ShareLink.objects.update(created_at=timezone.now() - timedelta(days=8), expires_at=timezone.now())
    assert shows_nothing(stranger, address, 410)


def test_a_revoked_link_shows_nothing(link, stranger, people):
    made = link()
    share.revoke(made, people["root"])
    assert shows_nothing(stranger, share.address(made), 410)
    assert (made.revoked_by, made.revoked_at is None) == (people["root"], False)
    share.revoke(made, people["layla"])
    assert made.revoked_by == people["root"]


def test_a_link_ends_with_what_its_maker_may_see(link, stranger, people):
    address, maker = share.address(link()), people["layla"]
    maker.groups.clear()
    assert shows_nothing(stranger, address, 410)
    maker.groups.add(Group.objects.get(name="Sales"))
    assert stranger.get(address).status_code == 200, "Sales sees this page too"
    maker.is_active = False
    maker.save()
    assert shows_nothing(stranger, address, 410)
    maker.delete()
    assert shows_nothing(stranger, address, 404)


def test_a_link_ends_when_its_maker_is_kept_to_a_store(link, stranger, people):
    whole, hielo = share.address(link()), share.address(link(store="hielo"))
    StoreAccess.objects.create(user=people["layla"], store="Hielo")
    assert shows_nothing(stranger, whole, 410)
    assert shows_nothing(stranger, hielo, 410), "what she shared as one who sees all ends, whatever it showed"


def test_a_link_stays_kept_to_the_store_that_its_maker_was_kept_to(link, stranger, people):
    made = link("hala")
    StoreAccess.objects.get(user=people["hala"]).delete()
    page = stranger.get(share.address(made)).content.decode()
    assert value(page, "revenue") == revenue(queries.current(), "Hielo")
    ShareLink.objects.update(query="period=2026-02&store=all")
    assert value(stranger.get(share.address(made)).content.decode(), "revenue") == revenue(queries.current(), "Hielo")
    StoreAccess.objects.create(user=people["hala"], store="Moon Walk")
    assert shows_nothing(stranger, share.address(made), 410)


@pytest.mark.parametrize(
    "query",
    ["tab=gone", "store=gone", "area=gone", "period=2031-01", "tab=snapshot&store=hielo&area=gone", "segment=loyal",
     "tab=insights&area=other"],
)  # fmt: skip
def test_what_is_not_there_any_more_is_not_replaced_by_more(link, stranger, query):
    made = link()
    ShareLink.objects.update(query=query)
    assert shows_nothing(stranger, share.address(made), 410)


def test_a_link_kept_to_another_store_than_it_names_shows_nothing(link, stranger):
    made = link("hala")
    ShareLink.objects.update(query="store=moon-walk")
    assert shows_nothing(stranger, share.address(made), 410)


def test_data_that_cannot_be_read_is_told_without_details(link, stranger, settings, tmp_path):
    address = share.address(link())
    settings.WAREHOUSE_DIR = tmp_path / "empty"
    answer = stranger.get(address)
    assert answer.status_code == 503
    assert str(tmp_path).encode() not in answer.content
    assert b"Load the page again later" in answer.content


def test_openings_are_counted(link, stranger):
    made = link()
    for _ in range(3):
        stranger.get(share.address(made))
    stranger.head(share.address(made))
    made.refresh_from_db()
    assert made.uses == 3
    assert timezone.now() - made.last_used_at < timedelta(seconds=10)
    share.revoke(made, made.created_by)
    stranger.get(share.address(made))
    made.refresh_from_db()
    assert made.uses == 3


# --- Making and revoking -------------------------------------------------------------------------------------------

NEW = "/sharing/?page=executive&tab=trends&grain=month&period=2025-11&store=hielo"
FORM = {"title": "For the board", "days": "30", "newest": ""}


def test_a_link_is_made_of_what_is_on_screen(as_, golden_data, stranger):
    client = as_("omar")
    tab = client.get("/executive/?tab=trends").content.decode()
    assert re.search(r'href="/sharing/\?page=executive&amp;tab=trends', tab)
    assert 'value="Executive Pulse: Trends"' in client.get(NEW).content.decode()
    answer = client.post(NEW, FORM, follow=True)
    made = ShareLink.objects.get()
    assert (made.title, made.created_by.username, made.store) == ("For the board", "omar", "")
    assert (made.expires_at - made.created_at).days == 30
    state = share.read(made)
    assert (state.tab.slug, state.period.key, state.store.name) == ("trends", "2025-11", "Hielo")
    address = share.address(made)
    assert f'value="http://testserver{address}"' in answer.content.decode()
    assert stranger.get(address).status_code == 200


@pytest.mark.parametrize("wrong", [{"title": ""}, {"title": "x" * 121}, {"days": "365"}, {"days": ""}])
def test_a_wrong_form_makes_nothing(as_, golden_data, wrong):
    answer = as_("omar").post(NEW, FORM | wrong)
    assert answer.status_code == 200
    assert b'class="errorlist"' in answer.content
    assert not ShareLink.objects.exists()


def test_a_title_is_words_and_no_markup(as_, golden_data, stranger):
    as_("omar").post(NEW, FORM | {"title": "</title><script>alert(1)</script>"})
    page = stranger.get(share.address(ShareLink.objects.get())).content.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


@pytest.mark.parametrize(("name", "which", "status"), [
    ("omar", "finance", 403), ("dana", "executive", 403), ("noor", "executive", 403), ("omar", "nothing", 404),
    ("omar", "customer", 404), ("layla", "finance", 200),
])  # fmt: skip
def test_only_who_sees_a_page_shares_it(as_, golden_data, name, which, status):
    client = as_(name)
    assert client.get(f"/sharing/?page={which}").status_code == status
    assert client.post(f"/sharing/?page={which}", FORM).status_code == (302 if status == 200 else status)
    assert ShareLink.objects.count() == (status == 200)


def test_a_form_from_elsewhere_makes_nothing(people, golden_data):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(people["omar"])
    assert strict.post(NEW, FORM).status_code == 403
    assert not ShareLink.objects.exists()


def test_a_person_kept_to_a_store_shares_that_store(as_, golden_data, stranger):
    client = as_("hala")
    assert client.post("/sharing/?page=executive&store=moon-walk&period=2026-02", FORM).status_code == 403
    client.post("/sharing/?page=executive&period=2026-02", FORM)
    made = ShareLink.objects.get()
    assert made.store == "Hielo"
    assert value(stranger.get(share.address(made)).content.decode(), "revenue") == revenue(queries.current(), "Hielo")


def test_a_person_sees_and_revokes_their_own_links_alone(link, as_, people):
    mine, other = link("omar"), link("layla")
    client = as_("omar")
    page = client.get("/sharing/").content.decode()
    assert share.address(mine) in page
    assert share.address(other) not in page
    assert client.post(f"/sharing/{other.pk}/revoke/").status_code == 404
    assert client.get(f"/sharing/{mine.pk}/revoke/").status_code == 405
    client.post(f"/sharing/{mine.pk}/revoke/")
    for row in (mine, other):
        row.refresh_from_db()
    assert mine.revoked_by == people["omar"]
    assert other.revoked_at is None
    assert "Taken back" in client.get("/sharing/").content.decode()
    assert share.address(mine) not in client.get("/sharing/").content.decode()


# --- In the admin --------------------------------------------------------------------------------------------------

LINKS = "/admin/analytics/sharelink/"


def test_the_admin_lists_all_and_revokes(link, as_, people, stranger):
    made, other = link("omar"), link("layla")
    client = as_("root")
    page = client.get(LINKS).content.decode()
    assert share.address(made) in page
    assert share.address(other) in page
    client.post(LINKS, {"action": "revoke", "_selected_action": [made.pk]})
    assert stranger.get(share.address(made)).status_code == 410
    assert stranger.get(share.address(other)).status_code == 200
    made.refresh_from_db()
    assert made.revoked_by == people["root"]
    assert "revoked by root" in client.get(LINKS).content.decode()


def test_the_list_asks_the_same_of_ten_links_as_of_one(link, as_, django_assert_max_num_queries):
    client = as_("root")
    counts = []
    for n in (1, 9):
        for _ in range(n):
            link("layla")
        with django_assert_max_num_queries(40) as asked:
            client.get(LINKS)
        counts.append(len(asked))
    assert counts[0] == counts[1]


@pytest.mark.parametrize("name", ["dana", "farid", "layla", "hala"])
def test_the_lists_are_not_for_the_roles(name, as_, golden_data):
    for model in ("sharelink", "apitoken"):
        assert as_(name).get(f"/admin/analytics/{model}/").status_code in (302, 403)


# --- API tokens, in the admin ---------------------------------------------------------------------------------------

TOKENS = "/admin/analytics/apitoken/"


def shown_token(answer) -> str:
    return re.search(r'id="token-text"[^>]*value="(mw_[\w-]+)"', answer.content.decode())[1]


def test_a_token_is_shown_once_and_revoked(as_, people):
    client = as_("root")
    answer = client.post(f"{TOKENS}add/", {"name": "Notion table", "user": people["omar"].pk})
    text = shown_token(answer)
    assert "no-store" in answer["Cache-Control"]
    token = api_token_find(text)
    assert (token.name, token.user) == ("Notion table", people["omar"])
    for page in (TOKENS, f"{TOKENS}{token.pk}/change/", f"{TOKENS}{token.pk}/history/", "/admin/"):
        assert text not in client.get(page).content.decode()
    assert f"{text[:8]}…" in client.get(TOKENS).content.decode()
    client.post(TOKENS, {"action": "revoke", "_selected_action": [token.pk]})
    assert api_token_find(text) is None
    assert LogEntry.objects.filter(object_id=token.pk).count() == 2  # made, revoked


def test_nobody_makes_a_token_with_more_rights_than_their_own(as_, people, client):
    people["omar"].is_staff = True
    people["omar"].save()
    people["omar"].user_permissions.set(Permission.objects.filter(codename__endswith="_apitoken"))
    client = as_("omar")
    client.post(f"{TOKENS}add/", {"name": "Mine", "user": people["root"].pk})
    assert not ApiToken.objects.exists()
    assert api_token_find(shown_token(client.post(f"{TOKENS}add/", {"name": "Mine", "user": people["omar"].pk})))
    others, _ = api_token_make(people["root"], "The owner's")
    assert "The owner's" not in client.get(TOKENS).content.decode()
    client.post(TOKENS, {"action": "revoke", "_selected_action": [others.pk]})
    others.refresh_from_db()
    assert others.revoked_at is None


def test_a_person_with_links_and_tokens_can_be_deleted(link, as_, people):
    link("omar")
    api_token_make(people["omar"], "Notion")
    client = as_("root")
    client.post(f"/admin/auth/user/{people['omar'].pk}/delete/", {"post": "yes"})
    assert not ShareLink.objects.exists()
    assert not ApiToken.objects.exists()
