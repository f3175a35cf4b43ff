"""Alerts: which rules are judged when, the events that come of it, and who is told.

judge(run)               after a refresh: the house's own rules for how it ended, then every rule of a figure
check_freshness(due_at)  hourly: are the figures late?
now_said(rule, user)     what a rule would say now, for its page

A rule tells once a period, whatever happens after: an event is a row with a unique key, written in one transaction with
the deliveries that tell of it, so that it may be judged as often as it takes. A rule that was changed meanwhile is
judged on the next period: what was told stands.
"""

import hashlib
import logging
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from analytics.access import can_see, require_whole
from analytics.formats import day, many, moment, number
from analytics.models import AlertEvent, AlertRule
from etl.errors import MoonwalkError, WarehouseError
from operations import audit
from operations.models import RefreshRun
from operations.services import Refused

if TYPE_CHECKING:
    from analytics.queries import Snapshot

log = logging.getLogger(__name__)

Kind, State = AlertRule.Kind, RefreshRun.State
# What comes with the house: kind -> name, limit.
BUILT_IN = {
    Kind.REFRESH_FAILED: ("A refresh failed", None),
    Kind.REFRESH_LATE: ("The figures are late", Decimal(26)),  # hours: a day, and two for a refresh that takes its time
    Kind.QUARANTINE: ("Rows were set aside", Decimal("0.5")),  # % of the rows of a file
    Kind.CLOSED_MONTH: ("A closed month's revenue moved", Decimal(1)),  # %
}
# Who may be told, by a page of access.PAGES that they may open: how a refresh went is no figure, anybody's to know.
ANYBODY, FIGURES = "guides", "executive"
NOT_SHOWN = "Your account doesn't show this figure."
PATIENCE = timedelta(hours=1)  # a refresh that is under way so long is no reason to wait with saying that it is late
STUCK_AFTER = timedelta(minutes=10)  # a build that is not live by then won't be without a person
MOST_LINES = 8  # of what moved, in a message: all of it stands on the run's page
_STEP = re.compile(r" at step \w+")


def page_of(rule: AlertRule) -> str:
    """The page that whoever the rule tells, or looks at what it says, may open."""
    from analytics import alerts

    if rule.built_in:
        return FIGURES if rule.kind == Kind.CLOSED_MONTH else ANYBODY
    return alerts.page_of(rule.metric, rule.grain, rule.split) or FIGURES


def hidden_from(user) -> list[int]:
    """The rules (pk) about figures that this person's pages don't show: neither they nor what they told are theirs."""
    from analytics.dashboards import DASHBOARDS

    if all(can_see(user, page) for page in DASHBOARDS):
        return []
    return [rule.pk for rule in AlertRule.objects.all() if not can_see(user, page_of(rule))]


def make_rules(sender=None, **kwargs) -> None:
    """The house's own rules, after every migrate: one that is there already is a person's to set."""
    model = apps.get_model("analytics", "AlertRule")
    there = set(model.objects.values_list("kind", flat=True))
    model.objects.bulk_create(  # in bulk: no entry of the trail
        [model(kind=kind, name=name, limit=limit) for kind, (name, limit) in BUILT_IN.items() if kind not in there],
        ignore_conflicts=True,
    )


def rule_save(rule: AlertRule, *, user) -> AlertRule:
    """Write a new or changed rule. Refused when it breaks a rule of the model, its figure is none that this person
    sees, or a built-in one were made another."""
    with _writing(user, "add" if rule.pk is None else "change"):
        if rule.pk and AlertRule.objects.get(pk=rule.pk).kind != rule.kind:
            raise Refused("A rule stays about what it is about: make another one.")
        if not can_see(user, page_of(rule)):
            raise Refused(NOT_SHOWN)
        rule.created_by = user if rule.pk is None else rule.created_by
        rule.full_clean()
        rule.save()
    return rule


def rule_delete(rule: AlertRule, *, user) -> None:
    """Remove a rule and its history. Refused for one of the house's own: it can be paused."""
    with _writing(user, "delete"):
        if rule.built_in:
            raise Refused("This rule came with the house and can't be deleted: pause it instead.")
        rule.delete()


