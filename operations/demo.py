"""What the demo's desk did in the last fortnight, so that its pages look as they do after two weeks of work.

Everything goes through services, under the clock of the day on which it "happened" (on_the_clock): a promise of nine
days ago is refused or taken as it would have been then, and has broken by today as any other. Only the audit trail
says when it was really written. Once a database, all or nothing.
"""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import ROUND_UP, Decimal
from pathlib import Path

import polars as pl
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from analytics import queries
from analytics.models import Target
from etl.business import load_business
from operations import catch_up, services
from operations.messages import draft
from operations.models import Customer, FollowUp, Made, MessageTemplate, Order, Payment
from operations.receivables import debt_of
from operations.statements import statements_of

MADE = "demo: the desk's last fortnight"
TARGETS_MADE = "demo: targets"
# What the demo aims at: metric -> (so much of the mean of the three months before, decimals that are kept).
GOALS = {
    "revenue": (1.05, -3), "customers": (1.05, -1), "items": (0.95, -2), "subscriber_revenue": (1.1, -2),
    "collection_rate": (1.02, 2), "processing_days": (0.95, 1), "new_customers": (1.1, 0),
}  # fmt: skip
FORTNIGHT = 14
ROUND = 32  # customers
KEYS = uuid.UUID("6d6f6f6e-7761-4c6b-8d65-6d6f64657361")  # of the script's requests: the same on every machine
OPENED = time(9, 5)  # the desk's first entry of a day; the others follow every few minutes


@dataclass(frozen=True)
class Debtor:
    """A consumer whose open orders are all older than the script; owed: their balance as it begins."""

    customer: Customer
    owed: Decimal

    @property
    def pk(self) -> str:
        return self.customer.pk

    @property
    def half(self) -> Decimal:
        """About half of what they owe, in whole money where that is less than all."""
        whole = (self.owed / 2).quantize(Decimal(1), ROUND_UP)
        return min(whole, self.owed).quantize(Decimal("0.01"))


@dataclass
class Script:
    """Steps to be played in the order of their days, each as a person, so many days ago."""

    desk: object
    finance: object
    today: date
    steps: list[tuple[int, Callable]] = field(default_factory=list)

    def on(self, days_ago: int, service: Callable, *args, by=None, **fields) -> None:
        """Plan a call of a service, `days_ago` days ago, by the desk's person unless said otherwise."""
        self.steps.append((days_ago, lambda: service(*args, user=by or self.desk, **fields)))

    def day(self, days_ago: int) -> date:
        return self.today - timedelta(days_ago)

    def play(self) -> None:
        for number, (days_ago, step) in enumerate(sorted(self.steps, key=lambda step: -step[0])):
            if not days_ago:
                step()
                continue
            with on_the_clock(self.day(days_ago), number):
                step()


@contextmanager
def on_the_clock(day: date, number: int) -> Iterator[None]:
    """Django's clock stands at a moment of that day: of this script's process alone, which serves nobody."""
    at = timezone.make_aware(datetime.combine(day, OPENED)) + timedelta(minutes=4 * number)
    real = timezone.now
    timezone.now = lambda: at
    try:
        yield
    finally:
        timezone.now = real


def furnish(exports: Path, files: list[str]) -> bool:
    """Let the desk have worked for a fortnight; False where that was done before, or where somebody works themselves.

    exports, files: the invented exports; afterwards their Customers say something else of one customer whom the desk
    had corrected, as a newer export would. A refresh must follow, which takes that and the payments.
    """
    people = get_user_model().objects.filter(username__in=("desk", "finance")).in_bulk(field_name="username")
    if len(people) < 2 or Payment.objects.exists() or FollowUp.objects.exists():
        return False
    services.payments_changed.disconnect(catch_up.on_payments_changed)  # the caller refreshes, no thread beside it
    try:
        with transaction.atomic():
            _, new = Made.objects.get_or_create(key=MADE)
            if not new:
                return False
            script = Script(people["desk"], people["finance"], timezone.localdate())
            changed = write(script, debtors(script.day(FORTNIGHT)), debtors(script.day(2)))
            script.play()
    finally:
        services.payments_changed.connect(catch_up.on_payments_changed)
    if changed:
        _newer_phone(exports, files, changed)
    return True


