"""Which customers, orders, follow-ups and payments a person may look at and work on: those of the store they are kept
to, or all."""

from django.db.models import Exists, OuterRef, Q

from analytics.access import store_of
from operations.models import Customer, FollowUp, Message, Order, Payment


def orders_for(user, orders=None):
    """The orders that a person may look at, of a queryset or of all."""
    orders = Order.objects.all() if orders is None else orders
    only = store_of(user)
    return orders.filter(store=only) if only else orders


def customers_for(user, customers=None):
    """The customers that a person may look at, of a queryset or of all: the store's, and who has an order in it."""
    customers = Customer.objects.all() if customers is None else customers
    only = store_of(user)
    if not only:
        return customers
    return customers.filter(Q(store=only) | Exists(Order.objects.filter(customer=OuterRef("pk"), store=only)))


def follow_ups_for(user, follow_ups=None):
    """The follow-ups that a person may look at: on such an order; on no order, on such a customer. A promise only where
    all that it is about is such orders: it tells what they owe."""
    follow_ups = FollowUp.objects.all() if follow_ups is None else follow_ups
    only = store_of(user)
    if not only:
        return follow_ups
    on_customers = Q(order__isnull=True, customer__in=customers_for(user))
    promised = FollowUp.promised_orders.through.objects.filter(followup=OuterRef("pk"))
    return follow_ups.filter(
        Q(order__in=orders_for(user)) | on_customers, ~Exists(promised.exclude(order__store=only))
    )


def payments_for(user, payments=None):
    """The payments of such orders."""
    payments = Payment.objects.all() if payments is None else payments
    only = store_of(user)
    return payments.filter(order__store=only) if only else payments


def messages_for(user, messages=None):
    """The messages to such customers; of one who has orders elsewhere too their own alone: others' tell what is owed
    there."""
    messages = Message.objects.all() if messages is None else messages
    only = store_of(user)
    if not only:
        return messages
    elsewhere = Order.objects.filter(customer=OuterRef("customer")).exclude(store=only)
    return messages.filter(Q(created_by=user) | ~Exists(elsewhere), customer__in=customers_for(user))
