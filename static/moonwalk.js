/* Small comforts. Every page works without them. */
"use strict";
(() => {
  /* A choice in a list opens its address at once; without scripts a button does. */
  document.querySelectorAll("form[data-auto]").forEach((form) => {
    form.addEventListener("change", () => form.requestSubmit());
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
  /* On a phone the page that is open may lie outside the navigation's window. */
  const here = document.querySelector(".pages [aria-current]");
  if (here) here.parentElement.scrollLeft = here.offsetLeft - 16;
})();
