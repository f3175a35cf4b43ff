"""Deliveries: what left the house and what waits to, how it went, and sending it again. They hold people's addresses
and figures of the whole business: not for a person kept to a store."""

from collections.abc import Sequence
from datetime import timedelta

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_POST
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display

from analytics.access import may_whole
from analytics.admin_lists import Cell, ListAdmin, LookedAt, MomentsFilter, link, moment
from analytics.formats import many
from analytics.tables import Column
from operations import alerts, deliveries, transports
from operations.admin.shared import admin_url, delivery_tag, unset_above
from operations.admin.trail import trail
from operations.models import Delivery, RefreshRun
from operations.services import Refused

MOST_AT_ONCE = 200
CLICK_SECONDS = 20  # without a queue: so long a person waits for the page
RECENT_DAYS = 14  # what was given up longer ago waits for nobody any more: sent now, it would be stale


def may_look(user) -> bool:
    return may_whole(user, "operations.view_delivery")


def waiting(user) -> list[tuple[int, str, str]]:
    """For the first page: (how many were given up, words, address of their list), for those who may look at them."""
    if not may_look(user):
        return []
    since = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=RECENT_DAYS)
    given_up = Delivery.objects.filter(state=Delivery.State.FAILED, created_at__gte=since).count()
    listed = {"state__exact": Delivery.State.FAILED, "created_at_from_0": since.date(), "created_at_from_1": "00:00:00"}
    return [(given_up, f"messages of the last {RECENT_DAYS} days that never arrived", admin_url("delivery", **listed))]


def deliveries_of(run: RefreshRun) -> str:
    """A run's deliveries with their states as a table, for its page; "–" where there are none. No addresses: each row
    leads to its own page."""
    rows = [_row(delivery) for delivery in run.deliveries.all()]
    return render_to_string("admin/operations/refreshrun/deliveries.html", {"rows": rows})


def _row(delivery: Delivery) -> dict:
    return {"about": link(admin_url("delivery", delivery.pk), delivery.about), "by": delivery.get_kind_display(),
            "state": delivery_tag(delivery), "attempts": delivery.attempts, "what": _what_next(delivery)}  # fmt: skip


def _what_next(delivery: Delivery) -> str:
    """When it arrived, or why not yet and when it is tried again."""
    if delivery.state == Delivery.State.SENT:
        return moment(delivery.sent_at)
    if delivery.state == Delivery.State.WAITING and delivery.attempts:
        soon = delivery.next_attempt_at - timezone.now() < timedelta(minutes=2)
        at = f"{timezone.localtime(delivery.next_attempt_at):%H:%M:%S}" if soon else moment(delivery.next_attempt_at)
        return f"{delivery.last_error} Again at {at}."
    return delivery.last_error