@transaction.atomic
def set_targets() -> bool:
    """Targets for the last month that is over and the one that runs, from what the months before it reached: some are
    reached, some missed, some on pace. False where that was done before, or where somebody set their own."""
    if Target.objects.exists() or not Made.objects.get_or_create(key=TARGETS_MADE)[1]:
        return False
    build = queries.current()
    over = build.periods("month", include_open=False)["period"].to_list()  # the newest first
    months = [build.periods("month")["period"][0], *over[:1]]
    before = build.query(list(GOALS), "month", filters=queries.Filters()).filter(pl.col("period").is_in(over[1:4]))
    for name, (more, places) in GOALS.items():
        usual = before[name].cast(pl.Float64).mean() or 0
        value = round(Decimal(str(usual * more)), places)
        for month in dict.fromkeys(months) if value > 0 else ():
            Target.objects.create(metric=name, month=month, value=value)
    return True


def debtors(before: date) -> list[Debtor]:
    """Consumers one can call who owed all that they owe before that day; who owes most first."""
    rows = Order.objects.outstanding().filter(b2b=False, customer__b2b=False).exclude(customer__name="")
    young = Order.objects.outstanding().filter(placed__gte=before).values("customer")
    rows = rows.exclude(customer__phone="").exclude(customer__in=young).order_by()
    sums = rows.values_list("customer").annotate(Sum("balance"))
    owed = {pk: amount.quantize(Decimal("0.01")) for pk, amount in sums}
    found = Customer.objects.in_bulk(owed)
    return sorted((Debtor(found[pk], amount) for pk, amount in owed.items()), key=lambda d: (-d.owed, d.pk))


# --- The fortnight -------------------------------------------------------------------------------------------------


def write(script: Script, everybody: list[Debtor], lately: list[Debtor]) -> Customer | None:
    """Fill the script; fewer debtors give a shorter one. Returns the customer whose phone a newer export changes.

    everybody: who owed all of it a fortnight ago; lately: two days ago, of whom the others are reminded in a round.
    """
    if not everybody:
        return None
    mine, theirs = everybody[:36], everybody[36:44]
    known = {debtor.pk for debtor in (*mine, *theirs)}
    for number, debtor in enumerate([debtor for debtor in lately if debtor.pk not in known][:ROUND]):
        a_round(script, debtor, number)
    script.on(13, services.assign, [d.pk for d in mine], script.desk, by=script.finance)
    if theirs:
        script.on(13, services.assign, [d.pk for d in theirs], script.finance, by=script.finance)
    waiting = iter(everybody)
    # The first of these come first with few debtors too: what a newcomer should see of the desk.
    acts = (
        broken, pending, part_paid, kept, settled, wrong_number, reminded, not_reached, voided, pending,
        settled, broken, reminded_in_arabic, disputed, kept, part_paid, pending, reminded, broken, not_reached,
        settled, refused, reminded, pending, visited, settled, broken_in_part, reminded_in_arabic,
        asked_for_peace, mail_corrected, pending, reminded, not_reached, settled, reminded, business_like,
    )  # fmt: skip
    changed = None
    for number, act in enumerate(acts):
        debtor = next(waiting, None)
        if debtor is None:
            break
        act(script, debtor, number)
        if act is wrong_number:
            changed = debtor.customer
    return changed


def key(debtor: Debtor, *what) -> uuid.UUID:
    return uuid.uuid5(KEYS, " ".join(map(str, (debtor.pk, *what))))


