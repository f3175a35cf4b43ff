"""What staff do to customers, through the pages: by role, refused in words, once however often sent, undone."""

import re
from datetime import timedelta
from decimal import Decimal as D

import pytest
from django.urls import reverse
from django.utils import timezone

from operations.models import FollowUp, Payment
from tests.operations import books

pytestmark = [pytest.mark.django_db]
PART = {"HTTP_X_PART": "1"}


@pytest.fixture
def desk(as_):
    """Dana's client, over the small books."""
    books.write()
    return as_("dana")


def act(what: str) -> str:
    return reverse("act", args=[what])


def opened(client, what: str, **query) -> dict:
    """The form of an action as it opens: its address and every field as a browser would send it."""
    response = client.get(act(what), query)
    assert response.status_code == 200, response.content.decode()
    form = response.context["form"]
    found = {name: list(values) for name, values in _by_name(response.context["kept"]).items()}
    for bound in form:
        value = bound.value()
        if value not in (None, "", False):
            found[bound.html_name] = "on" if value is True else str(value)
    if "rows" in response.context and not response.context["bulk"]:
        found["order"] = [row.order.pk for row in response.context["rows"] if row.chosen]
    return found


def _by_name(pairs) -> dict:
    found = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def said(client, response) -> list[str]:
    """The messages that a POST left for the next page."""
    return [str(message) for message in response.wsgi_request._messages]


# --- Paying --------------------------------------------------------------------------------------------------------


def test_the_form_of_a_payment_shows_what_will_be_recorded(desk):
    page = desk.get(act("pay"), {"customer": "CC-0001"}).content.decode()
    assert "Dana Haddad" in page
    assert page.index("M-00104") < page.index("M-00102"), "the oldest first"
    assert "M-00101" not in page and "M-00105" not in page, "paid; not cleaned"
    assert 'value="35.00"' in page and "Dhs 35.00" in page
    assert f'value="{timezone.localdate():%Y-%m-%d}"' in page


def test_a_whole_payment_is_recorded_once_however_often_it_is_sent(desk):
    form = opened(desk, "pay", customer="CC-0001")
    for _ in range(2):
        response = desk.post(act("pay"), form)
        assert (response.status_code, response["Location"]) == (303, "/customer/CC-0001/")
        assert said(desk, response)[-1] == (
            "Recorded Dhs 35.00 of Dana Haddad for 2 orders. Dashboards update shortly."
        )
    assert [p.amount for p in Payment.objects.order_by("amount")] == [D("15.00"), D("20.00")]


def test_part_of_it_goes_to_the_oldest_order_first(desk):
    form = opened(desk, "pay", customer="CC-0001") | {"amount": "16.50"}
    assert desk.post(act("pay"), form).status_code == 303
    assert dict(Payment.objects.values_list("order_id", "amount")) == {"M-00104": D("15.00"), "M-00102": D("1.50")}


def test_a_note_is_recorded(desk):
    form = opened(desk, "note", customer="CC-0001") | {"note": "rings back", "channel": "call"}
    response = desk.post(act("note"), form, **PART)
    assert (response.status_code, response["X-Next"]) == (204, "/customer/CC-0001/")
    row = FollowUp.objects.get()
    assert (row.note, row.channel, row.customer_id, row.created_by.username) == (
        "rings back", "call", "CC-0001", "dana")  # fmt: skip
