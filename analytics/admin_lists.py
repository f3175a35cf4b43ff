"""What every list of the admin has: a sentence on top, the filtered list as CSV and XLSX, moments on the local clock.

analytics/admin.py and operations/admin/ build on it.
"""

import logging
from collections.abc import Callable
from datetime import datetime, time
from typing import Any, NamedTuple

from django.contrib import messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import DataError
from django.db.models import QuerySet
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.text import capfirst
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import DropdownFilter, RangeDateTimeFilter
from unfold.decorators import display
from unfold.templatetags import unfold_list
from unfold.utils import parse_date_str, parse_datetime_str
from unfold.views import ChangeList

from analytics import access, exports, formats
from analytics.tables import Column, Table

log = logging.getLogger(__name__)

LINK = "text-primary-600 dark:text-primary-400 underline"


def link(url: str, words: Any) -> str:
    """An anchor in the theme's manner."""
    return format_html('<a class="{}" href="{}">{}</a>', LINK, url, words)


def moment(at: datetime | None) -> str | None:
    """10 Feb 2026, 09:05 on the local clock; None: no value."""
    return formats.moment(at) if at else None


def yes_no(field: str, words: str) -> Callable:
    """A column that says yes or no in words: a red cross would read as something wrong."""

    @display(description=words, ordering=field)
    def shown(self, row):
        return "yes" if getattr(row, field) else "no"

    return shown


def tag(tone: str, words: str) -> str:
    """A state in a few words on a soft ground; tone: good, bad, warn, info, plain. A dash where there is none."""
    return format_html('<span class="mw-tag mw-{}">{}</span>', tone, words) if words else "–"


def values_filter(field: str, words: str) -> type[DropdownFilter]:
    """A filter by the values that a text column has among the rows the person may see."""

    class ValuesFilter(DropdownFilter):
        title, parameter_name = words, field

        def lookups(self, request, model_admin):
            rows = model_admin.get_queryset(request).order_by(field).values_list(field, flat=True).distinct()
            return [(value, value) for value in rows if value]

        def queryset(self, request, queryset):
            return queryset.filter(**{field: self.value()}) if self.value() else queryset

    return ValuesFilter


class PeopleFilter(DropdownFilter):
    """A filter by a person, of those who stand in the column: subclasses name it (parameter_name) and its title."""

    def lookups(self, request, model_admin):
        from django.contrib.auth import get_user_model

        column = self.parameter_name.removesuffix("__id__exact")
        named = model_admin.get_queryset(request).order_by().values(column)
        people = get_user_model().objects.filter(pk__in=named).order_by("username")
        return [(str(one.pk), formats.person(one)) for one in people]

    def queryset(self, request, queryset):
        value = self.value()
        if not value:
            return queryset
        return queryset.filter(**{self.parameter_name: value}) if value.isdecimal() else queryset.none()


def people_filter(field: str, words: str) -> type[PeopleFilter]:
    """PeopleFilter of a foreign key to a person."""
    return type("PeopleFilter", (PeopleFilter,), {"title": words, "parameter_name": f"{field}__id__exact"})


class MomentsFilter(RangeDateTimeFilter):
    """A filter from one moment of the local clock to another; a day without a time is meant as a whole."""

    def queryset(self, request, queryset):
        asked = {}
        for side, lookup, whole in (("from", "gte", time.min), ("to", "lte", time.max)):
            day, at = (self.used_parameters.get(f"{self.parameter_name}_{side}_{part}") for part in (0, 1))
            if not day:
                continue
            date = parse_date_str(day)
            when = parse_datetime_str(f"{day} {at}") if at else date and datetime.combine(date, whole)
            if when is None:
                raise ValueError(f"{self.parameter_name}: no such day or time")
            asked[f"{self.parameter_name}__{lookup}"] = timezone.make_aware(when)
        return queryset.filter(**asked)


class Cell(NamedTuple):
    """A column of a downloaded list: its head, and what stands in it for a row."""

    column: Column
    value: Callable[[Any], Any]


_label_for_field = unfold_list.label_for_field


def _head(*args, return_attr: bool = False, **kwargs):
    """What stands above a column, with a capital: the theme writes it so above the table, and not beside the values
    that a phone shows one below the other."""
    found = _label_for_field(*args, return_attr=return_attr, **kwargs)
    return (capfirst(found[0]), found[1]) if return_attr else capfirst(found)


unfold_list.label_for_field = _head


class FilledList(ChangeList):
    """A page of the list, once its rows carry what ListAdmin.fill() gives them."""

    def get_results(self, request):
        super().get_results(request)
        self.result_list = list(self.result_list)
        self.model_admin.fill(request, self.result_list)


