"""What staff do to customers at the desk, one class an action: about whom, the form as it opens, what it does.

The pages around them (dialog, redirects, messages) are actions.py's. An action reads its subject from the address or
the form (customer=, order=, payment=, followup=, field=) as far as its person may see it: of anything else it says
that it isn't there (Http404). What makes no sense is Refused, in words.
"""

import json
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from urllib.parse import urlencode

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce
from django.http import Http404
from django.utils import timezone

from analytics import formats
from analytics.access import contacts_of
from analytics.dashboards import frame
from operations import forms, services
from operations.models import (
    CORRECTABLE,
    Customer,
    FollowUp,
    Order,
    Payment,
)
from operations.money import NOTHING, oldest_first
from operations.scope import customers_for, follow_ups_for, orders_for, payments_for
from operations.services import MOST_AT_ONCE, Refused
from operations.statements import day_words, money_words

# Each action -> the permission of operations that it takes. Which rows: scope.py; services ask both again.
PERMISSIONS = {
    "pay": "add_payment", "promise": "add_followup", "note": "add_followup", "send": "add_message",
    "assign": "assign_customer", "next-action": "add_followup", "void-payment": "add_payment",
    "void-followup": "add_followup", "correct": "correct_customer", "choose": "correct_customer",
    "preferences": "correct_customer",
}  # fmt: skip
PRESENTLY = "Dashboards update shortly."


def may(user, what: str) -> bool:
    """May this person do such an action at all?"""
    return what in PERMISSIONS and user.has_perm(f"operations.{PERMISSIONS[what]}")


def money(amount: Decimal) -> str:
    """Dhs 1,234.50"""
    return money_words(amount, frame.business(), "en")


def who(customers: list[Customer]) -> str:
    """Dana Haddad; 3 customers."""
    return (customers[0].shown_name or customers[0].pk) if len(customers) == 1 else f"{len(customers):,} customers"


def counted(n: int, word: str) -> str:
    """1 order, 2 orders"""
    return f"{n:,} {word}{'' if n == 1 else 's'}"


def in_cents(orders) -> list[Order]:
    """Orders with_balance(), the balance with its two places: SQLite gives more."""
    found = list(orders)
    for order in found:
        order.balance = round(order.balance, 2)
    return found


@dataclass(frozen=True)
class Done:
    """What an action did. undo: the tag of its message that takes it back (templatetags/desk.py); level: of the
    message; sent: a Message to open."""

    text: str
    undo: str = ""
    level: str = "success"
    sent: object = None


@dataclass
class Row:
    """An open order in the form of a payment: what it owes, whether it is chosen, what of the amount it would get."""

    order: Order
    balance: Decimal
    chosen: bool = True
    part: Decimal = NOTHING


class Act:
    """One action for one request."""

    title = button = template = ""  # no button: the template has its own
    look = ""  # without scripts: the button that works the form out anew
    many = False  # may be done for several customers at once
    form_class = forms.ActForm

    def __init__(self, request):
        self.request, self.user, self.today = request, request.user, timezone.localdate()
        self.said = request.POST if request.method == "POST" else request.GET
        self.customers: list[Customer] = []
        self.read()

    def all(self, name: str) -> list[str]:
        """Every value of a parameter, each once, in the order given. Refused when there are too many."""
        found = list(dict.fromkeys(value for value in self.said.getlist(name) if value))
        if len(found) > MOST_AT_ONCE:
            raise Refused(f"{len(found):,} are too many at once; choose up to {MOST_AT_ONCE:,}.")
        if any("\x00" in value for value in found):
            raise Http404
        return found

    def numbers(self, name: str) -> list[int]:
        """all() of a parameter that holds row numbers."""
        found = self.all(name)
        if not all(value.isascii() and value.isdigit() and len(value) < 19 for value in found):
            raise Http404
        return [int(value) for value in found]

    def read(self) -> None:
        """Find the customers. Refused without one."""
        self.customers = self.customers_of(self.all("customer"))
        if not self.customers:
            raise Refused("Choose a customer first.")
        if len(self.customers) > 1 and not self.many:
            raise Refused("This is done for one customer at a time.")

    def customers_of(self, ids: list[str]) -> list[Customer]:
        found = customers_for(self.user).select_related("assigned_to").in_bulk(ids)
        if len(found) < len(ids):
            raise Http404
        return [found[pk] for pk in ids]

    @property
    def customer(self) -> Customer:
        return self.customers[0]

    @property
    def single(self) -> Customer | None:
        """The one customer it is about, if it is one."""
        return self.customers[0] if len(self.customers) == 1 else None

    def check(self) -> None:
        """Before an empty form is shown: Refused where there is nothing to do."""

    def initial(self) -> dict:
        return {}

    def form(self, data=None):
        return self.form_class(data, self.initial())

    def kept(self) -> list[tuple[str, str]]:
        """The subject, as hidden fields of the form."""
        return [("customer", customer.pk) for customer in self.customers]

    def context(self, form) -> dict:
        """What the form's template needs beside the form."""
        return {}

    def do(self, data: dict) -> Done:
        """Do it, through services."""
        raise NotImplementedError

    def open_orders(self, customers: list[Customer]) -> list[Order]:
        """Their orders with something to pay, with `balance`, the oldest first."""
        found = orders_for(self.user).outstanding().filter(customer__in=[c.pk for c in customers])
        return in_cents(found.order_by(Coalesce("placed", "cleaned"), "pk"))