@contextmanager
def _writing(user, what: str) -> Iterator[None]:
    """One transaction of a person with this right to rules, who is not kept to a store."""
    require_whole(user, f"analytics.{what}_alertrule")
    try:
        with audit.acting(user), transaction.atomic():
            yield
    except ValidationError as error:
        raise Refused(" ".join(error.messages)) from error


# Telling -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Word:
    """What there is to tell. period: what it counts by, once a rule; page, store: whoever may see these is told; lines:
    (label, value); url: a path of this site."""

    period: str
    headline: str
    detail: str
    url: str
    page: str
    store: str = ""
    lines: tuple = ()
    figures: tuple = ()

    @property
    def whole(self) -> str:
        """All that is told beneath the headline, to keep."""
        return "\n".join([self.detail, *(f"{label}: {value}" for label, value in self.lines)])


def tell(rule: AlertRule, word: Word, run: RefreshRun | None = None, build_id: str = "") -> AlertEvent | None:
    """Write the event down and have everybody told who is to be; None when this rule and period was told before, or the
    rule is paused."""
    from operations import audience

    if rule.paused:
        return None
    with transaction.atomic():
        event, new = AlertEvent.objects.get_or_create(
            rule=rule,
            period=word.period[:100],
            defaults={
                "headline": word.headline[:300], "detail": word.whole, "figures": list(word.figures),
                "url": word.url[:500], "build_id": build_id,
            },
        )  # fmt: skip
        if not new:
            return None
        audience.tell(
            audience.people(rule.people.all(), word.page, word.store),
            key=f"alert {rule.pk} {event.period}", about=f"Alert: {rule.name}", subject=word.headline[:300],
            text=word.detail, lines=word.lines, url=word.url, run=run, event=event, mail=rule.by_mail,
            slack=rule.by_slack,
        )  # fmt: skip
    log.info("rule %s was met: event %s", rule.pk, event.pk)
    return event


def _rule(kind: str) -> AlertRule | None:
    return AlertRule.objects.filter(kind=kind, paused=False).first()


# After a refresh -----------------------------------------------------------------------------------------------------


def judge(run: RefreshRun) -> list[AlertEvent]:
    """The rules' word on an ended refresh; the events it made. Nothing on rebuilds for payments alone and dry runs.

    A rule that can't be judged is left out (its page says why). Raises, at the end, what nobody foresaw: the others
    were judged, and whoever asked asks again.
    """
    if run.dry_run or run.is_for_payments_alone:
        return []
    if run.state in (State.FAILED, State.REFUSED):
        return _told((Kind.REFRESH_FAILED, _failed), run)
    if run.state == State.HELD:
        return _told((Kind.CLOSED_MONTH, _held), run)
    if run.state != State.PUBLISHED:
        return []
    return _told((Kind.QUARANTINE, _aside), run) + _judge_figures(run)


def _told(which: tuple, run: RefreshRun) -> list[AlertEvent]:
    """A built-in rule's event on a run; which: its kind, and who finds its word."""
    kind, find = which
    rule = _rule(kind)
    word = rule and find(rule, run)
    event = word and tell(rule, word, run, run.build_id)
    return [event] if event else []


def _judge_figures(run: RefreshRun) -> list[AlertEvent]:
    """Every rule of a figure on the build that the run published."""
    from analytics.alerts import NotJudged

    rules, found, surprise = list(AlertRule.objects.filter(kind=Kind.METRIC, paused=False)), [], None
    if not rules:
        return []
    with _build_of(run) as build:
        for rule in rules:
            try:
                word = of_figure(rule, build)
                event = word and tell(rule, word, run, build.build_id)
            except NotJudged as why:
                log.warning("rule %s was not judged: %s", rule.pk, why)
                continue
            except Exception as error:
                log.error("rule %s was not judged: %s", rule.pk, type(error).__name__)
                surprise = error
                continue
            found += [event] if event else []
    if surprise:
        raise surprise
    return found


@contextmanager
def _build_of(run: RefreshRun) -> Iterator["Snapshot"]:
    """The build that a run published; the live one where that is no longer kept."""
    from analytics import queries

    house = queries.warehouse()
    if run.build_id == house.current() or not house.path(run.build_id).exists():
        yield queries.current()
        return
    with closing(house.connect(run.build_id)) as con:
        yield queries.Snapshot(run.build_id, con, house.manifest(run.build_id))


