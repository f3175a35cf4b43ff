"""What people save about figures: what the database holds true of every row, and a token from making to finding."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from analytics import models
from analytics.access import store_of
from analytics.models import ApiToken, ShareLink, StoreAccess, api_token_find, api_token_make, api_token_revoke

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"title": ""}, "share_link_has_a_title"),
        ({"page": ""}, "share_link_has_a_page"),
        ({"expires_at": timezone.now() - timedelta(days=1)}, "share_link_expires_later"),
        ({"uses": 3}, "share_link_used_at_a_time"),
        ({"last_used_at": timezone.now()}, "share_link_used_at_a_time"),
        ({"revoked_by": "root"}, "share_link_revoked_at_a_time"),
    ],
)
def test_the_database_refuses_a_link_that_cannot_be(people, changed, rule):
    row = {"page": "executive", "title": "Pulse", "expires_at": timezone.now() + timedelta(days=7)}
    ShareLink.objects.create(created_by=people["layla"], **row)
    if "revoked_by" in changed:
        changed = {"revoked_by": people[changed["revoked_by"]]}
    with pytest.raises(IntegrityError, match=rule), transaction.atomic():
        ShareLink.objects.create(created_by=people["layla"], **(row | changed))


def test_a_person_is_kept_to_one_store_at_most(people):
    with pytest.raises(IntegrityError), transaction.atomic():
        StoreAccess.objects.create(user=people["hala"], store="Moon Walk")
    with pytest.raises(IntegrityError, match="store_access_names_a_store"), transaction.atomic():
        StoreAccess.objects.create(user=people["layla"], store="")


def test_a_store_is_one_of_the_business_file(people, settings, tmp_path):
    StoreAccess(user=people["layla"], store="Hielo").full_clean()
    with pytest.raises(ValidationError, match="There is no store “Hielos”: choose one of Moon Walk, Hielo."):
        StoreAccess(user=people["layla"], store="Hielos").full_clean()
    settings.BUSINESS_FILE = tmp_path / "none.toml"
    with pytest.raises(ValidationError, match="business file can't be read"):
        StoreAccess(user=people["layla"], store="Hielo").full_clean()


def test_the_store_of_a_person_is_asked_once(people, django_user_model, django_assert_num_queries):
    for name, store in (("hala", "Hielo"), ("layla", None)):
        user = django_user_model.objects.get(username=name)
        with django_assert_num_queries(1):
            assert [store_of(user), store_of(user)] == [store, store]


def test_a_token_is_found_by_its_text_and_kept_by_its_hash_alone(people):
    token, text = api_token_make(people["layla"], "Notion")
    assert text.startswith("mw_")
    assert len(text) > 40
    assert api_token_find(text) == token
    assert api_token_find(text).user == people["layla"]
    kept = ApiToken.objects.values().get()
    assert text not in map(str, kept.values())
    assert kept["shown"] == text[:8]
    # sha256 of "abc", by FIPS 180-2
    assert models._hash("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize("wrong", ["", "mw_", "nothing", "mw_" + "x" * 43])
def test_no_other_text_is_a_token(people, wrong):
    api_token_make(people["layla"], "Notion")
    assert api_token_find(wrong) is None


def test_a_token_counts_until_it_is_revoked_and_while_its_person_is_active(people):
    token, text = api_token_make(people["layla"], "Notion")
    people["layla"].is_active = False
    people["layla"].save()
    assert api_token_find(text) is None
    people["layla"].is_active = True
    people["layla"].save()
    assert api_token_find(text) == token
    api_token_revoke(token)
    first = token.revoked_at
    assert api_token_find(text) is None
    api_token_revoke(token)
    assert token.revoked_at == first


def test_use_is_written_down_once_a_minute(people, django_assert_num_queries, monkeypatch):
    token, text = api_token_make(people["layla"], "Notion")
    with django_assert_num_queries(2):
        used = api_token_find(text).last_used_at
    assert timezone.now() - used < timedelta(seconds=5)
    with django_assert_num_queries(1):
        api_token_find(text)
    ApiToken.objects.update(last_used_at=used - timedelta(seconds=61))
    with django_assert_num_queries(2):
        api_token_find(text)
    assert ApiToken.objects.get().last_used_at >= used


def test_a_token_says_what_uses_it(people):
    with pytest.raises(ValidationError):
        api_token_make(people["layla"], "")
    with pytest.raises(IntegrityError, match="api_token_hash_is_sha256"), transaction.atomic():
        ApiToken.objects.create(user=people["layla"], name="x", token_hash="short", shown="mw_")
