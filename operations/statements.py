"""Statements of account: what customers owe and have paid, as PDF and XLSX, in English and Arabic.

A Statement is plain data, whatever it was read from; statements_of() reads it from the database. What the paper looks
like is in statement.typ, which gets every text as data. Arabic statements have Western digits, as the UAE's banks,
till slips and CLDR's ar-AE do: an amount, IBAN or order number reads the same on the slip, in the bank's app and here.
"""

import logging
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path

from django.db.models import Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from analytics import exports, typeset
from analytics.dashboards import frame
from analytics.receivables import DAYS, LAST_DAYS, bucket_of
from analytics.tables import Column, Table
from etl.business import Business
from operations.models import RefreshRun
from operations.scope import customers_for, orders_for, payments_for
from operations.services import Refused

log = logging.getLogger(__name__)
FOLDER = Path(__file__).parent
LANGUAGES = ("en", "ar")
NOTHING = Decimal("0.00")
MOST = 200  # statements in one PDF: some seconds of work
# Latin, Greek and Cyrillic stand in typst's own Libertinus, Arabic in the Amiri of analytics/fonts. What neither has is
# looked for among the server's own fonts.
FONTS = {"en": ["Libertinus Serif", "Amiri"], "ar": ["Amiri", "Libertinus Serif"]}
UNBROKEN, PIECE = 24, 12  # a word longer than the one may break every so many letters of the other
SPACE = "\N{ZERO WIDTH SPACE}"

MONTHS = {
    "en": (
        "January", "February", "March", "April", "May", "June",
        "July", "August", "September", "October", "November", "December",
    ),
    "ar": (
        "يناير", "فبراير", "مارس", "أبريل", "مايو", "يونيو",
        "يوليو", "أغسطس", "سبتمبر", "أكتوبر", "نوفمبر", "ديسمبر",
    ),
}  # fmt: skip
WORDS = {
    "en": {
        "title": "Statement of account",
        "titles": "Statements of account",
        "as_of": "As of {date}",
        "data_to": "Orders up to {date}",
        "number": "Customer number {number}",
        "customer": "Customer",
        "tax_number": "Tax registration number",
        "money": "{currency} {amount}",
        "due": "Amount due",
        "due_note": "{orders}, the oldest of {date}",
        "none_due": "Nothing is owed.",
        "one_order": "1 order",
        "orders_of": "{n} orders",
        "aging": "Amount due by days since the order",
        "bucket": "{first}-{last} days",
        "last_bucket": "over {last} days",
        "total": "Total",
        "orders": "Unpaid orders",
        "date": "Date",
        "order": "Order",
        "amount": "Amount",
        "paid": "Paid so far",
        "balance": "Balance",
        "days": "Days",
        "payments": "Payments since {date}",
        "no_payments": "None.",
        "paid_on": "Paid on",
        "method": "Method",
        "reference": "Reference",
        "bank": "Pay by bank transfer",
        "bank_name": "Bank",
        "account_name": "Account name",
        "account_number": "Account number",
        "iban": "IBAN",
        "swift": "SWIFT (BIC)",
        "quote": "Please quote customer number {number}.",
        "already_paid": "Paid already? Please tell us when and how, and we will put it right.",
        "page": "Page {page} of {pages}",
        "business": "Business",
        "address": "Address",
        "phone": "Phone",
        "email": "E-mail",
        "Cash": "Cash",
        "Terminal": "Card",
        "Stripe": "Bank or online",
        "Other": "Other",
    },
    "ar": {
        "title": "كشف حساب",
        "titles": "كشوف حسابات",
        "as_of": "حتى تاريخ {date}",
        "data_to": "الطلبات حتى {date}",
        "number": "رقم العميل {number}",
        "customer": "العميل",
        "tax_number": "رقم التسجيل الضريبي",
        "money": "{amount} {currency}",
        "due": "المبلغ المستحق",
        "due_note": "{orders}، أقدمها بتاريخ {date}",
        "none_due": "لا يوجد مبلغ مستحق.",
        "one_order": "طلب واحد",
        "orders_of": "عدد الطلبات: {n}",
        "aging": "المبلغ المستحق حسب عدد الأيام منذ الطلب",
        "bucket": "من {first} إلى {last} يومًا",
        "last_bucket": "أكثر من {last} يومًا",
        "total": "الإجمالي",
        "orders": "الطلبات غير المدفوعة",
        "date": "التاريخ",
        "order": "رقم الطلب",
        "amount": "المبلغ",
        "paid": "المدفوع",
        "balance": "المتبقي",
        "days": "الأيام",
        "payments": "الدفعات منذ {date}",
        "no_payments": "لا توجد.",
        "paid_on": "تاريخ الدفع",
        "method": "طريقة الدفع",
        "reference": "المرجع",
        "bank": "الدفع بالتحويل المصرفي",
        "bank_name": "المصرف",
        "account_name": "اسم الحساب",
        "account_number": "رقم الحساب",
        "iban": "رقم الآيبان (IBAN)",
        "swift": "رمز السويفت (SWIFT)",
        "quote": "يُرجى ذكر رقم العميل {number} عند التحويل.",
        "already_paid": "هل دفعتم بالفعل؟ يُرجى إبلاغنا بتاريخ الدفع وطريقته لنصحّح الحساب.",
        "page": "صفحة {page} من {pages}",
        "business": "المنشأة",
        "address": "العنوان",
        "phone": "الهاتف",
        "email": "البريد الإلكتروني",
        "Cash": "نقدًا",
        "Terminal": "بطاقة",
        "Stripe": "مصرف أو عبر الإنترنت",
        "Other": "أخرى",
    },
}