def of_figure(rule: AlertRule, build: "Snapshot") -> Word | None:
    """What there is to tell of a rule of a figure; None: nothing. Raises NotJudged."""
    from analytics import alerts

    reading = alerts.read(rule, build)
    if not reading.met:
        return None
    lines = (
        *((one.of or alerts.label(rule), reading.told(one)) for one in reading.met),
        ("Data to", day(date.fromisoformat(build.meta()["data_to"]))),
    )
    return Word(
        reading.period.key, reading.headline, f"{rule.name}: {alerts.rule_said(rule)}.", reading.url, page_of(rule),
        rule.store, lines, tuple(reading.figures),
    )  # fmt: skip


# The house's own rules -----------------------------------------------------------------------------------------------


def _failed(rule: AlertRule, run: RefreshRun) -> Word:
    """A refresh that failed or was refused: once a day and reason. Of a surprise only its kind is told, as its text may
    hold a customer's data; it stands on the run's page."""
    said = run.error_for_output or "It ended without a word."
    ended = run.finished_at or timezone.now()
    reason = hashlib.sha256(_STEP.sub("", said).encode()).hexdigest()[:6]
    how = "was refused" if run.state == State.REFUSED else "failed"
    lines = (("Why", said), ("Started by", run.get_trigger_display()), ("Pages show", _live()))
    return Word(
        f"{timezone.localdate(ended)} {reason}", f"A refresh {how} on {moment(ended)}",
        "Nothing of it reached a page.", _run_page(run), ANYBODY, lines=lines,
    )  # fmt: skip


def _held(rule: AlertRule, run: RefreshRun) -> Word:
    """A build that waits for a person, as months that are over have other figures, or as nobody can compare them: once
    a set of exports."""
    from operations import moved
    from operations.held import UNCOMPARED

    over = [(month.label, line) for month in moved.months(run) for line in month.revenue if line.over]
    lines = [
        (f"{label}, {line.label}", f"{line.before} live now, {line.after} in this build")
        for label, line in over[:MOST_LINES]
    ]
    if len(over) > MOST_LINES:
        lines.append(("And", f"{len(over) - MOST_LINES} more on its page"))
    lines.append(("Pages show", _live()))
    if over:
        what = f"the revenue of {moved.listed(moved.over(run), 4)} moved"
        why = "Months that are over have another revenue in the newest exports."
    else:
        what = "closed months could not be compared"
        why = UNCOMPARED
    return Word(
        f"{run.as_of or timezone.localdate()} {_short(run.manifest.get('base') or run.build_id or str(run.pk))}",
        f"A refresh waits for you: {what}",
        f"{why} Nothing of it is on a page until somebody publishes it, or discards it.",
        _run_page(run), FIGURES, lines=tuple(lines), figures=tuple(row for row in run.moved if row["over"]),
    )  # fmt: skip


def _aside(rule: AlertRule, run: RefreshRun) -> Word | None:
    """Rows set aside, where they are more than the limit of any one file: once for the same rows a month, as exports
    bring the same rows every day."""
    from analytics.alerts import plain

    over = [one for one in set_aside(run.manifest) if one.share > rule.limit]
    if not over:
        return None
    words = [f"{one.rows:,} of {one.read:,} rows of {one.file}" for one in over]
    lines = [(one.file, f"{one.rows:,} of {one.read:,} rows ({number(one.share, 2)} %): {one.rules}") for one in over]
    same = _short(repr([(one.kind, one.rules) for one in over]))
    return Word(
        f"{run.as_of or timezone.localdate():%Y-%m} {same}", f"Set aside: {' and '.join(words)}",
        f"They broke a rule and are in no figure; more than {plain(rule.limit)} % of a file is told. "
        "The refresh's page has them for download.",
        _run_page(run), ANYBODY, lines=tuple(lines),
    )  # fmt: skip


@dataclass(frozen=True)
class Aside:
    """Rows of one export that were set aside; share: of those read, in %; rules: how many broke which."""

    kind: str
    file: str
    rows: int
    read: int
    rules: str

    @property
    def share(self) -> Decimal:
        return Decimal(100) * self.rows / self.read if self.read else Decimal(0)


