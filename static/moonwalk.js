/* Small comforts. Every page works without them. */
"use strict";
(() => {
  /* A choice in a list opens its address at once; without scripts a button does. */
  document.querySelectorAll("form[data-auto]").forEach((form) => {
    /* Arrow keys change a list at each press: whoever uses the keyboard opens it by Enter or by going on. */
    let typing = false;
    form.addEventListener("keydown", (event) => {
      typing = event.key.startsWith("Arrow") || event.key.length === 1;
      if (event.key === "Enter" && event.target.matches("select")) { event.preventDefault(); form.requestSubmit(); }
    });
    form.addEventListener("pointerdown", () => { typing = false; });
    form.addEventListener("change", (event) => {
      if (!typing) { form.requestSubmit(); return; }
      event.target.addEventListener("blur", () => form.requestSubmit(), { once: true });
    });
  });
  /* Only one small window at a time, closed by Escape or a click beside it. */
  const popups = "details.account, details.why";
  const close = (except) => document.querySelectorAll(popups).forEach((d) => { if (d !== except) d.open = false; });
  document.addEventListener("click", (event) => close(event.target.closest(popups)));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const open = document.querySelector("details.account[open], details.why[open]");
    if (open) { open.open = false; open.querySelector("summary").focus(); }
  });
  /* One key: "/" seeks, and what a page gives a letter (data-key) does that. Never while something is typed. */
  const typed = "textarea, select, [contenteditable], input:not([type=checkbox], [type=radio])";
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.repeat || event.ctrlKey || event.metaKey || event.altKey || event.key.length !== 1) return;
    if (event.target.closest(typed) || document.querySelector("dialog[open]")) return;
    const meant = event.key === "/" ? document.getElementById("seek") : document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    if (!meant) return;
    event.preventDefault();
    if (event.key === "/") { meant.focus(); meant.select(); } else meant.click();
  });
  /* Copying needs a script, and a page that came safely: elsewhere the address can be marked and copied by hand. */
  if (navigator.clipboard) document.querySelectorAll("button[data-copy]").forEach((button) => {
    button.hidden = false;
    button.addEventListener("click", () => navigator.clipboard.writeText(button.dataset.copy).then(() => {
      button.textContent = "Copied";
    }));
  });
  /* On a phone the page or tab that is open may lie outside its row's window. */
  document.querySelectorAll(".pages [aria-current], .tabs [aria-current]").forEach((here) => {
    const row = here.parentElement;
    row.scrollLeft += here.getBoundingClientRect().left - row.getBoundingClientRect().left - 40;
  });
})();