def _call(script: Script, who: Debtor, days_ago: int, outcome: str, note: str, **more) -> None:
    script.on(days_ago, services.note_add, who.pk, note, channel="call", outcome=outcome,
              request_key=key(who, "call", days_ago), **more)  # fmt: skip


def _pay(script: Script, who: Debtor, days_ago: int, amount: Decimal, method: str, **more) -> None:
    script.on(days_ago, services.customer_pay, who.pk, amount, method=method, paid_on=script.day(days_ago),
              request_key=key(who, "pay", days_ago), **more)  # fmt: skip


def _promise(script: Script, who: Debtor, days_ago: int, amount: Decimal, by: int, note: str, **more) -> None:
    """by: days ago too; below 0 it is still to come."""
    script.on(days_ago, services.promise_record, who.pk, amount, script.day(by), note=note,
              request_key=key(who, "promise", days_ago), **more)  # fmt: skip


def _remind(script: Script, who: Debtor, days_ago: int) -> None:
    """The reminder of the level that the customer had reached that day, opened in WhatsApp."""

    def send(user) -> None:
        (statement,) = statements_of([who.pk], user)
        if not statement.orders:
            return
        business = load_business(settings.BUSINESS_FILE)
        level = debt_of(user, who.pk, timezone.localdate()).level
        template = MessageTemplate.objects.get(level=level, channel="whatsapp", language=statement.language)
        customer = Customer.objects.get(pk=who.pk)
        text = draft(template, customer, statement, business).text
        services.message_record(who.pk, channel="whatsapp", language=statement.language, text=text, level=level,
                                user=user, request_key=key(who, "message", days_ago))  # fmt: skip

    script.on(days_ago, send)


def broken(script, who, n):
    _call(script, who, 11, "not reached", "")
    _promise(script, who, 9, who.owed, 2 + n % 4, "Will pay all of it when the salary is in.")


def broken_in_part(script, who, n):
    _promise(script, who, 10, who.owed, 3, "Pays the driver at the next delivery.")
    _pay(script, who, 4, min(who.half, Decimal("25.00")), "Cash", note="Gave the driver a part of it.")
    _call(script, who, 1, "not reached", "Rings, nobody answers.", next_action_on=script.today)


def pending(script, who, n):
    _call(script, who, 6, "not reached", "")
    _promise(script, who, 1 + n % 2, who.half, -2 - n % 5, "Half now, the rest next month.",
             next_action_on=script.day(-3 - n % 5))  # fmt: skip


def kept(script, who, n):
    _promise(script, who, 8, who.half, 3, "Comes by on the weekend.")
    _pay(script, who, 5, who.half, "Terminal", reference=f"POS {4100 + n}")
    _call(script, who, 1, "reached", "Thanked them for the first half; the rest at the end of the month.",
          next_action_on=script.day(-7))  # fmt: skip


def settled(script, who, n):
    """All paid at the counter or online: still to be ticked off in CleanCloud."""
    method = ("Cash", "Terminal", "Stripe")[n % 3]
    reference = {"Terminal": f"POS {4100 + n}", "Stripe": f"pi_demo_{n:04}"}.get(method, "")
    _pay(script, who, n % 5, who.owed, method, reference=reference)


def part_paid(script, who, n):
    _call(script, who, 3, "reached", "Short of money this month; pays in parts.", next_action_on=script.day(-(n % 5)))
    _pay(script, who, n % 2, who.half, "Cash", note="Part, at the counter.")


def voided(script, who, n):
    """Typed for the wrong customer, taken back at once."""

    def slip(user) -> None:
        (payment, *_) = services.customer_pay(
            who.pk, who.half, method="Cash", paid_on=timezone.localdate(), user=user, request_key=key(who, "slip"))
        services.payment_void(payment.pk, reason="Typed for the wrong customer.", user=user,
                              request_key=key(who, "slip taken back"))  # fmt: skip

    script.on(2, slip)
    _call(script, who, 2, "reached", "Said sorry for the wrong receipt. Pays on Thursday by card.")


