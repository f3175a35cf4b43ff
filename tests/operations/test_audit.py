"""The audit trail: who, when, what, from where; and no names, phones or texts in it."""

import json
from datetime import timedelta
from decimal import Decimal as D
from uuid import uuid4

import pytest
from auditlog.models import LogEntry
from django.urls import reverse
from django.utils import timezone

from analytics.models import AlertRule, ReportMail, Target
from analytics.targets import target_delete, target_save
from operations import alerts, refresh, reports, schedules, services
from operations.models import Customer, FollowUp, Level, MessageTemplate, Payment, Schedule
from tests.operations import books, exports
from tests.operations.books import paying

pytestmark = pytest.mark.django_db


@pytest.fixture
def dana(people):
    books.write()
    LogEntry.objects.all().delete()
    return people["dana"]


def entries() -> list[tuple]:
    """Oldest first: (row, what happened, by whom)."""
    rows = LogEntry.objects.order_by("pk").select_related("actor")
    return [(e.object_repr, e.get_action_display(), e.actor and e.actor.username) for e in rows]


def test_a_payment_and_its_void(dana, people):
    (payment,) = services.order_mark_paid(["M-00102"], reference="R-7", note="by Dana Haddad", **paying(dana))
    counter = services.payment_void(payment.pk, reason="Dana paid by card", user=people["farid"], request_key=uuid4())
    assert entries() == [(f"payment {payment.pk}", "create", "dana"), (f"payment {counter.pk}", "create", "farid")]
    first, second = LogEntry.objects.order_by("pk")
    assert (first.changes["amount"], first.changes["order"], first.changes["method"]) == (
        ["None", "20.00"], ["None", "M-00102"], ["None", "Cash"])  # fmt: skip
    assert (second.changes["amount"], second.changes["voids"]) == (["None", "-20.00"], ["None", str(payment.pk)])
    assert abs(timezone.now() - first.timestamp) < timedelta(minutes=1)
    assert (first.remote_addr, first.additional_data) == (None, {"from": "server"})


def test_nothing_is_written_of_what_was_refused_or_done_before(dana):
    asked = paying(dana)
    services.order_mark_paid(["M-00102"], **asked)
    services.order_mark_paid(["M-00102"], **asked)
    with pytest.raises(services.Refused):
        services.customer_pay("CC-0001", D("99"), **paying(dana))
    services.correction_save("CC-0001", "phone", "+971 50 000 0001", user=dana)
    assert len(entries()) == 1


def test_no_entry_holds_what_is_personal(dana, people):
    """Every service once, with words that must not come back."""
    secret = {"name": "Dunya Secretname", "phone": "+971 55 987 6543", "email": "secret@example.org", "route": "77"}
    for field, value in secret.items():
        services.correction_save("CC-0001", field, value, user=dana)
    Customer.objects.filter(pk="CC-0001").update(name="Dana Otherone", phone="050 999 9999")
    services.correction_choose("CC-0001", "name", "ours", user=dana)
    services.correction_choose("CC-0001", "phone", "theirs", user=dana)
    note = services.note_add("CC-0001", "spoke with Secretname", channel="call", user=dana, request_key=uuid4())
    note.note = "spoke with Mrs Secretname"
    services.followup_save(note, user=dana)
    services.followup_void(note.pk, reason="Secretname was somebody else", user=dana)
    services.promise_record("CC-0001", D("5"), timezone.localdate(), note="Secretname said", user=dana,
                            request_key=uuid4())  # fmt: skip
    services.assign(["CC-0001"], people["farid"], user=dana)
    services.preferences_save("CC-0001", language="ar", user=dana)
    services.message_send("CC-0001", language="en", subject="Secretname", text="Dear Secretname", user=dana,
                          request_key=uuid4())  # fmt: skip
    services.order_mark_paid(["M-00102"], reference="Secretname", note="Secretname", **paying(dana))
    said = json.dumps(
        [[e.object_repr, e.changes, e.additional_data, e.serialized_data] for e in LogEntry.objects.all()]
    )
    for word in ("Secretname", "987 6543", "9876543", "secret@", '"77"', "Haddad", "Otherone", "+971 50 000 0001",
                 "999 9999", "dana@example.com"):  # fmt: skip
        assert word not in said, word
    models = {e.content_type.model for e in LogEntry.objects.select_related("content_type")}
    assert models == {"customer", "followup", "payment", "message"}
    changed = LogEntry.objects.filter(content_type__model="customer").order_by("pk").first()
    assert changed.changes["own_name"] == ["None", "(not kept here)"], "that it was corrected is told"
    language = LogEntry.objects.filter(content_type__model="customer", changes__has_key="language").get()
    assert language.changes == {"language": ["en", "ar"]}


