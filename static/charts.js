/* The charts' browser side, inside a dashboard: paints what the server sent, again whenever the system's colours or the
   room change. How a figure gets its colours and its room, and what paper shows: paint.js. */
"use strict";
(() => {
  const { ready, keep } = window.moonwalk;
  const repaint = () => window.dash_clientside.set_props("repaint", { data: Date.now() });

  const root = document.getElementById("charts");
  const waiting = document.getElementById("waiting");
  const tables = new Map([...root.querySelectorAll("[data-table]")].map((table) => [table.dataset.table, table]));
  const boxes = new Map([...tables].map(([name, table]) => [`chart-${name}`, table.closest(".card").querySelector(".plotbox")]));

  /* How wide a chart is drawn: as its waiting card, which has the same measures, or as it stands. */
  const widthOf = (id) => {
    const seen = [document.getElementById(id), boxes.get(id), ...root.querySelectorAll(".plotbox")];
    return seen.map((box) => (box ? box.clientWidth : 0)).find((width) => width > 0) || innerWidth;
  };

  /* The server's cards with every figure in them coloured and fitted. */
  const painted = (node) => {
    if (Array.isArray(node)) return node.map(painted);
    if (!node || typeof node !== "object") return node;
    if (node.figure && node.id) {
      keep(node.id, node.figure);
      return { ...node, figure: ready(node.figure, widthOf(node.id)) };
    }
    return Object.fromEntries(Object.entries(node).map(([key, inner]) => [key, painted(inner)]));
  };

  /* A click sets what its point says (a period, an area; null takes it away): state changes by a new address alone. */
  const opens = (point) => {
    const wanted = point && point.customdata && point.customdata[0];
    if (!wanted || typeof wanted !== "object") return null;
    if (wanted["#go"]) return new URL(wanted["#go"], location.href).href;
    const address = new URL(location.href);
    Object.entries(wanted).forEach(([key, value]) => {
      if (value === null) address.searchParams.delete(key);
      else address.searchParams.set(key, value);
    });
    return address.href === location.href ? null : address.href;
  };

  /* What a painted card gets from here: its table, a click that opens what its point says, and a hand where one does.
     Cards are made anew when the colours change, so this runs whenever something in them does. */
  const adopt = () => {
    root.querySelectorAll(".numbers:empty").forEach((place) => {
      const table = tables.get(place.dataset.chart);
      if (table) place.append(table);
    });
    root.querySelectorAll(".js-plotly-plot:not([data-opens])").forEach((graph) => {
      if (!graph.on) return;
      graph.dataset.opens = "yes";
      graph.on("plotly_click", ({ points }) => {
        const address = opens(points[0]);
        if (address) location.assign(address);
      });
      graph.on("plotly_hover", ({ points }) => graph.classList.toggle("leads", Boolean(opens(points[0]))));
      graph.on("plotly_unhover", () => graph.classList.remove("leads"));
    });
  };

  /* The painted cards lie over the waiting ones, which go once every chart has drawn: nothing jumps. */
  const settle = (wanted) => {
    if (root.querySelectorAll(".js-plotly-plot:has(.overplot)").length < wanted) {
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
  const never = () => {
    if (root.dataset.painted || waiting.classList.contains("failed")) return;
    failed();
    document.getElementById("late").hidden = false;
  };

  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    moonwalk: {
      paint: (cards) => {
        if (!cards) return window.dash_clientside.no_update;
        if (!cards.length) {
          failed();
          return null;
        }
        let children;
        try {
          children = painted(cards);
        } catch (error) {
          never(); // the message for the page, the error for the console
          throw error;
        }
        const wanted = root.querySelectorAll("#waiting .plotbox").length;
        requestAnimationFrame(() => settle(wanted));
        return {
          namespace: "dash_html_components", type: "Div",
          props: { className: cards.length === 1 ? "chart-grid one" : "chart-grid", children },
        };
      },
    },
  });

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
  [560, 860, 1180].forEach((px) => matchMedia(`(max-width: ${px}px)`).addEventListener("change", repaint));

  /* Charts that never came must not look as if they were still coming: Dash says nothing when its request fails, is
     answered by a sign-in page, or one of its scripts is missing. */
  const ask = window.fetch;
  window.fetch = async (...request) => {
    const ours = String((request[0] && request[0].url) || request[0]).includes("/_dash-");
    try {
      const answer = await ask(...request);
      const kind = answer.headers.get("content-type") || "";
      if (ours && (!answer.ok || (answer.status === 200 && !kind.includes("json")))) never();
      return answer;
    } catch (error) {
      if (ours) never();
      throw error;
    }
  };
  addEventListener("error", ({ target }) => { if (target instanceof HTMLScriptElement) never(); }, true);
  addEventListener("load", () => setTimeout(never, 12000));
})();
