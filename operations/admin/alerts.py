"""Alerts: the rules that say when somebody is told, and the history of what was. Both are of the whole business: not
for a person kept to one store."""

import re

from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Count, Max, Prefetch, Q
from django.http import JsonResponse
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, path, reverse
from django.utils.html import format_html
from unfold.contrib.filters.admin import (
    BooleanRadioFilter,
    ChoicesDropdownFilter,
    DropdownFilter,
    RelatedDropdownFilter,
)
from unfold.decorators import display
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from analytics import alerts as figures
from analytics.admin_lists import (
    Cell,
    HiddenFromStores,
    ListAdmin,
    LookedAt,
    MomentsFilter,
    link,
    moment,
    people_filter,
    tag,
    values_filter,
)
from analytics.metrics import METRICS, SPLIT_WORDS
from analytics.models import AlertEvent, AlertRule, store_names
from analytics.tables import Column
from etl.errors import BusinessError
from operations import alerts, audience
from operations.admin.shared import (
    LATEST,
    Button,
    History,
    PeopleField,
    ServiceAdmin,
    delivery_tag,
    person,
    unset_above,
    unset_said,
)
from operations.admin.trail import trail
from operations.models import Delivery, RefreshRun

Kind = AlertRule.Kind
RUN_PAGE = re.compile(r"/refreshrun/(\d+)/")
DECIDED = {RefreshRun.State.RELEASED: "since published", RefreshRun.State.DISCARDED: "since discarded"}
UNSENT = ["waiting", "sending", "failed"]
LIMIT_HELP = {
    Kind.METRIC: "In the figure's own unit. Of a share type the %: 15 means 15 %. Of a change the % on the period "
    "before; of a share's change the points of %.",
    Kind.REFRESH_LATE: "Hours since the figures were last refreshed, or found to be the newest. A refresh that is held "
    "for a person doesn't count.",
    Kind.QUARANTINE: "In % of the rows of a file: somebody is told when more than that of any one file was set aside. "
    "The same rows are told once a month.",
    Kind.CLOSED_MONTH: "In %: a refresh is held when the revenue of a month that is over would move by more than that. "
    "A paused rule tells nobody, and its limit still holds refreshes.",
}  # fmt: skip
SAYS = {
    Kind.REFRESH_FAILED: "A refresh failed, was refused or died",
    Kind.REFRESH_LATE: "Nothing refreshed for {limit}",
    Kind.QUARANTINE: "More than {limit} of a file's rows set aside",
    Kind.CLOSED_MONTH: "Held: a closed month moved by more than {limit}",
}
ABOUT = {
    Kind.REFRESH_FAILED: "Told when a refresh failed, was refused or died: once a day and reason.",
    Kind.REFRESH_LATE: "Told once a day while the figures are older than the limit; looked at every hour.",
    Kind.QUARANTINE: "Told when a refresh set aside more rows of a file than the limit.",
    Kind.CLOSED_MONTH: "Told when a refresh is held because a closed month's revenue moved: once a set of exports.",
}


class BuiltInForm(forms.ModelForm):
    """What of a built-in rule is a person's to set."""

    limit = forms.DecimalField(
        required=False, max_digits=14, decimal_places=4, widget=UnfoldAdminDecimalFieldWidget, label="Limit"
    )
    people = PeopleField(
        help_text="Nobody chosen: everybody of Management. Told is who may open the page that shows the figure."
    )

    class Meta:
        model = AlertRule
        fields = ("limit", "paused", "people", "by_mail", "by_slack")

    def add_error(self, field, error):
        """The model judges what could be read: where a field could not be, its own fault is the only true one."""
        if field is None and hasattr(error, "error_dict"):
            found = {name: said for name, said in error.error_dict.items() if name not in self.errors}
            if not found:
                return
            error = ValidationError(found)
        super().add_error(field, error)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        unset_said(self, by_mail=Delivery.Kind.MAIL, by_slack=Delivery.Kind.SLACK)
        if limit := self.fields.get("limit"):
            limit.help_text = LIMIT_HELP.get(self.instance.kind, "")
            if self.instance.built_in:
                limit.label = f"Limit, in {figures.unit_of(self.instance)}"
            if self.initial.get("limit") is not None:
                self.initial["limit"] = figures.plain(self.initial["limit"]).replace(",", "")


class LimitField(forms.DecimalField):
    """A number, with a "%" where one is meant."""

    def to_python(self, value):
        return super().to_python(value.strip().removesuffix("%").strip() if isinstance(value, str) else value)


