"""What a new installation starts with: the levels of reminding and what is written at each, in English and Arabic.

Made once (models.Made): whatever a person changes or removes afterwards stays as they left it.
"""

import string
from decimal import Decimal

from django.apps import apps
from django.conf import settings

from etl.business import load_business
from etl.errors import BusinessError

# What a template may name in {braces}, and what stands there in a message.
PLACEHOLDERS = {
    "name": "the customer's name",
    "amount": "what they owe, with the currency",
    "orders": "how many orders are open",
    "order_list": "the numbers of these orders",
    "oldest_order": "the number of the oldest of them",
    "since": "the day of the oldest of them",
    "days": "how many days overdue it is",
    "bank": "the bank details of the business file",
    "store": "the store of the oldest order",
    "business": "the business's name",
    "phone": "the business's phone, of the business file",
}
# language -> where a text asks to be called -> with the number, where the business file has one as the texts are made
CALL_US = {
    "en": ("Please call us", "Please call us on {phone}"),
    "ar": ("نرجو الاتصال بنا", "نرجو الاتصال بنا على الرقم {phone}"),
}
# name, days overdue, owed, by
LEVELS = (
    ("Reminder", 7, "0", "whatsapp"),
    ("Second reminder", 30, "0", "whatsapp"),
    ("Final reminder", 60, "50", "call"),
    ("Stop service", 90, "100", "call"),
)
# level (None: at any time) -> language -> subject of the e-mail, text
TEXTS = {
    None: {
        "en": (
            "Your account with {business}",
            "Hello {name},\n\nyour open balance with {business} is {amount} ({orders} orders: {order_list}).\n\n"
            "If you have any question about it, just reply to this message.\n\n{business}",
        ),
        "ar": (
            "حسابكم لدى {business}",
            "مرحباً {name}،\n\nرصيدكم المستحق لدى {business} هو {amount} (عدد الطلبات: {orders}، أرقامها: {order_list})."
            "\n\nلأي استفسار يمكنكم الرد على هذه الرسالة.\n\n{business}",
        ),
    },
    "Reminder": {
        "en": (
            "A friendly reminder from {business}",
            "Hello {name},\n\na friendly reminder: {amount} is open on your account with {business} since {since} "
            "({order_list}). You can pay in the store or to our driver.\n\n"
            "If you have paid already, please disregard this message. Thank you!\n\n{business}",
        ),
        "ar": (
            "تذكير ودّي من {business}",
            "مرحباً {name}،\n\nنودّ تذكيركم بأن مبلغ {amount} مستحق على حسابكم لدى {business} منذ {since} "
            "({order_list}). يمكنكم الدفع في الفرع أو للسائق.\n\n"
            "إذا كنتم قد سدّدتم المبلغ فيرجى تجاهل هذه الرسالة. شكراً لكم!\n\n{business}",
        ),
    },
    "Second reminder": {
        "en": (
            "Second reminder: {amount} is overdue",
            "Hello {name},\n\nwe wrote to you before: {amount} is overdue by {days} days ({order_list}). "
            "Please pay it this week, or tell us when you will.\n\n{business}",
        ),
        "ar": (
            "تذكير ثانٍ: مبلغ {amount} متأخر السداد",
            "مرحباً {name}،\n\nسبق أن راسلناكم: مبلغ {amount} متأخر السداد، عدد أيام التأخير: {days} ({order_list}). "
            "نرجو السداد خلال هذا الأسبوع أو إبلاغنا بموعد السداد.\n\n{business}",
        ),
    },
    "Final reminder": {
        "en": (
            "Final reminder: {amount} is overdue",
            "Dear {name},\n\ndespite our reminders {amount} is still open since {since} ({order_list}). Please pay it "
            "within seven days. After that we can take new orders only against payment in advance.\n\n{business}",
        ),
        "ar": (
            "تذكير أخير: مبلغ {amount} متأخر السداد",
            "السيد/السيدة {name}،\n\nرغم تذكيراتنا لا يزال مبلغ {amount} مستحقاً منذ {since} ({order_list}). "
            "نرجو السداد خلال سبعة أيام، وبعدها لن نتمكن من قبول طلبات جديدة إلا بالدفع المسبق.\n\n{business}",
        ),
    },
    "Stop service": {
        "en": (
            "Your account with {business} is on hold",
            "Dear {name},\n\n{amount} is overdue by {days} days ({order_list}). Your account is on hold: we take new "
            "orders again as soon as it is paid. Please call us to find a way.\n\n{business}",
        ),
        "ar": (
            "حسابكم لدى {business} موقوف",
            "السيد/السيدة {name}،\n\nمبلغ {amount} متأخر السداد، عدد أيام التأخير: {days} ({order_list}). "
            "حسابكم موقوف، وسنستقبل طلباتكم من جديد فور السداد. نرجو الاتصال بنا للاتفاق على حل.\n\n{business}",
        ),
    },
}


def placeholders_in(text: str) -> set[str]:
    """The names that a text has in {braces}. ValueError when its braces don't match or one holds more than a name."""
    found = set()
    for _, name, format_spec, conversion in string.Formatter().parse(text):
        if name is not None:
            if format_spec or conversion:
                raise ValueError(f"{{{name}}} holds more than a name")
            found.add(name)
    return found


def _business_phone() -> str:
    try:
        return load_business(settings.BUSINESS_FILE).legal.phone
    except BusinessError:  # said elsewhere (system checks, refresh)
        return ""


def make_levels(sender=None, **kwargs) -> None:
    """Make the levels and their templates, the first time (after a migrate)."""
    made, level_model, template_model = (apps.get_model("operations", m) for m in ("Made", "Level", "MessageTemplate"))
    _, new = made.objects.get_or_create(key="levels and templates")
    if not new or level_model.objects.exists() or template_model.objects.exists():
        return
    phone, levels = _business_phone(), {None: None}
    for position, (name, days, amount, channel) in enumerate(LEVELS, start=1):
        levels[name] = level_model(
            name=name, position=position, days_from=days, amount_from=Decimal(amount), channel=channel
        )
    level_model.objects.bulk_create([level for level in levels.values() if level])  # in bulk: no entry of the trail
    template_model.objects.bulk_create(
        template_model(
            level=level_model.objects.get(name=name) if name else None,
            language=language,
            channel=channel,
            text=text.replace(*CALL_US[language]) if phone else text,
            subject=subject if channel == "email" else "",
        )  # fmt: skip
        for name, languages in TEXTS.items()
        for language, (subject, text) in languages.items()
        for channel in ("whatsapp", "email")
    )


def make_report_mails(sender=None, **kwargs) -> None:
    """A row of ReportMail for the week and one for the month, after every migrate: one that is there is a person's."""
    model = apps.get_model("analytics", "ReportMail")
    # In bulk: no entry of the trail.
    model.objects.bulk_create([model(grain=grain) for grain in ("week", "month")], ignore_conflicts=True)
