"""The pages of the desk as tests read them: their rows, names, links and files."""

import csv
import io
import re

from django.test import Client

from tests.analytics.reading import words

LIST, PAID = "/operations/receivables/", "/operations/receivables/paid-here/"


def rows(html: str) -> list[dict[str, str]]:
    """The rows of the page: "name", and each cell by its label."""
    found = []
    for row in re.findall(r"<tr data-row.*?</tr>", html, re.S):
        cells = {"name": words(re.search(r"<th.*?</th>", row, re.S)[0])}
        said = re.findall(r'<td[^>]*data-label="([^"]+)">(.*?)</td>', row, re.S)
        cells |= {label: words(text) for label, text in said}
        found.append(cells)
    return found


def names(html: str) -> list[str]:
    return re.findall(r"data-open><bdi>(.*?)</bdi>", html)


def links(html: str, label: str) -> str:
    """The address of the link with these words."""
    return next(
        url.replace("&amp;", "&") for url, text in re.findall(r'<a href="([^"]+)"[^>]*>(.*?)</a>', html, re.S)
        if words(text) == label
    )  # fmt: skip


def page_file(user, form: str, path=LIST, **params) -> bytes:
    client = Client()
    client.force_login(user)
    response = client.get(f"{path}export.{form}", params)
    assert response.status_code == 200
    assert response["Cache-Control"] == "private, no-store"
    return response.content


def table(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))
