"""The board report by mail: what the weekly and the monthly schedule owe, and whom they owe it to (ReportMail).

The e-mail carries the insights' headlines and the PDF, which is made when it is sent (analytics.report.attachment);
Slack gets the headlines alone. Each is recorded once a period and person, however often the schedule asks.
"""

from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone

from analytics import queries, report
from analytics.access import require_whole
from analytics.business import business
from analytics.dashboards import insights
from analytics.models import ReportMail
from etl.errors import WarehouseError
from operations import audience, audit
from operations.duties import NotYet
from operations.models import Delivery

KEY = "report:"  # what the keys of its deliveries begin with; then its period
WORDS = {"week": "weekly", "month": "monthly"}


def report_mail_save(row: ReportMail, *, user) -> ReportMail:
    """Write who gets a report, and whether. PermissionDenied without the right, or for who is kept to a store."""
    require_whole(user, "analytics.change_reportmail")
    with audit.acting(user):
        row.full_clean()
        row.save()
    return row


def recorded(grain: str) -> QuerySet[Delivery]:
    """The deliveries of a report, the latest first."""
    weekly = Delivery.objects.filter(key__startswith=KEY + "2", key__contains="-W")
    if grain == "week":
        return weekly
    return Delivery.objects.filter(key__startswith=KEY + "2").exclude(pk__in=weekly)


def ended_before(grain: str, moment: datetime) -> str:
    """The key of the month or ISO week that was the last to be over at a moment: "2026-02", "2026-W09"."""
    today = timezone.localtime(moment).date()
    if grain == "month":
        return f"{today.replace(day=1) - timedelta(days=1):%Y-%m}"
    year, week, _ = (today - timedelta(days=7)).isocalendar()
    return f"{year}-W{week:02d}"


def mail(grain: str, due_at: datetime) -> str:
    """Tell who gets it of the month or week that was over at `due_at`; a sentence on what was recorded.

    Raises NotYet while the published data doesn't have all of that period.
    """
    row = ReportMail.objects.prefetch_related("people").get(grain=grain)
    if row.paused:
        return f"The {WORDS[grain]} report is paused: nobody was told."
    key = ended_before(grain, due_at)
    try:
        build = queries.current()
        _, period = report.period_of(build, key)
    except (WarehouseError, report.NotClosed) as error:
        raise NotYet(f"The report of {key} waits for its data. {error}") from None
    headlines = _headlines(build, grain, key)
    people = audience.people(row.people.all(), "report")
    found = audience.tell(
        people,
        key=f"{KEY}{key}",
        about=f"Board report, {period.short}",
        subject=f"{business().name}, {period.short}: board report",
        text=f"What stands out in {period.name}:" if headlines else f"No rule has anything to say of {period.name}.",
        lines=headlines,
        url=f"{reverse('executive')}?{urlencode({'grain': grain, 'period': key})}",
        attachments=[{"report": key, "build_id": build.build_id}],
        slack=row.by_slack,
    )
    if not found:
        return f"Nobody is there to be told of {period.short}: give people an e-mail address, or set a webhook."
    slack = ", its insights to Slack" if len(found) > len(people) else ""
    return f"The report of {period.short} goes to {len(people)} by e-mail{slack}."


def _headlines(build: queries.Snapshot, grain: str, key: str) -> list[str]:
    """What the rules said of a period, what needs attention first: "Revenue 2 % above January (good)"."""
    rows = insights.of_period(build, grain, key)
    return [f"{row['headline']} ({insights.TONES[row['tone']][2]})" for row in rows]
