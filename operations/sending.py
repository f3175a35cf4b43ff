"""Sending a message: which template fits a customer, the text as staff edit it, and by which way it leaves."""

from django.db.models import Q

from analytics.access import contacts_of
from analytics.dashboards import frame
from operations import forms, services
from operations import messages as letters
from operations.acts import Act, Done, who
from operations.models import WRITTEN, Channel, Customer, Language, Level, Message, MessageTemplate
from operations.phones import is_phone
from operations.receivables import debt_of
from operations.services import Refused
from operations.statements import Statement, file_name, statements_of, statements_pdf


class Send(Act):
    """A message: the template of the customer's level, in their language, by the way they prefer, edited as wanted."""

    title, template = "Send a message", "send"
    look = "Fill in this template"

    def check(self) -> None:
        if self.customer.do_not_contact:
            raise Refused(f"{who(self.customers)} is not to be contacted: no message is sent.")

    def form(self, data=None):
        """`look` fills in the chosen template anew, and leaves the rest as it is."""
        self.levels = [level for level in Level.objects.all() if level.active]
        look = data is not None and "look" in data
        initial = self._drafted(data if look else self.said)
        if look:
            initial |= {"request_key": data.get("request_key"), "attach": "attach" in data}
        return forms.SendForm(
            None if look else data, initial, levels=self.levels, missing=missing_ways(self.customer)
        )  # fmt: skip

    def statement(self, language: str) -> Statement:
        return statements_of([self.customer.pk], self.user, language=language)[0]

    def _drafted(self, said) -> dict:
        """The form's first values: what was chosen, else what fits the customer; subject and text of that template."""
        customer = self.customer
        language = said.get("language") if said.get("language") in Language.values else customer.language
        statement = self.statement(language)
        level = self._level(said.get("level"))
        channel = said.get("channel")
        missing = missing_ways(customer)
        if channel not in dict(WRITTEN) or channel in missing:
            wanted = [customer.preferred_channel, level.channel if level else "", "whatsapp", "email"]
            channel = next((c for c in wanted if c in dict(WRITTEN) and c not in missing), "whatsapp")
        found = {"channel": channel, "language": language, "level": str(level.pk) if level else "any"}
        templates = MessageTemplate.objects.filter(channel=channel, language=language)
        template = templates.filter(Q(level=level) if level else Q(level__isnull=True)).first()
        self.trouble = ""
        if template is None:
            self.trouble = "There is no template for this: write the text yourself."
            return found
        try:
            facts = letters.facts_of(statement, frame.business())
            subject, text = (letters.rendered(t, facts, customer.pk) for t in (template.subject, template.text))
        except Refused as error:
            self.trouble = f"{error} Choose another template, or write the text yourself."
            return found
        return found | {"subject": " ".join(subject.split()), "text": text}

    def _level(self, chosen: str | None) -> Level | None:
        """The level chosen; without a choice the one that the customer has reached today."""
        if chosen:
            return next((level for level in self.levels if str(level.pk) == chosen), None)
        debt = debt_of(self.user, self.customer.pk, self.today)
        return debt.level if debt else None

    def context(self, form) -> dict:
        by_mail = form["channel"].value() == Channel.EMAIL
        way = "email" if by_mail else "phone"
        to = self.customer.shown(way) if way in contacts_of(self.user) else ""
        missing = (Channel.EMAIL if by_mail else Channel.WHATSAPP) in missing_ways(self.customer)
        return {"by_mail": by_mail, "to": to, "way": way, "missing": missing,
                "trouble": self.trouble, "arabic": form["language"].value() == Language.ARABIC}  # fmt: skip

    def do(self, data: dict) -> Done:
        by_mail = data["channel"] == Channel.EMAIL
        level = next((level for level in self.levels if str(level.pk) == data["level"]), None)
        sending = {
            "language": data["language"], "subject": data["subject"] if by_mail else "", "text": data["text"],
            "level": level, "user": self.user, "request_key": data["request_key"],
        }  # fmt: skip
        if by_mail and self.said.get("how") == "send":
            files = [self._attachment(data["language"])] if data["attach"] else []
            return self._told(services.message_send(self.customer.pk, attachments=files, **sending))
        link_of(self.customer, data["channel"], sending["subject"], data["text"])  # Refused before anything is recorded
        message = services.message_record(self.customer.pk, channel=data["channel"], **sending)
        where = "a mail program" if by_mail else "WhatsApp"
        return Done(f"Message to {who(self.customers)} recorded, to be sent in {where}.", sent=message)

    def _attachment(self, language: str) -> tuple[str, bytes, str]:
        statement = self.statement(language)
        return file_name(statement, "pdf"), statements_pdf([statement], frame.business()), "application/pdf"

    def _told(self, message: Message) -> Done:
        name = who(self.customers)
        if message.state == Message.State.FAILED:
            return Done(f"The e-mail to {name} was not sent. {message.error} Open the form again to retry.",
                        level="error")  # fmt: skip
        if message.state == Message.State.SENDING:
            return Done(f"The e-mail to {name} is on its way: see below whether it went.", level="info")
        return Done(f"E-mail sent to {name}.")


def missing_ways(customer: Customer) -> dict[str, str]:
    """Channel -> why nothing can be sent to this customer that way."""
    found = {} if is_phone(customer.phone_key) else {Channel.WHATSAPP.value: "no phone"}
    return found if customer.shown_email.strip() else found | {Channel.EMAIL.value: "no address"}


def link_of(customer: Customer, channel: str, subject: str, text: str) -> str:
    """What opens a message to a customer in WhatsApp or a mail program. Refused where there is nowhere to send it."""
    if channel == Channel.EMAIL:
        if not customer.shown_email.strip():
            raise Refused(f"{who([customer])} has no e-mail address: add one under “Correct”.")
        return letters.mailto_link(customer.shown_email.strip(), subject, text)
    if not is_phone(customer.phone_key):
        raise Refused(f"{who([customer])} has no phone: add one under “Correct”.")
    return letters.whatsapp_link(customer.phone_key, text)
