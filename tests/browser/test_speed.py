"""What `make bench` reads from the browser's timeline is there. How fast it is, no test says: machines differ."""

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.full]


def test_a_warm_page_tells_when_its_charts_came(visit):
    visitor = visit()
    visitor.open("?tab=trends")
    page = visitor.open("?tab=trends")
    painted, charts = page.evaluate(
        "['first-contentful-paint', 'charts'].map(name => performance.getEntriesByName(name).map(e => e.startTime))"
    )
    assert len(painted) == len(charts) == 1
    assert charts[0] > painted[0] > 0
    assert visitor.complaints == []