class Pay(Act):
    """Money that came in: an amount of one customer, over their orders or the chosen ones, the oldest first; or all
    that several customers owe."""

    title, button, template, look = "Mark as paid", "Record payment", "pay", "Work it out again"
    many = True

    def read(self) -> None:
        orders, ids = self.all("order"), self.all("customer")
        given = {o.pk: o for o in in_cents(orders_for(self.user).with_balance().filter(pk__in=orders))}
        if len(given) < len(orders):
            raise Http404
        ids = list(dict.fromkeys([*ids, *(given[pk].customer_id for pk in orders)]))
        self.customers = self.customers_of(ids)
        if not ids:
            raise Refused("Choose a customer or an order first.")
        self.bulk = len(ids) > 1
        sent = "request_key" in self.said  # then the orders named are all it is about
        rows = {} if sent or (self.bulk and orders) else {o.pk: o for o in self.open_orders(self.customers)}
        if sent and not self.bulk:  # those that were not chosen stay in the form
            rows = {o.pk: o for o in self.open_orders(self.customers)}
        everything = sorted((rows | given).values(), key=lambda o: (str(o.placed or o.cleaned or "9"), o.pk))
        chosen = set(orders) if orders or sent else set(rows)
        self.rows = [Row(order, order.balance, order.pk in chosen) for order in everything]
        if self.bulk and len(self.rows) > MOST_AT_ONCE:
            raise Refused(f"{len(self.rows):,} orders are too many at once; choose up to {MOST_AT_ONCE:,}.")

    @property
    def chosen(self) -> list[Row]:
        return [row for row in self.rows if row.chosen]

    @property
    def owed(self) -> Decimal:
        """By the chosen orders."""
        return sum((row.balance for row in self.chosen), NOTHING)

    def check(self) -> None:
        if self.owed:
            return
        if self.all("order"):
            raise Refused(f"{counted(len(self.chosen), 'order').capitalize()}: nothing is left to pay.")
        raise Refused(f"{who(self.customers)}: nothing is owed.")

    def initial(self) -> dict:
        found = {"method": services.payment_methods()[0], "paid_on": self.today}
        return found | ({"total": self.owed} if self.bulk else {"amount": self.owed})

    def form(self, data=None):
        form = forms.PayForm(data, self.initial(), methods=services.payment_methods(), today=self.today)
        if self.bulk:
            del form.fields["amount"]
        else:
            del form.fields["total"]
        return form

    def kept(self) -> list[tuple[str, str]]:
        """owes: what the form shows that each order owes, for it to be refused when that has changed meanwhile."""
        if self.bulk:
            return super().kept() + [("order", row.order.pk) for row in self.chosen]
        owes = {row.order.pk: str(row.balance) for row in self.rows}
        return [*super().kept(), ("owes", json.dumps(owes))]

    def _shown(self) -> Decimal:
        """What the form had shown that the chosen orders owe together."""
        try:
            owes = json.loads(self.said.get("owes", ""))
            found = sum((Decimal(owes.get(row.order.pk, "0")) for row in self.chosen), NOTHING)
        except (ValueError, ArithmeticError, AttributeError, TypeError):
            raise Refused(forms.AGAIN) from None
        if not found.is_finite():
            raise Refused(forms.AGAIN)
        return found

    def context(self, form) -> dict:
        """rows with their parts of the amount; by customer where there are several."""
        amount = self._amount(form)
        try:
            parts = dict(oldest_first(amount, [(row.order.pk, row.balance) for row in self.chosen]))
        except ValueError:
            parts = {}
        if self.bulk and form.is_bound:  # shown anew, with what is owed now
            form.data = form.data.copy()
            form.data["total"] = str(self.owed)
        for row in self.rows:
            row.part = parts.get(row.order.pk, NOTHING)
        lines = {c.pk: {"customer": c, "orders": 0, "sum": NOTHING} for c in self.customers}
        for row in self.chosen:
            lines[row.order.customer_id]["orders"] += bool(row.balance)
            lines[row.order.customer_id]["sum"] += row.balance
        return {
            "currency": frame.currency(), "rows": self.rows, "bulk": self.bulk, "owed": self.owed,
            "lines": list(lines.values()), "paid_orders": len(parts), "paid_sum": sum(parts.values(), NOTHING),
        }  # fmt: skip

    def _amount(self, form) -> Decimal:
        if self.bulk or not form.is_bound:
            return self.owed
        return getattr(form, "cleaned_data", {}).get("amount") or self.owed

    def do(self, data: dict) -> Done:
        orders = [row.order.pk for row in self.chosen]
        if not orders:
            raise Refused("Choose at least one order.")
        paying = {k: data[k] for k in ("method", "paid_on", "reference", "note", "request_key")} | {"user": self.user}
        if self.bulk:
            made = services.order_mark_paid(orders, total=data["total"], **paying)
        else:
            made = services.customer_pay(
                self.customer.pk, data["amount"], order_ids=orders, total=self._shown(), **paying
            )  # fmt: skip
        if not made:
            return Done("Nothing was recorded: these orders are settled already.", level="warning")
        paid = {row.order.pk: row.order.customer_id for row in self.rows}
        whose = {paid[payment.order_id] for payment in made}
        people = [customer for customer in self.customers if customer.pk in whose]
        text = f"Recorded {money(sum(payment.amount for payment in made))} of {who(people)} for "
        numbers = ",".join(str(payment.pk) for payment in made)
        return Done(f"{text}{counted(len(made), 'order')}. {PRESENTLY}", f"payments {numbers}")


