/* Draws the figures of a shared tab, which lie in the page as JSON; again when the colours or the room change. */
"use strict";
(() => {
  const { ready, keep } = window.moonwalk;
  const { config, charts } = JSON.parse(document.getElementById("figures").textContent);
  const boxes = [...document.querySelectorAll(".plotbox[data-figure]")];

  const paint = () => Promise.all(boxes.map((box) => {
    const figure = charts[box.dataset.figure];
    keep(box.id, figure);
    const { data, layout } = ready(figure, box.clientWidth);
    return window.Plotly.react(box, data, layout, config);
  }));

  paint().then(() => {
    document.getElementById("charts").dataset.painted = boxes.length;
  });
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth !== width) paint();
    width = innerWidth;
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
})();
