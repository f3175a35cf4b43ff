/* What every page with charts needs before Plotly draws: a figure names its colours ("token:revenue"), and here they
   become the custom properties of moonwalk.css as they stand now; and words that would run into each other go. */
"use strict";
(() => {
  const resolved = (node, style) => {
    if (typeof node === "string") {
      return node.startsWith("token:") ? style.getPropertyValue("--" + node.slice(6)).trim() : node;
    }
    if (Array.isArray(node)) return node.map((inner) => resolved(inner, style));
    if (node && typeof node === "object") {
      return Object.fromEntries(Object.entries(node).map(([key, inner]) => [key, resolved(inner, style)]));
    }
    return node;
  };

  /* Words that would run into their neighbours': of the values only the chosen period's stays, of the axis every
     second one, counted from the chosen (bold) one. */
  const CHAR = 7.4;
  const length = (text) => Math.max(...text.replace(/<\/?b>/g, "").split("<br>").map((line) => line.length)) * CHAR;
  const fitted = (layout, width) => {
    const { xaxis, annotations, margin } = layout;
    const slot = (width - margin.l - margin.r) / (xaxis.range[1] - xaxis.range[0]);
    const crowded = annotations.some((a) => a.name === "label" && length(a.text) > slot);
    const { tickvals, ticktext } = xaxis;
    const step = tickvals.length > 1 ? tickvals[1] - tickvals[0] : 1;
    const tight = ticktext.some((text) => length(text) > slot * step - 4);
    const chosen = Math.max(ticktext.findIndex((text) => text.startsWith("<b>")), 0);
    const kept = tickvals.map((_, i) => i).filter((i) => !tight || (i - chosen) % 2 === 0);
    return {
      ...layout,
      annotations: annotations.filter((a) => !crowded || a.name !== "label"),
      xaxis: { ...xaxis, tickvals: kept.map((i) => tickvals[i]), ticktext: kept.map((i) => ticktext[i]) },
    };
  };

  window.moonwalk = { resolved, fitted };
})();