def not_reached(script, who, n):
    _call(script, who, 7, "not reached", "")
    _call(script, who, 2, "left word", "Asked the family to have them call back.", next_action_on=script.day(n % 3))


def reminded(script, who, n):
    _remind(script, who, 2 + n % 6)
    script.on(1, services.next_action_set, [who.pk], script.day(-1 - n % 3))


def reminded_in_arabic(script, who, n):
    script.on(6, services.preferences_save, who.pk, language="ar", preferred_channel="whatsapp")
    _remind(script, who, 5)


def disputed(script, who, n):
    _call(script, who, 4, "disputed", "Says a shirt came back with a stain. Manager to decide on a discount.",
          next_action_on=script.day(0))  # fmt: skip


def refused(script, who, n):
    _call(script, who, 5, "refused", "Says they paid the driver in cash. Ask Karim.")
    script.on(3, services.note_add, who.pk, "Karim has no receipt of it. To Finance.",
              request_key=key(who, "note"), by=script.finance)  # fmt: skip


def visited(script, who, n):
    script.on(3, services.note_add, who.pk, "Left the statement with the doorman.", channel="visit",
              outcome="left word", next_action_on=script.day(-2), request_key=key(who, "visit"))  # fmt: skip


def a_round(script, who, n):
    """Two mornings on the telephone and in WhatsApp, down the list."""
    if n % 3 == 2:
        _call(script, who, 1 + n % 2, "not reached", "", next_action_on=script.day(n % 2))
    else:
        _remind(script, who, 1 + n % 2)
    if n % 2:
        script.on(1, services.assign, [who.pk], script.finance if n % 7 == 0 else script.desk)


def wrong_number(script, who, n):
    """The number is somebody else's; the desk finds the right one, and then CleanCloud's changes as well. Meanwhile
    something of everything happens."""
    _call(script, who, 8, "wrong number", "Belongs to somebody else by now.")
    script.on(7, services.correction_save, who.pk, "phone", "+971 50 555 0142")
    _call(script, who, 7, "reached", "The new number is right. Wants to see the orders first.")
    _remind(script, who, 7)
    _pay(script, who, 4, min(who.half, Decimal("50.00")), "Stripe", reference="pi_demo_link")
    _promise(script, who, 1, who.owed - min(who.half, Decimal("50.00")), -4, "The rest with the next delivery.")


def mail_corrected(script, who, n):
    script.on(6, services.correction_save, who.pk, "email", "accounts@customer.example")
    note = "Wants statements by e-mail, to this address."
    script.on(6, services.note_add, who.pk, note, request_key=key(who, "note"))


def asked_for_peace(script, who, n):
    _call(script, who, 9, "reached", "Asks us not to call again; pays at the next visit.")
    script.on(9, services.preferences_save, who.pk, do_not_contact=True)


def business_like(script, who, n):
    """And one of the business accounts, which are a group of their own."""
    owing = Order.objects.outstanding().filter(b2b=True).values("customer").order_by().annotate(owed=Sum("balance"))
    row = owing.order_by("-owed", "customer").first()
    if row:
        account = Debtor(Customer.objects.get(pk=row["customer"]), row["owed"].quantize(Decimal("0.01")))
        note = "Sent the statement to their accountant; pays with the next invoice."
        script.on(4, services.note_add, account.pk, note, channel="email", outcome="reached", by=script.finance,
                  request_key=key(account, "note"), next_action_on=script.day(-5))  # fmt: skip


def _newer_phone(exports: Path, files: list[str], customer: Customer) -> None:
    """Let CleanCloud's Customers have another phone for one customer, as somebody there might have typed it since."""
    for name in files:
        file = exports / Path(name).name
        if "Customers" in name and file.suffix == ".csv":
            rows, old = file.read_bytes(), f",{customer.phone},".encode()
            if rows.count(old) == 1:
                file.write_bytes(rows.replace(old, b",+971505550199,"))
