"""One Dash app a persona, inside its Django page.

The page (title, controls, cards, tables, waiting charts) is Django's and paints first. The app paints the charts: it
reads the page's URL and asks the server once. static/charts.js gives them the colours of the system's scheme.
"""

import logging
import threading
from functools import lru_cache
from urllib.parse import parse_qsl

from dash import ClientsideFunction, Input, Output, dcc, html
from django.utils.safestring import mark_safe
from django_plotly_dash import DjangoDash
from django_plotly_dash.dash_wrapper import WrappedDash, all_apps
from django_plotly_dash.middleware import EmbeddedHolder

from analytics import access, queries
from analytics import charts as plot
from analytics.dashboards import blocks, frame
from etl.errors import MoonwalkError

log = logging.getLogger(__name__)
UNUSED = ("/dpd_components/", "/dash_table/")  # dash and django-plotly-dash load every component they know
FAILED = "The charts can't be drawn just now. The numbers are right; the error is in the log. Load the page again."


class SharedDash(WrappedDash):
    """A Dash instance that threads share: what belongs to one request is kept by thread."""

    def __init__(self, **kwargs):
        self._own = threading.local()
        super().__init__(**kwargs)

    @property
    def _return_embedded(self):
        return getattr(self._own, "embedded", False)

    @_return_embedded.setter
    def _return_embedded(self, holder):
        self._own.embedded = holder


class PersonaApp(DjangoDash):
    """A DjangoDash that builds its Dash instance once.

    django-plotly-dash builds one on every request, and each appends its callbacks to global lists: a page that took
    4 ms took 32 ms after 20,000 requests.
    """

    def __init__(self, dashboard: frame.Dashboard):
        super().__init__(dashboard.page, serve_locally=True)
        self._made: WrappedDash | None = None
        self._making = threading.Lock()

    def form_dash_instance(self, replacements=None, ndid=None, base_pathname=None) -> WrappedDash:
        with self._making:
            if self._made is None:
                made = SharedDash(
                    base_pathname=base_pathname, ndid=ndid or self._uid, serve_locally=True, update_title=""
                )
                made.layout = self.layout
                for wiring, function in self._callback_sets:
                    made.callback(**wiring)(function)
                for wiring in self._clientside_callback_sets:
                    made.clientside_callback(**wiring)
                self._made = made
            return self._made


def register(dashboard: frame.Dashboard) -> PersonaApp:
    """Make the dashboard's app known to django-plotly-dash, under the page's name."""
    app = PersonaApp(dashboard)
    app.layout = html.Div(
        [
            dcc.Location(id="url", refresh=False),
            dcc.Store(id="painted"),
            dcc.Store(id="repaint"),
            html.Div(id="failure", role="alert"),
            html.Div(id="cards"),
        ]
    )

    def paint(search: str | None, user=None) -> tuple[list, list]:
        """`search` is the URL's query; gives the chart cards, and in their stead a message when there are none.

        `user` is who asks (django-plotly-dash hands them in): a person kept to a store gets that store's charts.
        """
        try:
            build = queries.current(access.store_of(user))
            state = frame.read_state(dashboard, dict(parse_qsl((search or "").lstrip("?"))), build)
            drawn = blocks.charts(state)
            return build.kept(("components", *state.key), lambda _: [component(chart) for chart in drawn]), []
        except (MoonwalkError, queries.QueryError) as error:
            log.warning("charts of %s: %s", dashboard.page, error)
            return [], [html.P(str(error), className="say bad")]
        except Exception:
            log.exception("charts of %s failed for %s", dashboard.page, search)
            return [], [html.P(FAILED, className="say bad")]

    app.callback([Output("painted", "data"), Output("failure", "children")], [Input("url", "search")])(paint)
    app.clientside_callback(
        ClientsideFunction("moonwalk", "paint"),
        Output("cards", "children"),
        [Input("painted", "data"), Input("repaint", "data")],
    )
    return app


def component(chart: dict) -> html.Section:
    """A chart of frame.charts() as a card of the same measures as its waiting card in the template.

    Its table stays Django's and moves over in the browser: as Dash components the tables of a tab cost 300 ms.
    """
    graph = dcc.Graph(
        id=f"chart-{chart['id']}", figure=chart["figure"], config=plot.CONFIG, responsive=True, style={"height": "100%"}
    )
    tall = {"--tall": f"{chart['height']}px"} if chart["height"] else None
    return html.Section(
        [
            html.H2(chart["title"]),
            html.P(chart["note"], className="note"),
            html.Div(graph, className="plotbox", role="img", style=tall, **{"aria-label": chart["alt"]}),
            html.Div(className="numbers", **{"data-chart": chart["id"]}),
        ],
        className="card chart wide" if chart["wide"] else "card chart",
        key=chart["id"],
    )


@lru_cache
def markup(page: str) -> dict[str, str]:
    """The HTML that puts a persona's app into a page: entry (where it draws), css, config, scripts.

    django-plotly-dash's plotly_direct does the same on every request, with an inline script and scripts that block the
    page. Here they are deferred, so that the numbers paint first, and made once: nothing in them is a request's own.
    """
    app = all_apps()[page].as_dash_instance()
    holder = EmbeddedHolder()
    app.set_embedded(holder)
    try:
        entry = app.locate_endpoint_function()()
    finally:
        app.exit_embedded()
    scripts = [f"<script defer {rest}" for rest in holder.scripts.split("<script ")[1:]]
    scripts = "".join(s for s in scripts if not any(unused in s for unused in UNUSED))
    parts = {"entry": entry, "css": holder.css, "config": holder.config, "scripts": scripts}
    return {name: mark_safe(text) for name, text in parts.items()}