def test_a_request_tells_its_address_and_door(as_, dana):
    client = as_("dana")
    LogEntry.objects.all().delete()
    form = {"note": "Comes on Friday", "customer": "CC-0001", "order": ""}
    address = reverse("admin:operations_followup_add")
    forged = {"HTTP_X_FORWARDED_FOR": "rubbish, 1.2.3.4", "HTTP_X_CORRELATION_ID": "mine"}
    assert client.post(address, form, REMOTE_ADDR="192.0.2.7", **forged).status_code == 302
    (entry,) = LogEntry.objects.filter(content_type__model="followup")
    assert (entry.actor, entry.remote_addr, entry.additional_data) == (
        dana, "192.0.2.7", {"from": f"POST {address}"})  # fmt: skip
    assert entry.object_repr == f"follow-up {FollowUp.objects.get().pk}"
    assert len(entry.cid) == 32, "a number of our own"


def test_the_entries_of_one_press_of_a_button_belong_together(dana):
    services.order_mark_paid(["M-00102", "M-00104"], **paying(dana))
    services.order_mark_paid(["H-00201"], **paying(dana))
    numbers = [e.cid for e in LogEntry.objects.order_by("pk")]
    assert numbers[0] == numbers[1] != numbers[2]


def test_a_rolled_back_write_leaves_no_entry(dana, monkeypatch):
    """The second of two payments fails: neither it nor the first has an entry."""
    save, saved = Payment.save, []

    def fail_the_second_time(self, *args, **kwargs):
        if saved:
            raise RuntimeError
        saved.append(self)
        return save(self, *args, **kwargs)

    monkeypatch.setattr(Payment, "save", fail_the_second_time)
    with pytest.raises(RuntimeError):
        services.order_mark_paid(["M-00102", "M-00104"], **paying(dana))
    assert saved
    assert entries() == []


def test_an_import_is_no_edit(data_dir, people):
    LogEntry.objects.all().delete()
    exports.write(data_dir / "exports")
    assert refresh.refresh(trigger="command", user=people["root"]).state == "published"
    assert Customer.objects.exists()
    assert entries() == []


def test_settings_of_the_desk_leave_entries(people):
    LogEntry.objects.all().delete()
    level = Level.objects.get(name="Reminder")
    level.days_from = 5
    services.level_save(level, user=people["farid"])
    assert entries() == [("level “Reminder”", "update", "farid")]
    assert LogEntry.objects.get().changes == {"days_from": ["7", "5"]}


def test_what_is_the_houses_own_goes_by_its_name_also_once_it_is_gone(people, as_):
    """A customer's rows stay numbers: test_a_payment_and_its_void."""
    root = people["root"]
    LogEntry.objects.all().delete()
    target = Target(metric="revenue", month="2026-12", value=27_000)
    target_save(target, user=root)
    rule = AlertRule(name="Low revenue", metric="revenue", limit=30_000)
    alerts.rule_save(rule, user=root)
    rule.name = "Revenue is low"
    alerts.rule_save(rule, user=root)
    template = MessageTemplate.objects.get(level__name="Reminder", channel="email", language="en")
    template.subject = "Your laundry"
    services.template_save(template, user=root)
    report = ReportMail.objects.get(grain="week")
    report.paused = True
    reports.report_mail_save(report, user=root)
    schedule = Schedule.objects.get(name="Tidy up")
    schedule.enabled = False
    schedules.save(schedule, "prune", schedules.rhythm_of(schedule.crontab), user=root)
    target_delete(target, user=root)
    said = ["target “Revenue, December 2026”", "alert rule “Low revenue”", "alert rule “Revenue is low”",
            "message template “Reminder, e-mail, English”", "report by mail “The board report, every week”",
            "schedule “Tidy up”", "target “Revenue, December 2026”"]  # fmt: skip
    assert [row for row, _, _ in entries()] == said
    page = as_("root").get(reverse("admin:auditlog_logentry_changelist")).content.decode()
    assert [name in page for name in said] == [True] * len(said)
    found = as_("root").get(reverse("admin:auditlog_logentry_changelist"), {"q": "December"}).context["cl"]
    assert [entry.get_action_display() for entry in found.result_list] == ["delete", "create"]


def test_an_entry_of_an_earlier_version_says_its_number(as_):
    schedule = Schedule.objects.get(name="Tidy up")
    schedule.description = "whenever"
    schedule.save()
    LogEntry.objects.update(object_repr=f"periodic task {schedule.pk}")
    page = as_("root").get(reverse("admin:auditlog_logentry_changelist")).content.decode()
    assert f">schedule {schedule.pk}</a>" in page and "periodic task" not in page
