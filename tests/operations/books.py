"""Customers and orders written straight into the database: a desk to work at without a refresh.

CC-0001 Dana Haddad owes 35.00: M-00102 (20.00, placed 10 Feb 2026) and M-00104 (15.00, placed 1 Feb, so the oldest);
M-00101 (50.25) is paid in the export, M-00105 (12.00) isn't cleaned yet. CC-0002 Omar Saleh owes 30.00: H-00201, of the
other store. CC-0003 is a business account that owes 100.00: M-00301.
"""

from datetime import date, timedelta
from decimal import Decimal
from uuid import uuid4

from django.utils import timezone

from operations import services
from operations.models import Customer, FollowUp, Order
from operations.phones import phone_key

TODAY = date(2026, 3, 10)  # of conftest.py's clock
LONG_AGO, LATELY = date(2025, 12, 1), date(2026, 3, 5)


def customer(pk: str, name: str = "", **more) -> Customer:
    phone = more.pop("phone", "")
    return Customer.objects.create(
        pk=pk, name=name, phone=phone, phone_key=phone_key(phone), source="CC_2025",
        **{"store": "Moon Walk", "row_hash": "x", "synced_at": timezone.now()} | more,
    )  # fmt: skip


def order(pk: str, customer_id: str, total: str, placed: date, **more) -> Order:
    imported = {"store": "Moon Walk", "row_hash": "x", "synced_at": timezone.now(), "cleaned": placed + timedelta(2)}
    return Order.objects.create(
        pk=pk, customer_id=customer_id, total=Decimal(total), placed=placed, **imported | more
    )  # fmt: skip


def write() -> None:
    customer("CC-0001", "Dana Haddad", phone="+971 50 000 0001", email="dana@example.com", route="2")
    customer("CC-0002", "Omar Saleh", phone="050 000 0002", store="Hielo")
    customer("CC-0003", "Hotel", b2b=True)
    order("M-00101", "CC-0001", "50.25", date(2026, 2, 1), paid=True, payment_type="Cash")
    order("M-00102", "CC-0001", "20.00", date(2026, 2, 10))
    order("M-00104", "CC-0001", "15.00", date(2026, 2, 1))
    order("M-00105", "CC-0001", "12.00", date(2026, 2, 20), cleaned=None)
    order("H-00201", "CC-0002", "30.00", date(2026, 2, 15), store="Hielo")
    order("M-00301", "CC-0003", "100.00", date(2026, 2, 3), b2b=True)


def balances() -> dict[str, Decimal]:
    """order -> balance, of the earned orders that have one."""
    return dict(Order.objects.outstanding().values_list("pk", "balance"))


def paying(user, **more) -> dict:
    """The arguments of a payment: cash, today, a click of its own."""
    return {"method": "Cash", "paid_on": timezone.localdate(), "user": user, "request_key": uuid4()} | more


def promise(user, customer_id: str, amount: str, on: date, **more) -> FollowUp:
    return services.promise_record(customer_id, Decimal(amount), on, user=user, request_key=uuid4(), **more)