def set_aside(manifest: dict) -> list[Aside]:
    """What each export of a build had set aside, the largest share first."""
    found = []
    for kind, file in manifest.get("files", {}).items():
        rules = file.get("quarantined", {})
        said = ", ".join(f"{rule.replace('_', ' ')} {n:,}" for rule, n in sorted(rules.items()))
        found.append(Aside(kind, file.get("file", kind), sum(rules.values()), file.get("read", 0), said))
    return sorted(found, key=lambda one: -one.share)


def check_freshness(due_at: datetime | None = None) -> str:
    """Are the figures late, or is a build kept from going live? Told once a day; a sentence on how it is."""
    said = [_check_stuck(), _check_late()]
    return " ".join(filter(None, said))


def _check_stuck() -> str:
    """A refresh whose last step doesn't go, however often it is tried (a full disk): it has not ended, so nothing else
    tells of it."""
    rule = _rule(Kind.REFRESH_FAILED)
    stuck = RefreshRun.objects.filter(state=State.PUBLISHING, started_at__lt=timezone.now() - STUCK_AFTER)
    run = stuck.exclude(error="").order_by("pk").first()
    if rule is None or run is None:
        return ""
    lines = (("Why", run.error_for_output), ("Pages show", _live()))
    event = tell(rule, Word(
        f"{timezone.localdate()} publishing", f"The refresh of {moment(run.started_at)} can't be published",
        "Its figures are made and don't reach a page. It is tried again until it goes; nothing newer is refreshed "
        "before.",
        _run_page(run), ANYBODY, lines=lines,
    ), run)  # fmt: skip
    return f"Refresh {run.pk} can't be published. " + ("Told." if event else "Told before today.")


def _check_late() -> str:
    """What is under way now is waited for."""
    rule = _rule(Kind.REFRESH_LATE)
    last = last_refreshed()
    if rule is None or last is None:
        return "The rule is paused." if rule is None else "Nothing was ever refreshed."
    late = hours_late(last)
    if late <= rule.limit:
        return f"Refreshed {_ago(last)}."
    busy = RefreshRun.objects.filter(state__in=RefreshRun.UNDERWAY, started_at__gt=timezone.now() - PATIENCE)
    if busy.exclude(trigger=RefreshRun.Trigger.PAYMENTS).exists():
        return f"Refreshed {_ago(last)}; a refresh is under way."
    event = tell(rule, _late(rule, last), last)
    return f"Late: refreshed {_ago(last)}. " + ("Told." if event else "Told before today.")


def last_refreshed() -> RefreshRun | None:
    """The run that last brought, or found nothing newer than, the exports' figures. Payments alone, dry runs and a
    return to an earlier build bring none; nor does a build that is held."""
    found = RefreshRun.objects.filter(state__in=[State.PUBLISHED, State.NOTHING_NEW], dry_run=False)
    aside = [RefreshRun.Trigger.PAYMENTS, RefreshRun.Trigger.ROLLBACK]
    return found.exclude(trigger__in=aside).order_by("finished_at", "pk").last()


def hours_late(last: RefreshRun) -> Decimal:
    """Hours since it ended."""
    return Decimal((timezone.now() - last.finished_at).total_seconds()) / 3600


def _late(rule: AlertRule, last: RefreshRun) -> Word:
    newer = RefreshRun.objects.filter(finished_at__gt=last.finished_at, dry_run=False)
    newest = newer.exclude(trigger=RefreshRun.Trigger.PAYMENTS).order_by("finished_at", "pk").last()
    lines = [("Last refreshed", moment(last.finished_at)), ("Pages show", _live())]
    if newest:
        lines.append(("Tried since", f"{moment(newest.finished_at)}: {newest.get_state_display()}"))
    else:
        lines.append(("Tried since", "not once: is the clock (celery beat) running?"))
    return Word(
        f"{timezone.localdate()}", f"The figures are late: last refreshed {_ago(last)}",
        f"They are to be refreshed at least every {rule.limit.normalize():f} hours.",
        _run_page(newest or last), ANYBODY, lines=tuple(lines),
    )  # fmt: skip