# What a statement says -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Party:
    """Whose statement it is; what is unknown is empty. store: the one the customer belongs to."""

    number: str
    name: str = ""
    phone: str = ""
    email: str = ""
    store: str = ""


@dataclass(frozen=True)
class OpenOrder:
    """An order with something to pay. day: placed, or earned where that is unknown; paid: so far."""

    number: str
    day: date
    amount: Decimal
    paid: Decimal = NOTHING
    store: str = ""

    @property
    def balance(self) -> Decimal:
        return self.amount - self.paid


@dataclass(frozen=True)
class Received:
    """Money that came in for an order. method: a payment type of the business file."""

    day: date
    amount: Decimal
    method: str
    order: str = ""
    reference: str = ""


@dataclass(frozen=True)
class Statement:
    """A customer's open orders on `as_of` and payments from `since` on, both the oldest first. language: en or ar.

    data_to: the day of the exports that the orders come from, where it is before as_of. Money is in the business's
    currency, DECIMAL with two places.
    """

    customer: Party
    orders: tuple[OpenOrder, ...]
    payments: tuple[Received, ...]
    as_of: date
    since: date
    language: str = "en"
    data_to: date | None = None

    @property
    def total(self) -> Decimal:
        """What is owed."""
        return sum((order.balance for order in self.orders), NOTHING)

    @property
    def aging(self) -> tuple[Decimal, ...]:
        """What is owed by days since each order, in the buckets of analytics.receivables.AGING."""
        sums = [NOTHING] * (len(LAST_DAYS) + 1)
        for order in self.orders:
            sums[bucket_of(self.days(order))] += order.balance
        return tuple(sums)

    def days(self, order: OpenOrder) -> int:
        """Days since an order was placed."""
        return max(0, (self.as_of - order.day).days)


# How it is written -----------------------------------------------------------------------------------------------


def money(amount: Decimal) -> str:
    """1234.5 -> "1,234.50", in either language."""
    return f"{amount:,.2f}"


def day_words(day: date, language: str) -> str:
    """5 March 2026, or the same with the Gulf's Arabic month."""
    return f"{day.day} {MONTHS[language][day.month - 1]} {day.year}"


def currency_of(business: Business, language: str) -> str:
    """The word for money in a language of statements."""
    return business.legal.arabic.currency if language == "ar" and business.legal.arabic.currency else business.currency