class Note(Act):
    """A note or a contact, and what comes next."""

    title, button, template = "Add a note", "Save note", "note"

    def read(self) -> None:
        self.given = self.all("order")[:1]
        order = orders_for(self.user).filter(pk__in=self.given).first()
        if self.given and order is None:
            raise Http404
        ids = self.all("customer") or ([order.customer_id] if order else [])
        if order and ids != [order.customer_id]:
            raise Http404
        self.customers = self.customers_of(ids)
        if not ids:
            raise Refused("Choose a customer first.")
        if len(ids) > 1:
            raise Refused("A note is written for one customer at a time.")

    def initial(self) -> dict:
        known = dict(forms.ALL_CHANNELS)
        channel = self.said.get("channel", "")
        return {"channel": channel if channel in known else "note", "order": "".join(self.given)}

    def form(self, data=None):
        theirs = orders_for(self.user).filter(customer=self.customer)
        latest = theirs.order_by(F("placed").desc(nulls_last=True), "-pk").values_list("pk", flat=True)[:30]
        orders = list(dict.fromkeys([*self.given, *(o.pk for o in self.open_orders(self.customers)), *latest]))
        return forms.NoteForm(data, self.initial(), orders=orders, today=self.today)

    def context(self, form) -> dict:
        return {"presets": presets(self.today)}

    def do(self, data: dict) -> Done:
        made = services.note_add(
            self.customer.pk, data["note"], order_id=data.get("order") or None, channel=data["channel"],
            outcome=data["outcome"], next_action_on=data["next_action_on"], user=self.user,
            request_key=data["request_key"],
        )  # fmt: skip
        what = "Note" if made.channel == "note" else made.get_channel_display().capitalize()
        what = {"Whatsapp": "WhatsApp message"}.get(what, what)
        then = f" Next action on {day_words(made.next_action_on, 'en')}." if made.next_action_on else ""
        return Done(f"{what} recorded for {who(self.customers)}.{then}", f"followups {made.pk}")


def presets(today) -> list[tuple[str, str]]:
    """(words, day) of days that a form offers at a click: the week ends on Sunday, as everywhere here."""
    end = today + timedelta(6 - today.weekday())
    found = [("Tomorrow", today + timedelta(1)), ("In 3 days", today + timedelta(3)),
             ("End of the week", end), ("In a week", today + timedelta(7))]  # fmt: skip
    return [(words, day.isoformat()) for words, day in found if day > today]


