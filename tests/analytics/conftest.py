"""What tests of pages share: a page as its reader gets it, and the build behind it."""

from urllib.parse import urlencode

import pytest

from analytics import queries


@pytest.fixture
def get(as_, golden_data):
    """get("customers", tab="cohort") is the HTML of the page for a manager, or for `who`."""

    def ask(page: str, who: str = "layla", **params) -> str:
        response = as_(who).get(f"/{page}/?{urlencode(params)}")
        assert response.status_code == 200
        return response.content.decode()

    return ask


@pytest.fixture
def build(golden_data) -> queries.Snapshot:
    """The golden build, unrestricted."""
    return queries.current()