@admin.register(Delivery)
class DeliveryAdmin(LookedAt, ListAdmin):
    list_display = ("recorded", "about", "kind", "recipient", "how_it_went", "attempts", "what_next")
    list_filter = (
        ("state", ChoicesDropdownFilter), ("kind", ChoicesDropdownFilter), ("created_at", MomentsFilter),
    )  # fmt: skip
    search_fields = ("about", "recipient", "last_error")
    search_help_text = "What it is about, to whom, or words of an error"
    date_hierarchy = "created_at"
    ordering = ("-created_at", "-pk")
    list_empty = "Nothing was sent yet."
    list_about = (
        "E-mails, messages to Slack and pushes to Notion. What can't go now is tried again for two days, then given "
        "up. Tick some to send them again."
    )
    actions = ("send_again",)
    change_form_outer_before_template = "admin/operations/delivery/again.html"
    change_form_outer_after_template = "admin/operations/histories.html"
    fieldsets = (
        (None, {"fields": ("about", ("how_it_went", "what_next"), ("kind", "recipient", "attempts"),
                           ("recorded", "begun", "arrived"), ("refresh", "alert"))}),
        ("What it says", {"fields": ("says",)}),
        ("For whoever looks after Moonwalk", {"fields": ("key",)}),
    )  # fmt: skip
    readonly_fields = ("how_it_went", "what_next", "recorded", "begun", "arrived", "refresh", "alert", "says")
    cells = (
        Cell(Column("recorded", "Recorded"), lambda d: moment(d.created_at)),
        Cell(Column("about", "About"), lambda d: d.about),
        Cell(Column("by", "By"), lambda d: d.get_kind_display()),
        Cell(Column("to", "To"), lambda d: d.recipient),
        Cell(Column("state", "State"), lambda d: d.get_state_display()),
        Cell(Column("attempts", "Attempts", "count"), lambda d: d.attempts),
        Cell(Column("sent", "Sent"), lambda d: moment(d.sent_at)),
        Cell(Column("error", "Last error"), lambda d: d.last_error),
    )

    def has_view_permission(self, request, obj=None):
        return may_look(request.user)

    def has_resend_permission(self, request) -> bool:
        return may_look(request.user) and may_whole(request.user, "operations.change_delivery")

    def get_urls(self):
        again = self.admin_site.admin_view(self.again_view)
        return [path("again/", again, name="operations_delivery_again"), *super().get_urls()]

    def get_queryset(self, request):
        found = super().get_queryset(request).select_related("run", "event")
        hidden = alerts.hidden_from(request.user)
        return found.exclude(event__rule__in=hidden) if hidden else found

    def render_change_form(self, request, context, add=False, change=False, form_url="", obj=None):
        if obj is not None:
            context |= {"delivery": obj, "may_resend": self.has_resend_permission(request), "histories": [trail([obj])],
                        "unset": transports.unset(obj.kind)}  # fmt: skip
        return super().render_change_form(request, context, add, change, form_url, obj)

    def list_top(self, request):
        return unset_above(super().list_top(request), Delivery.Kind.MAIL)

    # Sending again

    @action(description="Send again", permissions=["resend"])
    def send_again(self, request, queryset):
        return self._again(request, list(queryset[: MOST_AT_ONCE + 1]), back=request.get_full_path())

    @method_decorator(require_POST)
    def again_view(self, request):
        """Send those of `pk` again; where one of them arrived before, ask first, unless `sure`."""
        if not self.has_resend_permission(request):
            raise PermissionDenied
        # A longer number is no row's, and more than the database takes.
        chosen = [pk for pk in request.POST.getlist("pk") if pk.isdecimal() and len(pk) < 19]
        found = list(self.get_queryset(request).filter(pk__in=chosen[: MOST_AT_ONCE + 1]))
        back = admin_url("delivery", found[0].pk if len(found) == 1 else None)
        return self._again(request, found, back, sure="sure" in request.POST) or redirect(back)

    def _again(self, request, found: list[Delivery], back: str, sure: bool = False):
        """The page that asks; None once they were sent, or can't be."""
        if not found or len(found) > MOST_AT_ONCE:
            why = f"Choose up to {MOST_AT_ONCE} at once." if found else "They are not there any more."
            messages.error(request, why)
            return None
        arrived = [row for row in found if row.state == Delivery.State.SENT]
        if arrived and not sure:
            context = self.admin_site.each_context(request) | {
                "title": "Send again?", "opts": self.opts, "rows": found, "arrived": arrived, "back": back,
                "unset": filter(None, map(transports.unset, sorted({row.kind for row in found}))),
            }  # fmt: skip
            return TemplateResponse(request, "admin/operations/delivery/ask.html", context)
        waiting = []
        for row in found:
            try:
                waiting.append(deliveries.resend(row, request.user).pk)
            except Refused as error:
                messages.warning(request, f"{row.about}: {error}")
        self._tell(request, waiting)
        return None

    def _tell(self, request, waiting: Sequence[int]) -> None:
        """How it went; where a queue sends them, that they are on their way."""
        if not waiting:
            return
        if settings.REDIS_URL:
            on_the_way = many(len(waiting), "message")
            messages.info(request, f"{on_the_way} on the way. Reload in a moment to see how it went.")
            return
        sent = deliveries.deliver_due(waiting, CLICK_SECONDS)
        if sent:
            messages.success(request, f"{many(sent, 'message')} sent.")
        for row in Delivery.objects.filter(pk__in=waiting).exclude(state=Delivery.State.SENT):
            why = row.last_error or "It waits for the next round (manage.py tick)."
            messages.error(request, f"{row.about}, {row.get_state_display()}. {why}")

    # Columns and fields

    @display(description="recorded", ordering="created_at")
    def recorded(self, delivery):
        return moment(delivery.created_at)

    @display(description="last begun")
    def begun(self, delivery):
        return moment(delivery.claimed_at) or "–"

    @display(description="sent at")
    def arrived(self, delivery):
        return moment(delivery.sent_at) or "–"

    @display(description="state", ordering="state")
    def how_it_went(self, delivery):
        return delivery_tag(delivery)

    @display(description="how it goes on", ordering="next_attempt_at")
    def what_next(self, delivery):
        return _what_next(delivery) or "–"

    @display(description="after refresh")
    def refresh(self, delivery):
        return link(admin_url("refreshrun", delivery.run_id), f"refresh {delivery.run_id}") if delivery.run_id else "–"

    @display(description="of alert")
    def alert(self, delivery):
        if delivery.event_id is None:
            return "–"
        return link(reverse("admin:analytics_alertevent_change", args=[delivery.event_id]), delivery.event.headline)

    @display(description="words")
    def says(self, delivery):
        said = delivery.content
        context = {"said": said, "lines": transports.pairs(said.get("lines", ()))}
        return render_to_string("admin/operations/delivery/says.html", context)