def money_words(amount: Decimal, business: Business, language: str) -> str:
    """"Dhs 1,234.50"; in Arabic the currency stands after the amount."""
    return WORDS[language]["money"].format(amount=money(amount), currency=currency_of(business, language))


def bank_facts(business: Business, language: str) -> list[tuple[str, str]]:
    """The bank's details as (label, value), those that the business file has; an older file's as it has them."""
    bank, words, legal = business.legal.bank, WORDS[language], business.legal
    if not bank:
        return []
    arabic = legal.arabic if language == "ar" else None
    name = (arabic and arabic.bank) or bank.name
    facts = [
        (words["bank_name"], bank.lines or name),
        (words["account_name"], not bank.lines and (bank.account_name or business.legal.name)),
        (words["account_number"], bank.account_number),
        (words["iban"], bank.iban),
        (words["swift"], bank.swift),
    ]
    return [(label, value) for label, value in facts if value]


def legal_name(business: Business, language: str) -> str:
    """The business's legal name; in Arabic where the business file has it."""
    return (business.legal.arabic.name if language == "ar" else "") or business.legal.name


def bucket_names(language: str) -> list[str]:
    """The names of Statement.aging's buckets."""
    words, firsts = WORDS[language], (0, *(last + 1 for last in LAST_DAYS))
    names = [words["bucket"].format(first=first, last=last) for first, last in zip(firsts, LAST_DAYS, strict=False)]
    return [*names, words["last_bucket"].format(last=LAST_DAYS[-1])]


def due_note(statement: Statement) -> str:
    """How many orders are open, and since when: "3 orders, the oldest of 5 March 2026"."""
    words, n = WORDS[statement.language], len(statement.orders)
    if not n:
        return words["none_due"]
    orders = words["one_order"] if n == 1 else words["orders_of"].format(n=n)
    return words["due_note"].format(orders=orders, date=day_words(statement.orders[0].day, statement.language))


def cleaned(text: str) -> str:
    """A text of people as paper takes it: one line, without controls and without marks that turn reading direction."""
    unprintable = ("Cc", "Cf", "Cs", "Cn", "Co")
    kept = (c for c in text if c in "\t\n\r\u200c\u200d" or unicodedata.category(c) not in unprintable)
    return " ".join("".join(kept).split())


# A line of the paper is a list of pieces {text, ltr}: words of ours read in the statement's direction, what people
# wrote in its own, so that a Latin name or a phone number stays whole within Arabic, and the reverse.
Line = list[dict]


def _said(text: str) -> Line:
    """What people wrote. ltr: its first letter reads from left to right, or it has none (a phone number)."""
    text = cleaned(text)
    strong = next((d for d in map(unicodedata.bidirectional, text) if d in ("L", "R", "AL")), "L")
    text = re.sub(rf"\S{{{UNBROKEN + 1},}}", lambda m: SPACE.join(re.findall(f".{{1,{PIECE}}}", m[0])), text)
    return [{"text": text, "ltr": strong == "L"}]


def _own(language: str, words: str, **parts: str) -> Line:
    """A sentence of ours with what people wrote in its {places}."""
    line: Line = []
    for i, part in enumerate(re.split(r"\{(\w+)\}", words)):
        if i % 2:
            line += _said(parts[part])
        elif part:
            line.append({"text": part, "ltr": language == "en"})
    return line


# PDF -------------------------------------------------------------------------------------------------------------


def statements_pdf(statements: Sequence[Statement], business: Business, two_sided: bool = False) -> bytes:
    """One PDF, A4: every statement begins on a page of its own and counts its own pages.

    two_sided: each begins on a new sheet, so that a printer that prints both sides never puts two customers on one.
    Refused without a statement and above MOST of them.
    """
    if not statements:
        raise Refused("Choose a customer first.")
    if len(statements) > MOST:
        raise Refused(f"{len(statements):,} statements are too many at once; print up to {MOST}.")
    first = statements[0]
    words = WORDS[first.language]
    title = f"{words['title']} - {_name(first.customer)}" if len(statements) == 1 else words["titles"]
    data = {
        "title": title,
        "author": business.legal.name,
        "lang": first.language,
        "date": {"year": first.as_of.year, "month": first.as_of.month, "day": first.as_of.day},
        "two_sided": two_sided,
        "statements": [_on_paper(statement, business) for statement in statements],
    }
    return _typeset(data)


