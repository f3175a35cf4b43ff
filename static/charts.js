/* The charts' browser side, inside a dashboard: paints what the server sent, again whenever the colours change (light,
   dark, or light while printing). How a figure gets its colours and its room: paint.js. */
"use strict";
(() => {
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  const repaint = () => window.dash_clientside.set_props("repaint", { data: Date.now() });

  const { resolved, fitted } = window.moonwalk;

  const thinned = (node, width) => {
    if (Array.isArray(node)) return node.map((inner) => thinned(inner, width));
    if (!node || typeof node !== "object") return node;
    if (node.data && node.layout) return { ...node, layout: fitted(node.layout, width) };
    return Object.fromEntries(Object.entries(node).map(([key, inner]) => [key, thinned(inner, width)]));
  };

  const root = document.getElementById("charts");
  const waiting = document.getElementById("waiting");
  const tables = new Map([...root.querySelectorAll("[data-table]")].map((table) => [table.dataset.table, table]));

  /* What a painted card gets from here: its table, and a click that opens a period. Cards are made anew when the
     colours change, so this runs whenever something in them does. */
  const adopt = () => {
    root.querySelectorAll(".numbers:empty").forEach((place) => place.append(tables.get(place.dataset.chart)));
    root.querySelectorAll(".js-plotly-plot:not([data-opens])").forEach((graph) => {
      if (!graph.on) return;
      graph.dataset.opens = "yes";
      graph.on("plotly_click", ({ points }) => open(points[0]));
    });
  };

  /* The painted cards lie over the waiting ones, which go once every chart has drawn: nothing jumps. */
  const settle = (wanted) => {
    const drawn = [...root.querySelectorAll(".js-plotly-plot")].filter((graph) => graph.querySelector(".barlayer"));
    if (drawn.length < wanted) {
      requestAnimationFrame(() => settle(wanted));
      return;
    }
    if (root.dataset.painted) return;
    adopt();
    waiting.hidden = true;
    new MutationObserver(adopt).observe(root, { childList: true, subtree: true });
    root.dataset.painted = wanted;
    performance.mark("charts");
  };

  /* Without charts the page keeps its tables; the reason stands above them. */
  const failed = () => {
    waiting.classList.remove("wait");
    waiting.classList.add("failed");
  };

  /* A click sets what its point says (a period, an area; null takes it away): state changes by a new address alone. */
  const opens = (point) => {
    const wanted = point && point.customdata && point.customdata[0];
    if (!wanted || typeof wanted !== "object") return null;
    const address = new URL(location.href);
    Object.entries(wanted).forEach(([key, value]) => {
      if (value === null) address.searchParams.delete(key);
      else address.searchParams.set(key, value);
    });
    return address.href === location.href ? null : address.href;
  };
  const open = (point) => {
    const address = opens(point);
    if (address) location.assign(address);
  };

  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    moonwalk: {
      paint: (cards) => {
        if (!cards) return window.dash_clientside.no_update;
        if (!cards.length) {
          failed();
          return null;
        }
        const grid = cards.length === 1 ? "chart-grid one" : "chart-grid";
        requestAnimationFrame(() => settle(cards.length));
        const widths = [...document.querySelectorAll(".plotbox")].map((box) => box.clientWidth);
        const shown = thinned(cards, Math.max(...widths) || innerWidth);
        return {
          namespace: "dash_html_components", type: "Div",
          props: { className: grid, children: resolved(shown, getComputedStyle(document.documentElement)) },
        };
      },
    },
  });

  scheme.addEventListener("change", repaint);
  matchMedia("(max-width: 560px)").addEventListener("change", repaint);
  const paper = (on) => () => {
    if (!scheme.matches) return;
    if (on) document.documentElement.dataset.scheme = "light";
    else delete document.documentElement.dataset.scheme;
    repaint();
  };
  addEventListener("beforeprint", paper(true));
  addEventListener("afterprint", paper(false));

  /* Charts that never came must not look as if they were still coming. */
  addEventListener("load", () => setTimeout(() => {
    if (root.dataset.painted || waiting.classList.contains("failed")) return;
    failed();
    document.getElementById("late").hidden = false;
  }, 12000));
})();
