"""What a person fills in for an action of the desk. A form says whether something is a day, a sum or one of the
choices; whether it makes sense is for services to say."""

import re
from uuid import uuid4

from django import forms
from django.core.exceptions import ValidationError

from operations.models import CONTACT, WRITTEN, Channel, Customer, Language, Outcome
from operations.services import TOO_MUCH

AGAIN = "Something of this form was lost on the way: open it again."
CHANNELS = [(c.value, c.label[0].upper() + c.label[1:]) for c in CONTACT]
ALL_CHANNELS = [(Channel.NOTE.value, "Note only"), *CHANNELS]
OUTCOMES = [(o.value, o.label.capitalize()) for o in Outcome if o != Outcome.PROMISED]  # a promise has its own form


DIGITS = str.maketrans("٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹٫", "01234567890123456789.")
COMMA = "Write 12.50 with a point; a comma may be read in two ways."
PLACES = "An amount has two places after the point, no more."


class Amount(forms.DecimalField):
    """A sum of money as people write it: 1234.50, Arabic digits and their point too. static/operations/act.js has the
    same rule. A comma is refused: 12,50 and 1,250 would be told apart by a guess."""

    def __init__(self, **kwargs):
        attrs = {"inputmode": "decimal", "autocomplete": "off", "class": "amount"}
        super().__init__(
            max_digits=12, decimal_places=2, widget=forms.TextInput(attrs=attrs),
            error_messages={"required": "Write the amount."}, **kwargs,
        )  # fmt: skip

    def to_python(self, value):
        if isinstance(value, str):
            value = value.strip().translate(DIGITS)
            if re.search("[,٬،]", value):
                raise ValidationError(COMMA)
            # Decimal() would take NaN, Infinity and 1e9, too
            if value and not re.fullmatch(r"-?(\d+\.?\d*|\.\d+)", value, re.ASCII):
                raise ValidationError(self.error_messages["invalid"])
            if re.search(r"\.\d{3}", value):
                raise ValidationError(PLACES)
        found = super().to_python(value)
        if found is not None and not 0 < found < TOO_MUCH:
            raise ValidationError("The amount is a number above 0.")
        return found


class Day(forms.DateField):
    """A day of the calendar; `earliest`, `latest`: what the browser offers (the server asks services)."""

    def __init__(self, earliest=None, latest=None, **kwargs):
        attrs = {"type": "date"}
        attrs |= {"min": earliest.isoformat()} if earliest else {}
        attrs |= {"max": latest.isoformat()} if latest else {}
        super().__init__(widget=forms.DateInput(format="%Y-%m-%d", attrs=attrs), input_formats=["%Y-%m-%d"], **kwargs)


def _long(rows: int = 3, **attrs) -> forms.Textarea:
    return forms.Textarea(attrs={"rows": rows, "dir": "auto"} | attrs)


class ActForm(forms.Form):
    """request_key: of the form as it was opened; sent twice it does its work once."""

    use_required_attribute = True
    request_key = forms.UUIDField(widget=forms.HiddenInput, error_messages={"required": AGAIN, "invalid": AGAIN})

    def __init__(self, data=None, initial=None):
        initial = {"request_key": uuid4()} | (initial or {})
        super().__init__(data, initial=initial, auto_id="act-%s", label_suffix="")

    def start_at(self, name: str) -> None:
        """Where the cursor is when the form opens."""
        self.fields[name].widget.attrs["autofocus"] = True

    def clean(self):
        for hidden in self.hidden_fields():
            for text in self.errors.get(hidden.name, []):
                self.add_error(None, text)
        return super().clean()


class PayForm(ActForm):
    """amount: of one customer; total: of several, what the person was shown."""

    amount = Amount(label="Amount")
    total = forms.DecimalField(required=False, widget=forms.HiddenInput)
    reference = forms.CharField(
        required=False, max_length=100, label="Reference", help_text="Receipt or transfer number, if there is one."
    )
    note = forms.CharField(required=False, max_length=2000, widget=_long(2), label="Note")

    def __init__(self, data=None, initial=None, *, methods, today):
        super().__init__(data, initial)
        self.fields["method"] = forms.ChoiceField(choices=[(name, name) for name in methods], label="Paid by")
        self.fields["paid_on"] = Day(latest=today, label="Paid on")
        self.start_at("amount")
        self.order_fields(["request_key", "total", "amount", "method", "paid_on", "reference", "note"])


class NoteForm(ActForm):
    """A note or a contact."""

    channel = forms.ChoiceField(choices=ALL_CHANNELS, widget=forms.RadioSelect, label="How")
    outcome = forms.ChoiceField(choices=[("", "–"), *OUTCOMES], required=False, label="What came of it")
    note = forms.CharField(required=False, max_length=10_000, widget=_long(4), label="Note")

    def __init__(self, data=None, initial=None, *, orders, today):
        super().__init__(data, initial)
        if orders:
            choices = [("", "No order in particular"), *((pk, pk) for pk in orders)]
            self.fields["order"] = forms.ChoiceField(choices=choices, required=False, label="About order")
        self.fields["next_action_on"] = Day(
            today, required=False, label="Next action on",
            help_text="Empty: after a call, message or visit nothing is planned any more; a mere note changes no plan.",
        )  # fmt: skip
        self.start_at("note")