def _typeset(data: dict) -> bytes:
    """The PDF of what statement.typ gets as data. Refused where it can't be made; the log says how."""
    # Many statements are for the printer: no screen reader needs the tags.
    try:
        return typeset.pdf(FOLDER / "statement.typ", data, tags=len(data["statements"]) == 1)
    except typeset.NotTypeset as error:
        log.error("a statement could not be made: the other process ended with %s", error)
        raise Refused("The statement could not be made. Try again in a minute.") from None


def _name(customer: Party) -> str:
    return cleaned(customer.name) or customer.number


def _on_paper(statement: Statement, business: Business) -> dict:
    """What statement.typ shows of one statement: its words, then each part as lines."""
    language, customer = statement.language, statement.customer
    words, said = WORDS[language], partial(_own, language)
    return {
        "lang": language,
        "fonts": FONTS[language],
        "words": {key: said(text) for key, text in words.items() if "{" not in text},
        "page": re.split(r"\{\w+\}", words["page"]),
        "as_of": said(words["as_of"].format(date=day_words(statement.as_of, language))),
        "under_title": _under_title(statement),
        "legal": _letterhead(business, language),
        "name": _said(_name(customer)),
        "contact": [_said(text) for text in (customer.phone, customer.email) if text],
        "total": said(words["money"], amount=money(statement.total), currency=currency_of(business, language)),
        "due_note": said(due_note(statement)),
        "aging": _aging(statement),
        "orders": _order_rows(statement, business),
        "payments": _payment_rows(statement, business),
        "bank": [[said(label), _said(value)] for label, value in bank_facts(business, language)],
        "quote": said(words["quote"], number=customer.number),
        "footer": [_said(_short(legal_name(business, language))), _said(_short(_name(customer)))],
    }


def _short(text: str) -> str:
    """As much of a long name as a page's foot has room for."""
    return text if len(text) <= 60 else text[:59] + "…"


def _under_title(statement: Statement) -> list[Line]:
    language, words = statement.language, WORDS[statement.language]
    lines = [_own(language, words["number"], number=statement.customer.number)]
    if statement.data_to and statement.data_to < statement.as_of:
        lines.append(_own(language, words["data_to"].format(date=day_words(statement.data_to, language))))
    return lines


def _letterhead(business: Business, language: str) -> dict:
    """{name, lines: [line]}: who sends the statement."""
    legal, words = business.legal, WORDS[language]
    address = (legal.arabic.address if language == "ar" else "") or legal.address
    lines = [_said(line) for line in address.splitlines() if line.strip()]
    lines += [_said(text) for text in (legal.phone, legal.email) if text]
    if legal.tax_number:
        lines.append(_own(language, words["tax_number"] + " {number}", number=legal.tax_number))
    return {"name": _said(legal_name(business, language)), "lines": lines}


def _aging(statement: Statement) -> list[dict]:
    """[{name, amount, total}]: a bucket each, then the total."""
    language = statement.language
    names = [*bucket_names(language), WORDS[language]["total"]]
    amounts = [*statement.aging, statement.total]
    return [
        {"name": _own(language, name), "amount": _said(money(amount)), "total": i == len(amounts) - 1}
        for i, (name, amount) in enumerate(zip(names, amounts, strict=True))
    ]


def _order_rows(statement: Statement, business: Business) -> dict:
    """{head, rows, total}: date, order, amount, paid so far, balance, days."""
    language, words = statement.language, WORDS[statement.language]
    head = [words["date"], words["order"], *_in_money(business, language, "amount", "paid", "balance"), words["days"]]
    rows = [
        [
            _own(language, day_words(order.day, language)), _said(order.number), _said(money(order.amount)),
            _said(money(order.paid)), _said(money(order.balance)), _said(str(statement.days(order))),
        ]
        for order in statement.orders
    ]  # fmt: skip
    sums = [sum((getattr(o, what) for o in statement.orders), NOTHING) for what in ("amount", "paid", "balance")]
    total = [_own(language, words["total"]), [], *(_said(money(amount)) for amount in sums), []]
    return {"head": [_own(language, text) for text in head], "rows": rows, "total": total}