class Promise(Act):
    """A promise to pay, of all that a customer owes or of the given orders."""

    title, button, template = "Record a promise", "Record promise", "promise"

    def read(self) -> None:
        super().read()
        self.orders = self.all("order")
        theirs = orders_for(self.user).filter(pk__in=self.orders, customer=self.customer)
        if self.orders and theirs.count() < len(self.orders):
            raise Http404
        rows = self.open_orders(self.customers)
        self.owed = sum((o.balance for o in rows if not self.orders or o.pk in self.orders), NOTHING)

    def check(self) -> None:
        if not self.owed:
            raise Refused(f"{who(self.customers)}: nothing is owed.")

    def initial(self) -> dict:
        channel = self.customer.preferred_channel or "call"
        return {"amount": self.owed, "on": self.today + timedelta(3), "channel": channel}

    def form(self, data=None):
        return forms.PromiseForm(data, self.initial(), today=self.today)

    def kept(self) -> list[tuple[str, str]]:
        return super().kept() + [("order", pk) for pk in self.orders]

    def context(self, form) -> dict:
        return {"presets": presets(self.today), "owed": self.owed, "orders": self.orders}

    def do(self, data: dict) -> Done:
        made = services.promise_record(
            self.customer.pk, data["amount"], data["on"], note=data["note"], channel=data["channel"],
            order_ids=self.orders or None, next_action_on=data["next_action_on"], user=self.user,
            request_key=data["request_key"],
        )  # fmt: skip
        text = f"{who(self.customers)} promised {money(made.promise_amount)} by {day_words(made.promise_on, 'en')}."
        return Done(f"{text} Reminding pauses until then.", f"followups {made.pk}")


class Assign(Act):
    """Who looks after customers."""

    title, button, template, many = "Assign", "Assign", "assign", True

    def read(self) -> None:
        super().read()
        self.people = {str(person.pk): person for person in services.people_who_work_the_list()}

    def initial(self) -> dict:
        return {"to": str(self.user.pk)}

    def form(self, data=None):
        return forms.AssignForm(data, self.initial(), people=self.people.values())

    def do(self, data: dict) -> Done:
        to = self.people.get(data["to"])
        made = services.assign(
            [c.pk for c in self.customers], to, user=self.user, request_key=data["request_key"]
        )  # fmt: skip
        verb = "is" if self.single else "are"
        text = f"{who(self.customers)} {verb} assigned to {forms.name_of(to) if to else 'nobody'}."
        return Done(text, _undo_of(made))


class NextAction(Act):
    """When customers come up again."""

    title, button, template, many = "Set the next action", "", "next", True

    def initial(self) -> dict:
        planned = self.single.next_action_on if self.single else None
        return {"on": planned if planned and planned >= self.today else self.today + timedelta(1)}

    def form(self, data=None):
        return forms.NextActionForm(data, self.initial(), today=self.today)

    def context(self, form) -> dict:
        return {"presets": presets(self.today)}

    def do(self, data: dict) -> Done:
        made = services.next_action_set(
            [c.pk for c in self.customers], data["on"], user=self.user, note=data["note"],
            request_key=data["request_key"],
        )  # fmt: skip
        if data["on"] is None:
            return Done(f"Nothing is planned for {who(self.customers)} any more.", _undo_of(made))
        return Done(f"Next action for {who(self.customers)}: {day_words(data['on'], 'en')}.", _undo_of(made))


def _undo_of(made: list[FollowUp]) -> str:
    return f"followups {','.join(str(row.pk) for row in made)}" if made else ""


class Void(Act):
    """What both kinds of undoing share: the rows, and whose they are."""

    button, form_class, name = "Undo it", forms.VoidForm, ""

    def rows_of(self, ids: list[int]) -> dict:
        """Those that the person may look at, by number."""
        raise NotImplementedError

    def read(self) -> None:
        ids = self.numbers(self.name)
        found = self.rows_of(ids)
        if len(found) < len(ids):
            raise Http404
        self.rows = [found[pk] for pk in ids]
        if not ids:
            raise Refused("Choose what is to be undone first.")
        whose = [row.order.customer_id if self.name == "payment" else row.customer_id for row in self.rows]
        self.customers = self.customers_of(list(dict.fromkeys(whose)))

    def check(self) -> None:
        self.rows = [row for row in self.rows if not self.undone(row)]
        if not self.rows:
            raise Refused("This is undone already.")
        if not all(services.may_void(row, self.user) for row in self.rows):
            raise PermissionDenied("Only your own of today can be undone with your account.")

    def undone(self, row) -> bool:
        raise NotImplementedError

    def initial(self) -> dict:
        return {"reason": "Recorded by mistake"}

    def kept(self) -> list[tuple[str, str]]:
        return [(self.name, str(row.pk)) for row in self.rows]

    def context(self, form) -> dict:
        return {"rows": self.rows}