class RuleForm(BuiltInForm):
    """A rule of a figure: what can be chosen is what can be judged, and `user` (a class's own) sees."""

    user = None

    metric = forms.ChoiceField(label="Figure", widget=UnfoldAdminSelectWidget)
    split = forms.ChoiceField(
        label="One by one for each", required=False, widget=UnfoldAdminSelectWidget,
        help_text="The rule then looks at each of them, and one message names all that met it.",
    )  # fmt: skip
    store = forms.ChoiceField(label="Only the store", required=False, widget=UnfoldAdminSelectWidget)
    limit = LimitField(
        required=False, max_digits=14, decimal_places=4, label="Limit",
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
    )  # fmt: skip

    class Meta(BuiltInForm.Meta):
        fields = ("name", "metric", "grain", "split", "store", "condition", *BuiltInForm.Meta.fields)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if "metric" not in self.fields:
            return  # only looked at
        rule, known = self.instance, figures.choices(self.user)
        if rule.metric and rule.metric not in {name for _, names in known for name, _ in names}:
            known = [("No longer there", [(rule.metric, rule.metric)]), *known]
        self.fields["metric"].choices = [("", "choose a figure"), *known]
        self.fields["split"].choices = [("", "nothing: as one figure"), *SPLIT_WORDS.items()]
        self.fields["store"].choices = [("", "every store, together"), *((s, s) for s in _stores(rule.store))]
        if _is_share(rule) and rule.limit is not None and 0 < rule.limit <= 1:
            self.initial["limit"] = f"{figures.plain(rule.limit)} %"

    def clean(self):
        """A share's limit is in %: 0.9 is asked about, as targets do."""
        said = super().clean()
        typed = str(self.data.get(self.add_prefix("limit"), "")).strip()
        rule = AlertRule(metric=said.get("metric") or "", condition=said.get("condition") or "")
        limit = said.get("limit")
        if _is_share(rule) and limit is not None and 0 < limit <= 1 and not typed.endswith("%"):
            bare = figures.plain(limit)
            meant = figures.plain(limit * 100)
            self.add_error(
                "limit", f"{bare} would be {bare} %: write shares in %, like {meant} (or {bare} % if that is meant)."
            )
        return said


def _is_share(rule: AlertRule) -> bool:
    """Is its limit one of a share, in %?"""
    metric = METRICS.get(rule.metric)
    sided = rule.condition in (AlertRule.Condition.ABOVE, AlertRule.Condition.BELOW)
    return bool(metric and metric.unit == "share" and sided)


def _stores(own: str) -> list[str]:
    """The business file's stores, and the rule's own."""
    try:
        names = store_names()
    except BusinessError:
        names = ()  # AlertRule.clean says why none can be chosen
    return list(dict.fromkeys(name for name in (*names, own) if name))


