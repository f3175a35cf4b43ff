"""Are the figures late? One rule for whoever asks: the alert, and the address that monitors look at."""

from datetime import datetime, timedelta

from django.utils import timezone

from operations.models import RefreshRun

# A refresh a day, and two hours for a morning on which the exports came late.
LATE_AFTER = timedelta(hours=26)
WELL = (RefreshRun.State.PUBLISHED, RefreshRun.State.NOTHING_NEW)


def last_well() -> datetime | None:
    """When the last refresh from the exports went well (rebuilds for payments bring nothing new); None: never."""
    runs = RefreshRun.objects.filter(state__in=WELL, dry_run=False).exclude(trigger=RefreshRun.Trigger.PAYMENTS)
    return runs.order_by("-finished_at").values_list("finished_at", flat=True).first()


def late(after: timedelta = LATE_AFTER) -> str:
    """Why the figures count as late, as a sentence; "" when they don't, or when there are none yet."""
    at = last_well()
    if at is None or timezone.now() - at <= after:
        return ""
    hours = int(after.total_seconds() // 3600)
    return f"No refresh went well in the last {hours} hours: the figures are late."
