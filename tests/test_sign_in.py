"""Signing in: a guessed password is slowed down, on both sign-in pages, and nobody else waits for it."""

from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.conf import settings
from django.test import Client
from django.utils import timezone

from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db
PAGES = ["/login/", "/admin/login/"]


def try_(name: str, password: str, page: str = "/login/", address: str = "192.0.2.1") -> int:
    form = {"username": name, "password": password, "next": "/"}
    return Client(REMOTE_ADDR=address).post(page, form).status_code


@pytest.mark.parametrize("page", PAGES)
def test_ten_wrong_passwords_and_the_right_one_waits_too(page, people):
    assert [try_("root", "wrong", page) for _ in range(10)] == [200] * 9 + [429]
    assert {try_("root", PASSWORD, other) for other in PAGES} == {429}


def test_the_page_says_what_to_do(people):
    for _ in range(10):
        answer = Client().post("/login/", {"username": "root", "password": "wrong"})
    assert answer.status_code == 429
    assert b"Wait a quarter of an hour" in answer.content
    assert b"wrong 10 times" in answer.content


def test_after_a_quarter_of_an_hour_it_goes_on(people):
    for _ in range(10):
        try_("layla", "wrong")
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(minutes=14))
    assert try_("layla", PASSWORD) == 429
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(minutes=16))
    assert try_("layla", PASSWORD) == 302


def test_other_people_and_other_addresses_do_not_wait(people):
    for _ in range(10):
        try_("layla", "wrong")
    assert try_("omar", PASSWORD) == 302
    assert try_("layla", PASSWORD, address="192.0.2.2") == 302


def test_a_right_password_forgets_the_wrong_ones(people):
    for _ in range(9):
        try_("layla", "wrong")
    assert try_("layla", PASSWORD) == 302
    assert [try_("layla", "wrong") for _ in range(9)] == [200] * 9


def test_no_password_is_kept_and_no_name_logged(people, caplog):
    for _ in range(10):
        try_("layla", "a-secret-typed-here")
    kept = " ".join(str(value) for row in AccessAttempt.objects.values() for value in row.values())
    assert "layla" in kept, "nothing was kept, so nothing is proved"
    assert "a-secret-typed-here" not in kept
    assert settings.LOGGING["loggers"]["axes"]["level"] == "ERROR"
    assert "layla" not in caplog.text


def test_a_form_of_before_the_last_sign_in_is_answered_in_the_houses_words(people):
    """Opened in one tab; signed out and in again in another; pressed in the first."""
    client = Client(enforce_csrf_checks=True)
    came_from = {"HTTP_REFERER": "http://testserver/operations/upload/"}
    answer = client.post("/logout/", **came_from)
    assert (answer.status_code, b"Sign in</a>" in answer.content) == (403, True)
    assert b"/login/?next=http%3A%2F%2Ftestserver%2Foperations%2Fupload%2F" in answer.content
    client.force_login(people["layla"])
    answer = client.post("/logout/", **came_from)
    assert b"Nothing was done" in answer.content
    assert b'href="http://testserver/operations/upload/">Load the page again' in answer.content
    elsewhere = client.post("/logout/", HTTP_REFERER="http://elsewhere.example/")
    assert (elsewhere.status_code, b"elsewhere" in elsewhere.content) == (403, False)