class PromiseForm(ActForm):
    """A promise to pay an amount by a day."""

    amount = Amount(label="Amount promised")

    def __init__(self, data=None, initial=None, *, today):
        super().__init__(data, initial)
        self.fields["on"] = Day(today, label="To be paid by")
        self.fields["channel"] = forms.ChoiceField(choices=CHANNELS, widget=forms.RadioSelect, label="Promised by")
        self.fields["note"] = forms.CharField(required=False, max_length=10_000, widget=_long(3), label="Note")
        self.fields["next_action_on"] = Day(
            today, required=False, label="Next action on",
            help_text="Empty: nothing is planned; a broken promise comes to the top of the list by itself.",
        )  # fmt: skip
        self.start_at("amount")


class Ways(forms.RadioSelect):
    """missing: value -> why it can't be chosen."""

    missing: dict[str, str] = {}

    def create_option(self, name, value, label, *args, **kwargs):
        why = self.missing.get(str(value))
        found = super().create_option(name, value, f"{label} ({why})" if why else label, *args, **kwargs)
        if why:
            found["attrs"]["disabled"] = True
        return found


class SendForm(ActForm):
    """A message as it will be sent. level: of the template, "any" for the one without."""

    channel = forms.ChoiceField(
        choices=[(value, dict(CHANNELS)[value]) for value, _ in WRITTEN], widget=Ways, label="By"
    )
    language = forms.ChoiceField(choices=Language.choices, widget=forms.RadioSelect, label="In")
    subject = forms.CharField(
        required=False, max_length=200, label="Subject", widget=forms.TextInput(attrs={"dir": "auto"})
    )
    text = forms.CharField(max_length=4000, widget=_long(9), label="Text", strip=True)
    attach = forms.BooleanField(required=False, label="Attach the statement of account (PDF) when it is sent from here")

    def __init__(self, data=None, initial=None, *, levels, missing):
        super().__init__(data, initial)
        self.fields["channel"].widget.missing = missing
        choices = [("any", "Any time: what is owed"), *((str(level.pk), level.name) for level in levels)]
        self.fields["level"] = forms.ChoiceField(choices=choices, label="Template")

    def clean(self):
        said = super().clean()
        if said.get("channel") == Channel.EMAIL and not said.get("subject") and "subject" not in self.errors:
            self.add_error("subject", "An e-mail needs a subject.")
        return said


class AssignForm(ActForm):
    """Who takes over; "": nobody."""

    def __init__(self, data=None, initial=None, *, people):
        super().__init__(data, initial)
        choices = [*((str(person.pk), name_of(person)) for person in people), ("", "Nobody")]
        self.fields["to"] = forms.ChoiceField(choices=choices, required=False, label="Assign to")
        self.start_at("to")


def name_of(person) -> str:
    """A colleague as staff know them."""
    return person.get_full_name() or person.get_username()


class NextActionForm(ActForm):
    """A day, or the button that plans nothing any more."""

    def __init__(self, data=None, initial=None, *, today):
        super().__init__(data, initial)
        self.fields["on"] = Day(today, required=False, label="Next action on")
        self.fields["note"] = forms.CharField(required=False, max_length=2000, widget=_long(2), label="What to do")
        self.start_at("on")

    def clean(self):
        said = super().clean()
        if "none" in self.data:
            said["on"] = None
            self._errors.pop("on", None)
        elif said.get("on") is None and "on" not in self.errors:
            self.add_error("on", "Choose a day, or “Nothing planned”.")
        return said


class VoidForm(ActForm):
    """Why something is undone."""

    reason = forms.CharField(
        max_length=300, label="Why", widget=forms.TextInput(attrs={"dir": "auto", "autofocus": True}),
        error_messages={"required": "Say why."},
    )  # fmt: skip


class CorrectForm(ActForm):
    """Some of CORRECTABLE; seen_*: what was shown when the form opened, export: fields to go back to the export's."""

    def __init__(self, data=None, initial=None, *, fields):
        super().__init__(data, initial)
        for name in fields:
            column = Customer._meta.get_field(name)
            kind = {"phone": "tel", "email": "email"}.get(name, "text")
            widget = forms.TextInput(attrs={"type": kind, "dir": "auto", "autocomplete": "off"})
            label = column.verbose_name[0].upper() + column.verbose_name[1:]
            self.fields[name] = forms.CharField(
                required=False, max_length=column.max_length, label=label, widget=widget
            )  # fmt: skip
            self.fields[f"seen_{name}"] = forms.CharField(required=False, strip=False, widget=forms.HiddenInput)
        self.start_at(fields[0])


class ChooseForm(ActForm):
    """Which of two values counts; seen: the export's as it was shown."""

    choice = forms.ChoiceField(choices=[("ours", ""), ("theirs", "")], widget=forms.HiddenInput, required=False)
    seen = forms.CharField(required=False, strip=False, widget=forms.HiddenInput)


class PreferencesForm(ActForm):
    """How a customer wants to be reached; seen_*: as it was when the form opened."""

    seen_do_not_contact = forms.CharField(required=False, widget=forms.HiddenInput)
    seen_preferred_channel = forms.CharField(required=False, widget=forms.HiddenInput)
    seen_language = forms.CharField(widget=forms.HiddenInput, error_messages={"required": AGAIN})

    do_not_contact = forms.BooleanField(
        required=False, label="Do not contact", help_text="No message is sent, and lists say so."
    )
    preferred_channel = forms.ChoiceField(
        choices=[("", "No preference"), *CHANNELS], required=False, label="Best reached by"
    )
    language = forms.ChoiceField(choices=Language.choices, label="Language")
