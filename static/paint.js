/* What every page with charts needs before Plotly draws. A figure names its colours ("token:revenue"): here they become
   the custom properties of moonwalk.css as they stand now. What depends on the width is settled here too: which words
   have room, names at the lines' ends or a key above, how names of rows wrap. And charts are drawn anew for paper.

   moonwalk.ready(figure, width)   the figure, coloured and fitted: for Plotly.newPlot
   moonwalk.keep(id, figure)       the figure as the server sent it, of the graph with this id: what paper is drawn from */
"use strict";
(() => {
  const resolved = (node, style) => {
    if (typeof node === "string") {
      return node.includes("token:")
        ? node.replace(/token:([\w-]+)/g, (_, name) => style.getPropertyValue("--" + name).trim()) : node;
    }
    if (Array.isArray(node)) return node.map((inner) => resolved(inner, style));
    if (node && typeof node === "object") {
      return Object.fromEntries(Object.entries(node).map(([key, inner]) => [key, resolved(inner, style)]));
    }
    return node;
  };

  const PAPER = { wide: 690, half: 334, height: 230 }; // px on A4 with its margins; the style sheet scales to other paper

  /* ---- words and their room ---- */
  const LINE = 16; // px from one line of words to the next
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = "13px " + getComputedStyle(document.documentElement).getPropertyValue("--font");
  const ENTITIES = { "&amp;": "&", "&lt;": "<", "&gt;": ">" };
  const plain = (text) => text.replace(/<[^>]*>/g, "").replace(/&(amp|lt|gt);/g, (entity) => ENTITIES[entity]);
  const length = (text) => Math.max(...text.split("<br>").map((line) => pen.measureText(plain(line)).width * (line.startsWith("<b>") ? 1.1 : 1)));

  /* The text in lines no longer than `room`; a word that is longer stands alone. */
  const wrapped = (text, room, most = 3) => {
    const lines = [];
    text.split(" ").forEach((word) => {
      const longer = lines.length ? `${lines[lines.length - 1]} ${word}` : word;
      if (lines.length && length(longer) <= room) lines[lines.length - 1] = longer;
      else lines.push(word);
    });
    return lines.length > most ? [...lines.slice(0, most - 1), `${lines[most - 1]}…`] : lines;
  };

  const without = (layout, name) => layout.annotations.filter((a) => a.name !== name);
  const only = (layout, name) => layout.annotations.filter((a) => a.name === name);

  /* The key above the plot, in as many lines as it needs. */
  const keyed = (layout, width) => {
    const entries = layout.meta.key.map(
      ({ mark, color, name, value }) => `<span style="color:${color}">${mark}</span> ${name}${value ? ` <b>${value}</b>` : ""}`,
    );
    const lines = [];
    entries.forEach((entry) => {
      const longer = lines.length ? `${lines[lines.length - 1]}    ${entry}` : entry;
      if (lines.length && length(longer) <= width - 8) lines[lines.length - 1] = longer;
      else lines.push(entry);
    });
    const { margin } = layout;
    const key = {
      name: "key", text: lines.join("<br>"), showarrow: false, align: "left", xref: "paper", x: 0, xanchor: "left",
      xshift: -margin.l, yref: "paper", y: 1, yanchor: "bottom", yshift: margin.t - 4,
      font: { size: 12, color: "token:ink" },
    };
    return {
      ...layout, annotations: [...without(layout, "direct"), key],
      margin: { ...margin, t: margin.t + 6 + LINE * lines.length },
    };
  };

  /* Names right of the lines where a third of the width is enough for them, else the key. */
  const named = (layout, width) => {
    const direct = only(layout, "direct");
    const room = 14 + Math.max(0, ...direct.map((a) => length(a.text)));
    if (!(layout.meta.key || []).length) return layout;
    if (!direct.length || width < 480 || room > 0.34 * width) return keyed(layout, width);
    return { ...layout, margin: { ...layout.margin, r: room } };
  };

  /* The highest bar (or stack of bars) at each position. */
  const tops = (layout, data) => {
    const high = new Map();
    data.filter((t) => t.type === "bar" && !t.yaxis).forEach((t) => t.x.forEach((x, i) => {
      const now = high.get(x) || 0;
      high.set(x, layout.barmode === "stack" ? now + (t.y[i] || 0) : Math.max(now, t.y[i] || 0));
    }));
    return high;
  };

  /* Words that would run into their neighbours': of the values only the chosen period's stays, of the axis every second
     one, counted from the chosen (bold) one. The chosen value stands over its own bar: the last of many begins there and
     goes on into the margin, and one in their midst is raised above the bars that it lies over. */
  const periods = (whole, width, data) => {
    let layout = named(whole, width);
    const { xaxis } = layout;
    const over = ({ margin }) => (width - margin.l - margin.r) / (xaxis.range[1] - xaxis.range[0]);
    const last = only(layout, "label chosen").find((a) => a.xanchor === "right");
    const beyond = last ? length(last.text) * 1.1 - over(layout) : 0;
    if (beyond > 0) layout = { ...layout, margin: { ...layout.margin, r: Math.max(layout.margin.r, 12 + beyond) } };
    const slot = over(layout);
    const crowded = only(layout, "label").some((a) => length(a.text) > slot);
    const { tickvals, ticktext } = xaxis;
    const step = tickvals.length > 1 ? tickvals[1] - tickvals[0] : 1;
    const tight = ticktext.some((text) => length(text) > slot * step - 4);
    const chosen = Math.max(ticktext.findIndex((text) => text.startsWith("<b>")), 0);
    const kept = tickvals.map((_, i) => i).filter((i) => !tight || (i - chosen) % 2 === 0);
    const high = tops(layout, data);
    const raised = (a) => {
      if (a === last) return beyond > 0 ? { ...a, x: a.x - 0.95, xanchor: "left" } : { ...a, x: a.x - 0.5, xanchor: "center" };
      const reach = length(a.text) / slot / 2;
      const below = [...high].filter(([x]) => Math.abs(x - a.x) < reach + 0.33).map(([, y]) => y);
      return a.y > 0 ? { ...a, y: Math.max(a.y, ...below) } : a;
    };
    return {
      ...layout,
      annotations: layout.annotations
        .filter((a) => !(crowded && a.name === "label"))
        .filter((a) => a.name !== "part" || length(a.text) <= slot * (1 - layout.bargap))
        .map((a) => (a.name === "label chosen" ? raised(a) : a)),
      xaxis: { ...xaxis, tickvals: kept.map((i) => tickvals[i]), ticktext: kept.map((i) => ticktext[i]) },
    };
  };

  /* Rows: names wrap at two fifths of the width; each axis ends where the words at its bars' ends have room. */
  const rows = (layout, width) => {
    const limit = 0.38 * width;
    const names = layout.yaxis.ticktext.map((text) => {
      const bold = text.startsWith("<b>");
      return wrapped(text.replace(/<\/?b>/g, ""), limit, 2).map((line) => (bold ? `<b>${line}</b>` : line)).join("<br>");
    });
    const left = 10 + Math.max(0, ...names.map((text) => length(text)));
    const inside = width - left;
    let { annotations } = layout;
    const changed = {};
    ["x", "x2"].forEach((name) => {
      const axis = layout[name === "x" ? "xaxis" : "xaxis2"];
      if (!axis) return;
      const top = axis.range[1];
      const panel = inside * (axis.domain[1] - axis.domain[0]) - 6;
      const longest = () => Math.min(panel, ...annotations.filter((a) => a.name === "end" && a.xref === name && a.x > 0)
        .map((a) => (panel - length(a.text) - 8) * (top / a.x)));
      if (longest() < 0.4 * panel) { // no room for the notes
        annotations = annotations.map((a) => (a.name === "end" && a.xref === name ? { ...a, text: a.text.split(" · ")[0] } : a));
      }
      changed[name === "x" ? "xaxis" : "xaxis2"] = { ...axis, range: [0, (top * panel) / Math.max(longest(), 12)] };
    });
    return {
      ...layout, ...changed, annotations, margin: { ...layout.margin, l: left, r: 0 },
      yaxis: { ...layout.yaxis, ticktext: names },
    };
  };

  const heat = (layout, width) => {
    const left = 10 + Math.max(0, ...layout.yaxis.ticktext.map((text) => length(text)));
    let title = [];
    const annotations = layout.annotations.map((a) => {
      if (a.name !== "unit") return a;
      title = wrapped(a.text, width - 4);
      return { ...a, text: title.join("<br>"), xshift: -left };
    });
    return { ...layout, annotations, margin: { ...layout.margin, l: left, t: layout.margin.t + LINE * (title.length - 1) } };
  };

  /* A mark's words stand right of it, in as many lines as they need there, a lower mark's below a higher one's. */
  const curve = (layout, width) => {
    const { margin } = layout;
    const inside = width - margin.l - margin.r;
    const up = (PAPER.height - margin.t - margin.b) / layout.yaxis.range[1]; // px of the whole axis where it is shortest
    let floor = Infinity;
    const placed = new Map();
    only(layout, "mark").sort((a, b) => b.y - a.y).forEach((a) => {
      const lines = wrapped(a.text, Math.max(70, inside * (1 - a.x) - 12));
      const top = Math.min(a.y * up - 4, floor);
      placed.set(a, { ...a, text: lines.join("<br>"), yshift: top - a.y * up });
      floor = top - (LINE + 1) * lines.length;
    });
    return { ...layout, annotations: layout.annotations.map((a) => placed.get(a) || a) };
  };

  const FORMS = { periods, rows, heat, curve };
  const fitted = (layout, width, data = []) => (FORMS[layout.meta && layout.meta.form] || periods)(layout, width, data);

  const ready = (figure, width) => {
    const style = getComputedStyle(document.documentElement);
    const layout = fitted(figure.layout, width, figure.data);
    return resolved({ ...figure, layout }, style);
  };

  /* ---- paper ---- */
  const raw = new Map();
  const onScreen = new Map();
  const keep = (id, figure) => raw.set(id, figure);

  /* Paper takes what is drawn when this returns: no promise, no repaint by way of Dash. The palette is the light one. */
  const forPaper = () => {
    document.documentElement.dataset.scheme = "light";
    raw.forEach((figure, id) => {
      const graph = document.getElementById(id);
      const plot = graph && (graph.matches(".js-plotly-plot") ? graph : graph.querySelector(".js-plotly-plot"));
      if (!plot || !plot.data || onScreen.has(plot)) return;
      onScreen.set(plot, { data: plot.data, layout: plot.layout });
      const card = plot.closest(".card");
      const alone = card && card.matches(".wide, :only-child") && !card.closest(".halves");
      const width = alone ? PAPER.wide : PAPER.half;
      const height = (figure.layout.meta && figure.layout.meta.height) || PAPER.height;
      const drawn = ready(figure, width);
      window.Plotly.react(plot, drawn.data, { ...drawn.layout, autosize: false, width, height });
      plot.querySelectorAll(".main-svg").forEach((svg) => svg.setAttribute("viewBox", `0 0 ${width} ${height}`));
      const box = plot.closest(".plotbox") || plot;
      box.style.setProperty("--paper", `${width} / ${height}`);
    });
  };
  const forScreen = () => {
    delete document.documentElement.dataset.scheme;
    onScreen.forEach(({ data, layout }, plot) => {
      plot.querySelectorAll(".main-svg").forEach((svg) => svg.removeAttribute("viewBox"));
      window.Plotly.react(plot, data, layout);
      window.Plotly.Plots.resize(plot);
    });
    onScreen.clear();
  };
  addEventListener("beforeprint", forPaper);
  addEventListener("afterprint", forScreen);

  window.moonwalk = { resolved, fitted, ready, keep };
})();
