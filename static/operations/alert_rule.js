// The page of an alert rule: what doesn't fit the chosen figure can't be chosen, the limit has its unit, and what the
// rule would say stands there before it is saved. Saving checks it all again.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const now = document.querySelector("[data-alert-now]");
  const data = document.getElementById("alert-figures");
  const field = (name) => document.querySelector(`[name="${name}"]`);
  if (!now || !data || !field("metric")) return; // a built-in rule, or one that is only looked at
  const figures = JSON.parse(data.textContent);
  const names = ["metric", "grain", "split", "store", "condition", "limit"];
  const unit = document.createElement("span");
  document.querySelector('label[for="id_limit"]').append(unit);

  const allow = (name, allowed) => {
    for (const option of field(name).options) option.disabled = !allowed(option.value) && !option.selected;
  };
  const fit = () => {
    const figure = figures[field("metric").value];
    allow("split", (value) => !value || !figure || figure.splits.includes(value));
    allow("grain", (value) => !figure || figure.grains.includes(value));
    allow("store", (value) => !value || !figure || !figure.whole);
  };
  let asked = 0;
  const show = async () => {
    const mine = ++asked;
    const query = new URLSearchParams(names.map((name) => [name, field(name).value]));
    const answer = await fetch(`${now.dataset.url}&${query}`, { credentials: "same-origin" }).catch(() => null);
    if (!answer?.ok || mine !== asked) return; // no answer, or a later question is under way
    const { said, unit: words, limited } = await answer.json();
    now.innerHTML = said;
    unit.textContent = words ? `, in ${words}` : "";
    field("limit").disabled = !limited;
  };
  let timer;
  for (const name of names) {
    field(name).addEventListener(name === "limit" ? "input" : "change", () => {
      fit();
      clearTimeout(timer);
      timer = setTimeout(show, name === "limit" ? 300 : 0);
    });
  }
  fit();
  show();
});