class VoidPayment(Void):
    """Payments recorded by mistake: a counter-row each."""

    title, template, name = "Undo a payment", "void_payment", "payment"

    left_out: list[str] = []  # a sentence on each chosen payment that is undone already

    def rows_of(self, ids: list[int]) -> dict:
        about = ("order", "created_by", "voided_by__created_by")
        return payments_for(self.user).select_related(*about).in_bulk(ids)

    def undone(self, payment: Payment) -> bool:
        return payment.is_void

    def check(self) -> None:
        self.left_out = [void_words(row) for row in self.rows if self.undone(row)]
        if len(self.left_out) == len(self.rows):
            raise Refused(" ".join(["This is undone already.", *self.left_out]))
        super().check()

    def context(self, form) -> dict:
        more = {"sum": sum((row.amount for row in self.rows), NOTHING), "left_out": self.left_out}
        return super().context(form) | more

    def do(self, data: dict) -> Done:
        ids, key = [row.pk for row in self.rows], data["request_key"]
        made = services.payments_void(ids, reason=data["reason"], user=self.user, request_key=key)
        mine = [row for row in made if row.request_key == services.void_key(key, row.voids_id)]
        others = [void_words(row.voids) for row in made if row not in mine]
        if not mine:
            return Done(" ".join(others), level="warning")
        undone = f"{money(-sum(row.amount for row in mine))} of {who(self.customers)}"
        said = f"Undone: {undone} for {counted(len(mine), 'order')}. {PRESENTLY}"
        return Done(" ".join([said, *others]))


def void_words(payment: Payment) -> str:
    """Why a payment can't be undone (again): who did it, and when."""
    if payment.voids_id:
        return f"Payment {payment.pk} is itself the undoing of payment {payment.voids_id}."
    counter = payment.voided_by
    at = timezone.localtime(counter.created_at)
    on = "" if at.date() == timezone.localdate() else f" on {day_words(at.date(), 'en')}"
    return f"Payment {payment.pk}: already voided by {formats.person(counter.created_by)} at {at:%H:%M}{on}."


class VoidFollowUp(Void):
    """Notes, promises, plans and assignments recorded by mistake."""

    title, template, name = "Undo an entry", "void_followup", "followup"

    def rows_of(self, ids: list[int]) -> dict:
        return follow_ups_for(self.user).select_related("created_by", "customer", "assigned_to").in_bulk(ids)

    def undone(self, followup: FollowUp) -> bool:
        return followup.voided_at is not None

    def do(self, data: dict) -> Done:
        made = services.followups_void([row.pk for row in self.rows], reason=data["reason"], user=self.user)
        entries = f"{len(made):,} {'entry' if len(made) == 1 else 'entries'}"
        return Done(f"Undone: {entries} of {who(self.customers)}.")


class Correct(Act):
    """A customer's name, phone, e-mail or route as staff know it, beside what the export says."""

    title, button, template = "Correct the customer", "Save", "correct"

    def read(self) -> None:
        super().read()
        hidden = {"phone", "email"} - contacts_of(self.user)
        self.fields = [name for name in self.all("field") or CORRECTABLE if name not in hidden]
        if not self.fields or set(self.fields) - set(CORRECTABLE):
            raise Http404

    def initial(self) -> dict:
        """What is shown, or where an undo leads: to_<field>."""
        shown = {name: self.customer.shown(name) for name in self.fields}
        begin = {name: self.said.get(f"to_{name}", value) for name, value in shown.items()}
        return begin | {f"seen_{name}": value for name, value in shown.items()}

    def form(self, data=None):
        return forms.CorrectForm(data, self.initial(), fields=self.fields)

    def kept(self) -> list[tuple[str, str]]:
        return super().kept() + [("field", name) for name in self.fields]

    def context(self, form) -> dict:
        back = self.all("export")
        lines = [
            {"field": form[name], "seen": form[f"seen_{name}"], "theirs": getattr(self.customer, name), "name": name,
             "corrected": getattr(self.customer, f"own_{name}") is not None, "back": name in back}
            for name in self.fields
        ]  # fmt: skip
        return {"lines": lines}

    def do(self, data: dict) -> Done:
        back, before = set(self.all("export")), self.customer
        corrected, returned = [], []
        with transaction.atomic():
            for name in self.fields:
                value, seen = None if name in back else data[name], data[f"seen_{name}"]
                if value == seen:
                    continue
                saved = services.correction_save(self.customer.pk, name, value, user=self.user, seen=seen)
                self.customers = [saved]
                (returned if getattr(saved, f"own_{name}") is None else corrected).append(name)
        if not corrected + returned:
            return Done("Nothing was changed.", level="info")
        text = f"{_labels(corrected)} corrected. " if corrected else ""
        text += f"{_labels(returned)} as in the export again." if returned else ""
        return Done(f"{who(self.customers)}: {text.strip()}", self._undo(before, corrected + returned))

    @staticmethod
    def _undo(before: Customer, names: list[str]) -> str:
        """Back to what each was: an earlier correction, or the export's."""
        query = [("customer", before.pk), *(("field", name) for name in names)]
        for name in names:
            own = getattr(before, f"own_{name}")
            query.append(("export", name) if own is None else (f"to_{name}", own))
        return f"correct {urlencode(query)}"


