"""Whom to tell: who is chosen, active, has an address and may see it; and what is recorded for them."""

import pytest
from django.contrib.auth import get_user_model

from operations import audience
from operations.checks import somebody_is_told
from operations.models import Delivery

pytestmark = pytest.mark.django_db


@pytest.fixture
def reachable(people):
    """The cast with an address each."""
    for name, user in people.items():
        user.email = f"{name}@example.com"
        user.save()
    return people


def names(found) -> list[str]:
    return [user.username for user in found]


def chosen(*wanted: str):
    return get_user_model().objects.filter(username__in=wanted)


def tell(people, **more) -> list[Delivery]:
    said = {"key": "alert 1 2026-01", "about": "Alert: Revenue", "subject": "Revenue is low", "text": "January 2026",
            "url": "/finance/"} | more  # fmt: skip
    return audience.tell(people, **said)


def test_nobody_chosen_is_everybody_of_management_who_sees_the_whole(reachable):
    """Layla and Hala are of Management; Hala is kept to the store Hielo."""
    assert names(audience.people([], "executive")) == ["layla"]
    assert names(audience.people([], "executive", store="Hielo")) == ["layla", "hala"]
    assert names(audience.people([], "executive", store="Moon Walk")) == ["layla"]


def test_those_chosen_are_told_who_may_see_it(reachable):
    """Dana's and Noor's roles open no figures; Omar's (Sales) not the finances."""
    wanted = chosen("omar", "dana", "noor", "farid", "root")
    assert names(audience.people(wanted, "executive")) == ["root", "omar", "farid"]
    assert names(audience.people(wanted, "finance")) == ["root", "farid"]
    assert names(audience.people(wanted, "guides")) == ["root", "omar", "farid", "dana", "noor"]
    with pytest.raises(KeyError):
        audience.people(wanted, "no such page")


def test_in_place_of_those_who_left_somebody_else_is_told(reachable, settings):
    """Management; and where nobody of it can be told, superusers. Hala of Management is kept to a store."""
    omar, farid, layla, root = (reachable[name] for name in ("omar", "farid", "layla", "root"))
    omar.is_active, farid.email = False, "  "
    omar.save(), farid.save()
    wanted = chosen("omar", "farid", "dana")  # Dana's role doesn't open it
    assert names(audience.people(wanted, "executive")) == ["layla"]
    layla.delete()
    assert names(audience.people(wanted, "executive")) == names(audience.people([], "executive")) == ["root"]
    assert audience.anybody() and somebody_is_told(None) == []
    get_user_model().objects.filter(username__in=("root", "hala")).update(email="")
    assert audience.people([], "executive") == [] and not audience.anybody()
    (warning,) = somebody_is_told(None)
    assert warning.id == "moonwalk.W005" and "e-mail address" in warning.hint
    settings.SLACK_WEBHOOK = "http://127.0.0.1:1/secret"
    assert somebody_is_told(None) == []


def test_the_first_page_says_that_nobody_is_told_to_whom_may_mend_it(as_, people):
    start = "/admin/"
    assert audience.NOBODY in as_("root").get(start).content.decode()
    assert audience.NOBODY not in as_("dana").get(start).content.decode()
    people["root"].email = "root@example.com"
    people["root"].save()
    assert audience.NOBODY not in as_("root").get(start).content.decode()


def test_each_gets_an_email_of_their_own_and_slack_one_message(reachable, settings):
    settings.SLACK_WEBHOOK = "http://127.0.0.1:1/secret"
    told = [reachable["layla"], reachable["farid"]]
    for _ in range(2):
        tell(told, lines=("By store", ("Moon Walk", "Dhs 60,000")), attachments=[{"report": "2026-01"}])
    found = {row.key: row for row in Delivery.objects.all()}
    layla, farid = (f"alert 1 2026-01:{user.pk}" for user in told)
    assert found.keys() == {layla, farid, "alert 1 2026-01:slack"}
    assert (found[layla].recipient, found[farid].recipient) == ("layla@example.com", "farid@example.com")
    assert found[layla].content == {
        "subject": "Revenue is low", "text": "January 2026", "url": "/finance/",
        "lines": ["By store", ["Moon Walk", "Dhs 60,000"]], "attachments": [{"report": "2026-01"}],
    }  # fmt: skip
    slack = found["alert 1 2026-01:slack"]
    assert slack.content == {
        "text": "Revenue is low\nJanuary 2026\nBy store\nMoon Walk: Dhs 60,000", "url": "/finance/",
    }  # fmt: skip
    assert slack.recipient == "" and "secret" not in str(slack.__dict__)


def test_one_way_alone_and_no_way_at_all(reachable, settings, caplog):
    told = [reachable["layla"]]
    assert [row.kind for row in tell(told, key="a")] == ["mail"]
    settings.SLACK_WEBHOOK = "http://127.0.0.1:1/secret"
    assert [row.kind for row in tell(told, key="b", mail=False)] == ["slack"]
    assert [row.kind for row in tell(told, key="c", slack=False)] == ["mail"]
    assert not caplog.records
    assert tell([], key="d", slack=False) == []
    assert "d: nobody is told" in caplog.text
