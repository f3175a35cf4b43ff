/* The worklist by keyboard, how many rows are chosen, and ticks on "Paid here". Every page works without it. */
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const rows = [...document.querySelectorAll("tr[data-row]")];

  /* j, k: a row down, up; Enter: its customer; p, n: its forms; x: chooses it. Never while something is written. */
  const writing = (target) => target.closest("input:not([type=checkbox]), textarea, select, [contenteditable], dialog");
  const at = () => rows.indexOf(document.activeElement.closest("tr[data-row]"));
  const go = (to) => {
    const row = rows[Math.max(0, Math.min(rows.length - 1, to))];
    row.focus();
    row.scrollIntoView({ block: "nearest" });
  };
  const follow = (key) => rows[at()]?.querySelector(key)?.click();
  document.addEventListener("keydown", (event) => {
    if (!rows.length || event.ctrlKey || event.metaKey || event.altKey || writing(event.target)) return;
    if (document.querySelector("dialog[open]")) return;
    if (event.key === "j") go(at() + 1);
    else if (event.key === "k") go(at() < 0 ? rows.length - 1 : at() - 1);
    else if (event.key === "Enter" && event.target.matches("tr[data-row]")) follow("a[data-open]");
    else if (event.key === "p" || event.key === "n") follow(`a[data-row-key="${event.key}"]`);
    else if (event.key === "x") follow(".c-tick input");
    else return;
    event.preventDefault();
  });

  /* Filters stand open where there is room; on a phone only when one is set. */
  const narrow = document.querySelector("details[data-narrow]");
  if (narrow && !("set" in narrow.dataset) && matchMedia("(max-width: 560px)").matches) narrow.open = false;

  const form = document.getElementById("desk");
  if (form) choosing(form);
  ticking();
  const print = document.querySelector("button[data-print]");
  if (print) { print.hidden = false; print.addEventListener("click", () => window.print()); }

  function choosing(form) {
    const all = document.getElementById("all");
    if (!all) return;
    const boxes = [...form.querySelectorAll(".c-tick input")];
    const bar = form.querySelector("[data-bulk]");
    const said = bar.querySelector("[data-chosen]");
    const none = bar.querySelector("[data-none]");
    const word = boxes[0]?.name === "order" ? "order" : "customer";
    const currency = document.querySelector("td.c-balance b").textContent.split(" ")[0];
    all.parentElement.hidden = none.hidden = false;
    const tell = () => {
      const chosen = boxes.filter((box) => box.checked);
      const sum = chosen.reduce((cents, box) => cents + Math.round(box.closest("tr").dataset.amount * 100), 0) / 100;
      const money = sum.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
      bar.hidden = !chosen.length;
      said.textContent = `${chosen.length} ${word}${chosen.length === 1 ? "" : "s"} chosen, together ${currency} ${money}`;
      all.checked = chosen.length === boxes.length;
      all.indeterminate = chosen.length > 0 && !all.checked;
      boxes.forEach((box) => box.closest("tr").classList.toggle("picked", box.checked));
    };
    all.addEventListener("change", () => { boxes.forEach((box) => { box.checked = all.checked; }); tell(); });
    form.addEventListener("change", (event) => { if (event.target.matches(".c-tick input")) tell(); });
    form.addEventListener("reset", () => setTimeout(tell));
    window.addEventListener("pageshow", tell); /* the browser may bring back ticks of an earlier visit */
    tell();
  }

  /* Ticks of payments that were keyed into CleanCloud: this browser's own, forgotten after three months. */
  function ticking() {
    const boxes = [...document.querySelectorAll("input[data-tick]")];
    if (!boxes.length) return;
    const place = "moonwalk-keyed-in", days = 90 * 864e5;
    let kept = {};
    try { kept = JSON.parse(localStorage.getItem(place)) || {}; } catch { /* no storage: ticks last as long as the page */ }
    const tell = () => {
      const done = boxes.filter((box) => box.checked).length;
      const said = document.querySelector("[data-ticked]");
      said.textContent = done ? `${done} of ${boxes.length}${said.dataset.ticked} ticked off.` : "";
      boxes.forEach((box) => box.closest("tr").classList.toggle("done", box.checked));
    };
    boxes.forEach((box) => {
      box.checked = box.dataset.tick in kept;
      box.addEventListener("change", () => {
        if (box.checked) kept[box.dataset.tick] = Date.now(); else delete kept[box.dataset.tick];
        kept = Object.fromEntries(Object.entries(kept).filter(([, when]) => Date.now() - when < days));
        try { localStorage.setItem(place, JSON.stringify(kept)); } catch { /* as above */ }
        tell();
      });
    });
    tell();
  }
});