def _labels(names: list[str]) -> str:
    return " and ".join(_label(name) for name in names)


def _label(name: str) -> str:
    return Customer._meta.get_field(name).verbose_name


class Choose(Act):
    """The export changed what staff had corrected: which of the two counts."""

    title, template = "Which one is right?", "choose"

    def read(self) -> None:
        super().read()
        fields = self.all("field")
        self.conflict = next((c for c in self.customer.conflicts if not fields or c.field in fields), None)
        if {*fields, *([self.conflict.field] if self.conflict else [])} & ({"phone", "email"} - contacts_of(self.user)):
            raise Http404
        self.field = self.conflict.field if self.conflict else (fields or [""])[0]
        if fields and self.field not in CORRECTABLE:
            raise Http404

    def check(self) -> None:
        if self.conflict is None:
            raise Refused(f"{who(self.customers)}: there is nothing to choose any more.")

    def initial(self) -> dict:
        return {"seen": self.conflict.theirs if self.conflict else ""}

    def form(self, data=None):
        return forms.ChooseForm(data, self.initial())

    def kept(self) -> list[tuple[str, str]]:
        return [*super().kept(), ("field", self.field)]

    def context(self, form) -> dict:
        return {"conflict": self.conflict, "label": _label(self.field) if self.field else ""}

    def do(self, data: dict) -> Done:
        choice = data["choice"]
        if choice not in ("ours", "theirs"):
            raise Refused("Choose one of the two.")
        services.correction_choose(self.customer.pk, self.field, choice, user=self.user, seen=data["seen"])
        chosen = "stays as corrected here" if choice == "ours" else "is the export's now"
        other = {"export": self.field} if choice == "ours" else {f"to_{self.field}": self.customer.shown(self.field)}
        undo = urlencode({"customer": self.customer.pk, "field": self.field} | other)
        return Done(
            f"{who(self.customers)}: {_label(self.field)} {chosen}.", f"correct {undo}" if self.conflict else ""
        )


class Preferences(Act):
    """How a customer wants to be reached, or that they don't."""

    title, button, template = "How to reach them", "Save", "preferences"
    form_class = forms.PreferencesForm
    fields = ("do_not_contact", "preferred_channel", "language")

    def initial(self) -> dict:
        """What is so, or where an undo leads."""
        now = {name: getattr(self.customer, name) for name in self.fields}
        found = {name: self.said.get(name, "") for name in self.fields} if "language" in self.said else now
        seen = {f"seen_{name}": value or "" for name, value in now.items()}
        return found | seen | {"do_not_contact": found["do_not_contact"] in (True, "on")}

    def do(self, data: dict) -> Done:
        was = {name: getattr(self.customer, name) for name in self.fields}
        undo = {"customer": self.customer.pk} | was | {"do_not_contact": "on" if was["do_not_contact"] else ""}
        saved = services.preferences_save(
            self.customer.pk, user=self.user, **{name: data[name] for name in self.fields},
            seen={name: data[f"seen_{name}"] for name in self.fields}
            | {"do_not_contact": data["seen_do_not_contact"] == "True"},
        )
        text = f"{who(self.customers)} is not to be contacted."
        if not saved.do_not_contact:
            text = f"{who(self.customers)}: saved how to reach them."
        return Done(
            text, f"preferences {urlencode(undo)}" if was != {n: getattr(saved, n) for n in self.fields} else ""
        )