@admin.register(AlertRule)
class AlertRuleAdmin(HiddenFromStores, ServiceAdmin, ListAdmin):
    """A built-in rule's limit, people and pause are a person's to set; it is neither removed nor made another."""

    list_display = ("name", "says", "told", "state", "last_told")
    list_filter = (
        ("kind", ChoicesDropdownFilter), values_filter("metric", "figure"), ("grain", ChoicesDropdownFilter),
        ("condition", ChoicesDropdownFilter), values_filter("store", "store"), ("paused", BooleanRadioFilter),
        people_filter("created_by", "made by"),
    )  # fmt: skip
    search_fields = ("name", "metric")
    search_help_text = "Name, or figure"
    ordering = ("name", "pk")
    list_about = (
        "When somebody is told, by e-mail or in Slack: of a figure of a week or month that is over, and of refreshes "
        "that went wrong. At most one message a rule and period."
    )
    change_form_outer_before_template = "admin/operations/buttons.html"
    change_form_outer_after_template = "admin/operations/histories.html"
    readonly_fields = ("about", "now", "would_tell")
    cells = (
        Cell(Column("name", "Name"), lambda r: r.name),
        Cell(Column("says", "Tells when"), lambda r: says(r)),
        Cell(Column("told", "Who is told"), lambda r: told(r)),
        Cell(Column("by", "By"), lambda r: ", ".join(ways(r))),
        Cell(Column("paused", "Paused", "boolean"), lambda r: r.paused),
        Cell(Column("last", "Last told"), lambda r: last_told(r)),
        Cell(Column("times", "Times told", "count"), lambda r: r._times),
        Cell(Column("by_whom", "Made by"), lambda r: person(r.created_by) if r.created_by else None),
    )

    class Media:
        js = ("operations/alert_rule.js",)

    def get_queryset(self, request):
        found = super().get_queryset(request).exclude(pk__in=alerts.hidden_from(request.user))
        found = found.select_related("created_by").prefetch_related("people")
        return found.annotate(_times=Count("events", distinct=True), _last=Max("events__at"),
                              _reached=Max("events__at", filter=Q(events__deliveries__isnull=False)))  # fmt: skip

    def has_delete_permission(self, request, obj=None):
        return super().has_delete_permission(request, obj) and not (obj and obj.built_in)

    def get_deleted_objects(self, objs, request):
        """What a rule told goes with it: its page of deleting lists that, and takes no right of its own."""
        found, counts, _, protected = super().get_deleted_objects(objs, request)
        return found, counts, set(), protected

    def get_actions(self, request):
        found = super().get_actions(request)
        found.pop("delete_selected", None)  # built-in rules are in the same list
        return found

    def get_fieldsets(self, request, obj=None):
        who = ("Who is told", {"fields": ("people", ("by_mail", "by_slack"), "would_tell")})
        now = ("What it would say now", {"fields": ("now",)})
        if obj and obj.built_in:
            limit = () if obj.kind == Kind.REFRESH_FAILED else ("limit",)
            return [(None, {"fields": ("about", *limit, "paused")}), now, who]
        return [
            (None, {"fields": ("name", "paused")}),
            ("The figure", {"fields": ("metric", ("grain", "split", "store"))}),
            ("Somebody is told when it", {"fields": (("condition", "limit"),)}),
            now, who,
        ]  # fmt: skip

    def get_form(self, request, obj=None, change=False, **kwargs):
        form = BuiltInForm if obj and obj.built_in else RuleForm
        found = super().get_form(request, obj, change=change, **({"form": form} | kwargs))
        found.user = request.user
        return found

    def get_object(self, request, object_id, from_field=None):
        found = super().get_object(request, object_id, from_field)
        if found:
            found._shown_to = request.user  # what it says now is for who sees the figure
        return found

    def get_urls(self):
        view = self.admin_site.admin_view(self.preview_view)
        return [path("preview/", view, name="analytics_alertrule_preview"), *super().get_urls()]

    def list_top(self, request):
        return unset_above(super().list_top(request), Delivery.Kind.MAIL, Delivery.Kind.SLACK)

    def list_links(self, request):
        all_alerts = reverse("admin:analytics_alertevent_changelist")
        return [("All alerts", all_alerts), ("Guide", reverse("guide", args=["alerts"]))]

    def save_model(self, request, obj, form, change):
        alerts.rule_save(obj, user=request.user)

    def delete_model(self, request, obj):
        alerts.rule_delete(obj, user=request.user)

    def render_change_form(self, request, context, add=False, change=False, form_url="", obj=None):
        if obj is not None:
            context |= {"buttons": self.buttons(obj), "histories": [history(obj), trail([obj])]}
        return super().render_change_form(request, context, add, change, form_url, obj)

    def buttons(self, rule: AlertRule) -> list[Button]:
        if rule.built_in:
            return [Button("Refreshes", reverse("admin:operations_refreshrun_changelist"))]
        url = figures.latest(rule)
        return [Button("The figure on its page", url)] if url else []

    def preview_view(self, request):
        """{"said": HTML, "unit", "limited": may it have a limit?} of a rule as its form stands, saved or not."""
        if not (self.has_add_permission(request) or self.has_change_permission(request)):
            raise PermissionDenied
        of = request.GET.get("rule", "")
        rule = AlertRule.objects.filter(pk=of, kind=Kind.METRIC).first() if of.isdecimal() and len(of) < 19 else None
        form = RuleForm(request.GET, instance=rule or AlertRule())
        form.is_valid()  # fills the instance with all that can be read
        rule = form.instance
        rule.by_mail = True  # not asked for here
        try:
            if unread := form.errors.get("limit"):
                raise ValidationError(list(unread))
            rule.clean()
            said = alerts.now_said(rule, request.user)
        except ValidationError as error:
            said = [("info", words) for words in error.messages] if rule.metric else []
        html = render_to_string("admin/analytics/alertrule/said.html", {"said": said})
        limited = rule.condition != AlertRule.Condition.MISSING
        return JsonResponse({"said": html, "unit": figures.unit_of(rule), "limited": limited})

    # Columns and fields

    @display(description="tells when")
    def says(self, rule):
        return format_html('<span class="mw-wrap">{}</span>', says(rule))

    @display(description="who is told")
    def told(self, rule):
        if rule.by_mail and rule.by_slack:
            return told(rule)
        nowhere = "" if rule.by_mail or settings.SLACK_WEBHOOK else " (no webhook is set)"
        return f"{told(rule)}, {' and '.join(ways(rule))} alone{nowhere}"

    @display(description="state", ordering="paused")
    def state(self, rule):
        if not rule.built_in and rule.metric not in METRICS:
            return tag("bad", "its figure is gone")
        return tag("plain", "paused") if rule.paused else tag("good", "on")

    @display(description="last told", ordering="_last")
    def last_told(self, rule):
        return last_told(rule) or "never"

    @display(description="about")
    def about(self, rule):
        return ABOUT.get(rule.kind, "")

    @display(description="now")
    def now(self, rule):
        said = alerts.now_said(rule, rule._shown_to) if rule.pk else []
        url = f"{reverse('admin:analytics_alertrule_preview')}?rule={rule.pk or ''}"
        context = {"said": said, "url": url, "figures": None}
        if not rule.built_in:
            context["figures"] = {
                name: {"splits": m.splits, "grains": m.grains, "whole": m.whole} for name, m in METRICS.items()
            }
        return render_to_string("admin/analytics/alertrule/now.html", context)

    @display(description="who would get an e-mail now")
    def would_tell(self, rule):
        if not rule.pk:
            return "–"
        people = audience.people(rule.people.all(), alerts.page_of(rule), rule.store) if rule.by_mail else []
        said = ", ".join(person(user) for user in people)
        if rule.by_mail and not said:
            said = "nobody: none of those chosen is active, has an e-mail address and may open the page"
        return said or "nobody: it goes to Slack alone"


