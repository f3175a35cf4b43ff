/* Starts the page's dashboard, after its scripts: what django-plotly-dash would write into the page. */
"use strict";
new DashRenderer();