# Words ---------------------------------------------------------------------------------------------------------------


def _ago(last: RefreshRun) -> str:
    """5 hours ago; 3 days ago."""
    hours = int(hours_late(last))
    if hours >= 48:
        return f"{hours // 24} days ago"
    return f"{many(hours, 'hour')} ago" if hours else "less than an hour ago"


def _live() -> str:
    """What pages show meanwhile, as their foot says it: data to 4 Mar 2026, refreshed 5 Mar 2026, 06:00."""
    from analytics import queries

    try:
        build = queries.current()
        data_to, made = build.meta()["data_to"], build.manifest["created"]
    except WarehouseError:  # none yet, or its key is lost: there is another message about that
        return "nothing"
    return f"data to {day(date.fromisoformat(data_to))}, refreshed {moment(datetime.fromisoformat(made))}"


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:6]


def _run_page(run: RefreshRun) -> str:
    return reverse("admin:operations_refreshrun_change", args=[run.pk])


# What a rule would say now -------------------------------------------------------------------------------------------


def now_said(rule: AlertRule, user) -> list[tuple[str, str]]:
    """(tone, words), one or more, of what the rule sees now and whether it would tell: for a person who sets it up and
    sees the figure. tone: good, warn, bad, info."""
    if not can_see(user, page_of(rule)):
        return [("info", NOT_SHOWN)]
    if rule.built_in and rule.kind != Kind.REFRESH_FAILED and rule.limit is None:
        return [("info", "Without a limit there is nothing to compare with.")]  # a form that was sent empty
    if rule.built_in:
        return [_NOW[rule.kind](rule)]
    from analytics import alerts, queries

    try:
        build = queries.current()
        reading = alerts.read(rule, build)
    except MoonwalkError as error:
        return [("bad", f"It can't be judged: {error}")]
    told = rule.pk and rule.events.filter(period=reading.period.key).first()
    found = []
    if reading.met:
        found.append(("warn", reading.headline))
    else:
        found.append(("good", f"Nothing to tell of {reading.period.name}: it is not {alerts.condition_said(rule)}."))
    if told:
        found.append(("info", f"Told on {moment(told.at)}: once a period, whatever is changed here."))
    for one in reading.found:
        words = reading.line(one) + (f". {one.why}" if one.why else "")
        found.append(("warn" if one.met else "info" if one.why else "good", words))
    return found


def _now_failed(rule: AlertRule) -> tuple[str, str]:
    ended = RefreshRun.objects.filter(finished_at__isnull=False, dry_run=False)
    last = ended.exclude(trigger=RefreshRun.Trigger.PAYMENTS).first()
    if last is None:
        return "info", "There was no refresh yet."
    bad = last.state in (State.FAILED, State.REFUSED)
    return "bad" if bad else "good", f"The last refresh, {moment(last.finished_at)}: {last.get_state_display()}."


def _now_late(rule: AlertRule) -> tuple[str, str]:
    last = last_refreshed()
    if last is None:
        return "info", "Nothing was refreshed yet."
    tone = "warn" if hours_late(last) > rule.limit else "good"
    return tone, f"Last refreshed {_ago(last)}, {moment(last.finished_at)}."


def _now_aside(rule: AlertRule) -> tuple[str, str]:
    last = RefreshRun.objects.filter(state=State.PUBLISHED).first()
    most = next(iter(set_aside(last.manifest if last else {})), None)
    if most is None:
        return "info", "Nothing was refreshed yet."
    words = f"{most.rows:,} of {most.read:,} rows of {most.file} are set aside ({number(most.share, 2)} %)."
    return "warn" if most.share > rule.limit else "good", f"The most, of the live data: {words}"


def _now_held(rule: AlertRule) -> tuple[str, str]:
    held = RefreshRun.objects.filter(state=State.HELD).count()
    return ("warn", f"Builds that wait for a person: {held}.") if held else ("good", "No build waits for a person.")


_NOW = {
    Kind.REFRESH_FAILED: _now_failed, Kind.REFRESH_LATE: _now_late, Kind.QUARANTINE: _now_aside,
    Kind.CLOSED_MONTH: _now_held,
}  # fmt: skip