def says(rule: AlertRule) -> str:
    """What a rule tells of, in a line."""
    if not rule.built_in:
        return figures.rule_said(rule)
    return SAYS[rule.kind].format(limit=figures.limit_said(rule))


def last_told(rule: AlertRule) -> str:
    """When a rule was last met; said too where nobody could be told of it. "": never."""
    when = moment(rule._last)
    return when if rule._last == rule._reached else f"{when}, reached nobody"


def told(rule: AlertRule) -> str:
    return ", ".join(person(user) for user in rule.people.all()) or "Management"


def ways(rule: AlertRule) -> list[str]:
    return [words for words, on in (("by e-mail", rule.by_mail), ("in Slack", rule.by_slack)) if on]


def history(rule: AlertRule) -> History:
    """What a rule told, the latest first."""
    rows = rule.events.prefetch_related("deliveries")[:LATEST]
    return History(
        "What it told",
        ("When", "Period", "What", "Arrived"),
        [(link(event_url(e), moment(e.at)), period(e), e.headline, arrived(e)) for e in rows],
        more=f"{reverse('admin:analytics_alertevent_changelist')}?rule__id__exact={rule.pk}",
        empty="Nothing yet.",
    )


# History -------------------------------------------------------------------------------------------------------------


def event_url(event: AlertEvent) -> str:
    return reverse("admin:analytics_alertevent_change", args=[event.pk])


def period(event: AlertEvent) -> str:
    """2026-02; of a built-in rule what it counts by without what only tells two apart."""
    return event.period.split(" ")[0]


def arrived(event: AlertEvent) -> str:
    """How many of an alert's messages arrived, in words."""
    states = [one.state for one in event.deliveries.all()]
    if not states:
        return tag("plain", "nobody to tell")
    done = states.count("sent")
    if done == len(states):
        return tag("good", "arrived" if done == 1 else f"all {done} arrived")
    failed = states.count("failed")
    if failed:
        return tag("bad", f"{failed} of {len(states)} given up")
    return tag("warn", f"{done} of {len(states)} arrived")


class ArrivedFilter(DropdownFilter):
    """By what became of an alert's messages."""

    title, parameter_name = "messages", "messages"

    def lookups(self, request, model_admin):
        return [("sent", "all arrived"), ("waiting", "some on their way"), ("failed", "some given up"),
                ("none", "nobody to tell")]  # fmt: skip

    def queryset(self, request, queryset):
        if self.value() == "none":
            return queryset.filter(deliveries__isnull=True)
        if self.value() == "sent":
            return queryset.filter(deliveries__state="sent").exclude(deliveries__state__in=UNSENT).distinct()
        if self.value() == "waiting":
            return queryset.filter(deliveries__state__in=["waiting", "sending"]).distinct()
        return queryset.filter(deliveries__state="failed").distinct() if self.value() == "failed" else queryset