def _payment_rows(statement: Statement, business: Business) -> dict:
    """{title, head, rows, total}: date, order, method, reference, amount."""
    language, words = statement.language, WORDS[statement.language]
    head = [words["paid_on"], words["order"], words["method"], words["reference"]]
    head += _in_money(business, language, "amount")
    rows = [
        [
            _own(language, day_words(payment.day, language)), _said(payment.order),
            _said(words.get(payment.method, payment.method)), _said(payment.reference), _said(money(payment.amount)),
        ]
        for payment in statement.payments
    ]  # fmt: skip
    received = sum((payment.amount for payment in statement.payments), NOTHING)
    return {
        "title": _own(language, words["payments"].format(date=day_words(statement.since, language))),
        "head": [_own(language, text) for text in head],
        "rows": rows,
        "total": [_own(language, words["total"]), [], [], [], _said(money(received))],
    }


def _in_money(business: Business, language: str, *names: str) -> list[str]:
    """Heads of columns of money: "Balance (Dhs)"."""
    return [f"{WORDS[language][name]} ({currency_of(business, language)})" for name in names]


# XLSX ------------------------------------------------------------------------------------------------------------


def statement_xlsx(statement: Statement, business: Business) -> bytes:
    """The statement as a workbook of one sheet: head, aging, open orders, payments; typed cells, the sheet from right
    to left in Arabic."""
    language, words, customer = statement.language, WORDS[statement.language], statement.customer
    legal = business.legal
    about = {
        words["title"]: words["as_of"].format(date=day_words(statement.as_of, language)),
        words["customer"]: cleaned(customer.name),
        words["number"].format(number="").strip(): customer.number,
        words["phone"]: cleaned(customer.phone),
        words["email"]: cleaned(customer.email),
        words["due"]: money_words(statement.total, business, language),
        words["business"]: legal_name(business, language),
        words["tax_number"]: legal.tax_number,
        words["address"]: (legal.arabic.address if language == "ar" else "") or legal.address,
    }
    about |= dict(bank_facts(business, language))
    look = exports.Look(words["title"], "", currency_of(business, language), right_to_left=language == "ar")
    tables = [_aging_table(statement), _order_table(statement), _payment_table(statement)]
    return exports.xlsx_bytes(tables, about, look)


def _aging_table(statement: Statement) -> Table:
    words, amounts = WORDS[statement.language], (*statement.aging, statement.total)
    names = (*bucket_names(statement.language), words["total"])
    columns = tuple(Column(f"b{i}", name, "money") for i, name in enumerate(names))
    return Table("aging", words["aging"], columns, ({f"b{i}": amount for i, amount in enumerate(amounts)},))


def _order_table(statement: Statement) -> Table:
    words = WORDS[statement.language]
    columns = (
        Column("date", words["date"], "date"), Column("order", words["order"]),
        Column("amount", words["amount"], "money"), Column("paid", words["paid"], "money"),
        Column("balance", words["balance"], "money"), Column("days", words["days"], "count"),
    )  # fmt: skip
    rows = tuple(
        {"date": o.day, "order": o.number, "amount": o.amount, "paid": o.paid, "balance": o.balance,
         "days": statement.days(o)}
        for o in statement.orders
    )  # fmt: skip
    return Table("orders", words["orders"], columns, rows)


def _payment_table(statement: Statement) -> Table:
    words, language = WORDS[statement.language], statement.language
    columns = (
        Column("date", words["paid_on"], "date"), Column("order", words["order"]), Column("method", words["method"]),
        Column("reference", words["reference"]), Column("amount", words["amount"], "money"),
    )  # fmt: skip
    rows = tuple(
        {"date": p.day, "order": p.order, "method": words.get(p.method, p.method),
         "reference": cleaned(p.reference) or None, "amount": p.amount}
        for p in statement.payments
    )  # fmt: skip
    title = words["payments"].format(date=day_words(statement.since, language))
    return Table("payments", title, columns, rows)