class SoundList:
    """A list whose address asks for what can't be: a number that no row can have, a year past the calendar's end. It
    leads back to the whole list with a word, as Django has it for parameters that it doesn't know."""

    def get_changelist_instance(self, request):
        try:
            return super().get_changelist_instance(request)
        except (IncorrectLookupParameters, OverflowError, ValueError, DataError) as error:
            messages.warning(request, "The list can't be narrowed down like that: here is all of it.")
            raise IncorrectLookupParameters from error


class OfTheHouse:
    """For a ModelAdmin of what is of the whole business: nobody kept to one store writes it."""

    def has_add_permission(self, request, *args):
        return super().has_add_permission(request, *args) and access.store_of(request.user) is None

    def has_change_permission(self, request, obj=None):
        return super().has_change_permission(request, obj) and access.store_of(request.user) is None

    def has_delete_permission(self, request, obj=None):
        return super().has_delete_permission(request, obj) and access.store_of(request.user) is None


class HiddenFromStores(OfTheHouse):
    """OfTheHouse, and nobody who is kept to a store so much as looks at it."""

    def has_view_permission(self, request, obj=None):
        return super().has_view_permission(request, obj) and access.store_of(request.user) is None


class LookedAt:
    """Rows that the program alone writes: nobody adds, changes or deletes one here. Before ListAdmin."""

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        return False

    def has_delete_permission(self, request, obj=None):
        return False


class ListAdmin(SoundList, ModelAdmin):
    """A list that says what it is for, and can be taken along. `cells`: the columns of the download; none: no download.

    The list shows fifty rows a page and counts no more than it must; a filter is set with the others by one button.
    """

    list_per_page = 50
    show_full_result_count = False
    list_filter_submit = True
    compressed_fields = False  # labels above: three fields stand in a row, on a phone one below the other
    list_before_template = "admin/list_top.html"
    list_about = ""
    list_empty = "Nothing here yet."  # what stands in a list that has no row at all
    cells: tuple[Cell, ...] = ()

    def get_urls(self):
        name = f"{self.opts.app_label}_{self.opts.model_name}_export"
        return [
            path("export.<str:form>", self.admin_site.admin_view(self.export_view), name=name),
            *super().get_urls(),
        ]

    def changelist_view(self, request, extra_context=None):
        return super().changelist_view(request, {"list_top": self.list_top(request)} | (extra_context or {}))

    def list_top(self, request) -> dict:
        """What stands above the list: {about, links: [(words, address)], downloads: [(words, address)]}."""
        query = f"?{request.GET.urlencode()}" if request.GET else ""
        base = f"admin:{self.opts.app_label}_{self.opts.model_name}_export"
        downloads = exports.links(lambda form: reverse(base, args=[form]) + query) if self.cells else []
        return {"about": self.list_about, "links": self.list_links(request), "downloads": downloads}

    def list_links(self, request) -> list[tuple[str, str]]:
        """(words, address) of what belongs to the list and lies elsewhere."""
        return []

    def fill(self, request, rows: list) -> None:
        """Put onto rows what the database gives for all of them at once; for a page of the list and for a download."""

    def get_changelist(self, request, **kwargs):
        return FilledList

    def _get_obj_does_not_exist_redirect(self, request, opts, object_id):
        """Back to the list: the address names no row, and perhaps never did."""
        messages.warning(request, f"There is no {opts.verbose_name} “{unquote(object_id)}”.")
        return redirect(f"admin:{opts.app_label}_{opts.model_name}_changelist")

    def export_view(self, request, form: str):
        """The list as it is filtered, sought and sorted, all of its pages, as a CSV or XLSX file."""
        if not self.has_view_or_change_permission(request) or not self.cells:
            raise PermissionDenied
        try:
            rows: QuerySet = self.get_changelist_instance(request).queryset
        except IncorrectLookupParameters:
            return redirect(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")
        rows = list(rows)
        self.fill(request, rows)
        name = str(self.opts.verbose_name_plural)
        table = Table(
            self.opts.model_name,
            name.capitalize(),
            tuple(cell.column for cell in self.cells),
            tuple({cell.column.key: cell.value(row) for cell in self.cells} for row in rows),
        ).reaching(access.contacts_of(request.user))
        about = {
            "List": name.capitalize(),
            "Shows": "filtered" if set(request.GET) - {"o", "p", "e"} else "all",
            "Store": access.store_of(request.user),
            "Written": moment(timezone.now()),
        }
        log.info("user %s took along %s rows of %s", request.user.pk, len(rows), self.opts.model_name)
        return exports.file_response([table], form, name, about)