@admin.register(AlertEvent)
class AlertEventAdmin(HiddenFromStores, LookedAt, ListAdmin):
    list_display = ("when", "said", "messages", "rule_shown", "period_shown", "page")
    list_filter = (
        ("rule", RelatedDropdownFilter), ("rule__kind", ChoicesDropdownFilter), values_filter("rule__store", "store"),
        values_filter("period", "period"), ArrivedFilter, ("at", MomentsFilter),
    )  # fmt: skip
    search_fields = ("headline", "detail", "rule__name")
    search_help_text = "Words of the alert, or of its rule's name"
    date_hierarchy = "at"
    list_about = "What rules told, and whether it arrived. Each is told once a rule and period."
    change_form_outer_before_template = "admin/operations/buttons.html"
    change_form_outer_after_template = "admin/operations/histories.html"
    fields = ("headline", "detail", ("when", "rule_shown"), ("period_shown", "store", "build_id"))
    readonly_fields = ("when", "rule_shown", "period_shown", "store")
    cells = (
        Cell(Column("at", "When"), lambda e: moment(e.at)),
        Cell(Column("rule", "Rule"), lambda e: e.rule.name),
        Cell(Column("kind", "About"), lambda e: e.rule.get_kind_display()),
        Cell(Column("period", "Period"), lambda e: period(e)),
        Cell(Column("store", "Only the store"), lambda e: e.rule.store),
        Cell(Column("headline", "Alert"), lambda e: e.headline),
        Cell(Column("detail", "Detail"), lambda e: e.detail),
        Cell(Column("messages", "Messages", "count"), lambda e: len(e.deliveries.all())),
        Cell(Column("arrived", "Arrived", "count"), lambda e: sum(d.state == "sent" for d in e.deliveries.all())),
        Cell(Column("build", "Build"), lambda e: e.build_id),
    )

    def get_queryset(self, request):
        deliveries = Prefetch("deliveries", Delivery.objects.order_by("kind", "pk"))
        found = super().get_queryset(request).exclude(rule__in=alerts.hidden_from(request.user))
        return found.select_related("rule").prefetch_related(deliveries)

    def list_links(self, request):
        rules = reverse("admin:analytics_alertrule_changelist")
        return [("Rules", rules), ("Guide", reverse("guide", args=["alerts"]))]

    def fill(self, request, rows):
        """What became of the builds that waited for a person."""
        runs = {row.pk: int(found[1]) for row in rows
                if row.rule.kind == Kind.CLOSED_MONTH and (found := RUN_PAGE.search(row.url))}  # fmt: skip
        states = dict(RefreshRun.objects.filter(pk__in=runs.values()).values_list("pk", "state")) if runs else {}
        for row in rows:
            row._run_state = states.get(runs.get(row.pk))

    def render_change_form(self, request, context, add=False, change=False, form_url="", obj=None):
        if obj is not None:
            context |= {"buttons": [Button("The page that shows it", obj.url)] if obj.url else [],
                        "histories": self.histories(obj)}  # fmt: skip
        return super().render_change_form(request, context, add, change, form_url, obj)

    def histories(self, event: AlertEvent) -> list[History]:
        rows = [
            (d.get_kind_display(), d.recipient or "the channel", delivery_tag(d), d.attempts,
             moment(d.sent_at), d.last_error, _delivery_link(d)) for d in event.deliveries.all()
        ]  # fmt: skip
        heads = ("By", "To", "State", "Attempts", "Sent", "Last error", "")
        return [History("Messages", heads, rows, empty="Nobody was to be told.", numbers=(3,))]

    @display(description="when", ordering="at")
    def when(self, event):
        return moment(event.at)

    @display(description="alert", ordering="headline")
    def said(self, event):
        since = DECIDED.get(event._run_state)
        since = format_html(" {}", tag("plain", since)) if since else ""
        return format_html('<span class="mw-wrap">{}{}</span>', event.headline, since)

    @display(description="rule", ordering="rule__name")
    def rule_shown(self, event):
        return link(reverse("admin:analytics_alertrule_change", args=[event.rule_id]), event.rule.name)

    @display(description="period", ordering="period")
    def period_shown(self, event):
        return period(event)

    @display(description="store", ordering="rule__store")
    def store(self, event):
        return event.rule.store or "all"

    @display(description="messages")
    def messages(self, event):
        return arrived(event)

    @display(description="page")
    def page(self, event):
        return link(event.url, "open") if event.url else "–"


def _delivery_link(delivery: Delivery) -> str:
    try:
        return link(reverse("admin:operations_delivery_change", args=[delivery.pk]), "its page")
    except NoReverseMatch:
        return "–"