def file_name(statement: Statement, form: str) -> str:
    """What a statement is called as a file: "statement-CC-0001-2026-03-05-en.pdf"."""
    number = re.sub(r"[^A-Za-z0-9]+", "-", statement.customer.number).strip("-")
    return f"statement-{number}-{statement.as_of.isoformat()}-{statement.language}.{form}"


# From the database -----------------------------------------------------------------------------------------------


def statements_of(
    customer_ids: Iterable[str],
    user,
    *,
    language: str | None = None,
    since: date | None = None,
    as_of: date | None = None,
) -> list[Statement]:
    """The statements of customers, in the order given; without those whom the user may not look at.

    language: None is each customer's own. since: payments from this day on; None: since the oldest open order was
    placed, or of the last 90 days where nothing is open. as_of: the day they are printed on, today. A person kept to a
    store gets that store's orders and payments alone. A fixed number of questions, however many customers.
    """
    as_of, customer_ids = as_of or timezone.localdate(), list(dict.fromkeys(customer_ids))
    customers = customers_for(user).in_bulk(customer_ids)
    orders = _by_customer(
        orders_for(user).outstanding().filter(customer__in=customer_ids).order_by(Coalesce("placed", "cleaned"), "pk")
    )
    days = {}
    for pk in customers:
        oldest = [order.since for order in orders.get(pk, ())][:1]
        days[pk] = since or (oldest or [as_of - timedelta(DAYS)])[0]
    received = _received(customer_ids, user, days)
    run = RefreshRun.objects.filter(state=RefreshRun.State.PUBLISHED, as_of__isnull=False).order_by("-finished_at")
    data_to = run.values_list("as_of", flat=True).first()
    return [
        Statement(
            Party(pk, c.shown_name, c.shown_phone, c.shown_email, c.store),
            tuple(OpenOrder(o.pk, o.since, o.total, round(o.paid_here, 2), o.store) for o in orders.get(pk, ())),
            received.get(pk, ()), as_of, days[pk], language or c.language, data_to,
        )
        for pk, c in ((pk, customers[pk]) for pk in customer_ids if pk in customers)
    ]  # fmt: skip


def _by_customer(rows: Iterable, of=lambda row: row.customer_id) -> dict[str, list]:
    found: dict[str, list] = {}
    for row in rows:
        found.setdefault(of(row), []).append(row)
    return found


def _received(customer_ids: list[str], user, since: dict[str, date]) -> dict[str, tuple[Received, ...]]:
    """Each customer's payments from their day in `since` on, the oldest first.

    What staff recorded and nobody voided; and orders that the export says were paid, on the day it says. Of an order
    with both the export counts, as everywhere. What will be invoiced is no payment.
    """
    if not customer_ids:
        return {}
    first, whose = min(since.values(), default=date.max), {"customer__in": customer_ids}
    exported = (
        orders_for(user)
        .filter(**whose, paid=True, total__gt=0, payment_date__gte=first)
        .exclude(payment_type__in=frame.business().to_be_invoiced)
        .values_list("customer", "payment_date", "total", "payment_type", "pk", Value(""))
    )
    recorded = (
        payments_for(user)
        .filter(order__customer__in=customer_ids, voids=None, voided_by=None, paid_on__gte=first)
        .exclude(order__paid=True, order__payment_date__isnull=False)
        .order_by("pk")
        .values_list("order__customer", "paid_on", "amount", "method", "order", "reference")
    )
    found: dict[str, list[Received]] = {}
    for customer, *facts in sorted([*exported, *recorded], key=lambda row: (row[1], row[4])):
        if facts[0] >= since[customer]:
            found.setdefault(customer, []).append(Received(*facts))
    return {customer: tuple(payments) for customer, payments in found.items()}
