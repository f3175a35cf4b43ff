// Actions at the desk: links and forms with class act open their form in one dialog, and forms work things out as one
// types. Without it every form is a page of its own and does the same.
"use strict";
(() => {
  if (document.documentElement.dataset.acts) return; // several parts of a page may ask for this script
  document.documentElement.dataset.acts = "1";
  const HEADERS = { "X-Part": "1" };
  const LONG = 3500; // characters of an address; longer ones are sent as a form
  const EMPTY = '<div class="act-part"><h2 id="act-title" class="act-title">This did not open</h2>'
    + '<p class="act-end"><button type="button" class="button" data-close>Close</button></p></div>';
  let dialog, body, asking = 0;

  /* ---- the dialog ---- */
  /* While something is sent it stays: whoever closed it would not learn whether it was recorded. */
  const sending = () => !!body.querySelector("form[aria-busy]");
  const left = () => { asking += 1; body.replaceChildren(); };
  const shut = () => {
    if (sending()) return;
    dialog.close();
    left();
  };
  /* What was typed isn't thrown away unasked; who closes it a second time means it. */
  const changed = () => !!body.querySelector("form :is(.wrong, [data-wrong])") || [...body.querySelectorAll("form :is(input, textarea, select)")].some((field) => {
    if (field.type === "hidden") return false;
    if (field.matches("[type=checkbox], [type=radio]")) return field.checked !== field.defaultChecked;
    if (!field.options) return field.value !== field.defaultValue;
    const first = [...field.options].find((o) => o.defaultSelected) || field.options[0];
    return !!first && field.value !== first.value;
  });
  const leaving = () => {
    if (sending()) return;
    if (!changed() || body.querySelector("[data-leaving]")) { shut(); return; }
    const asked = document.createElement("div"), line = document.createElement("p"), buttons = document.createElement("p");
    asked.className = "say warn";
    asked.dataset.leaving = "";
    asked.setAttribute("role", "alert");
    line.textContent = "Discard what you typed?";
    const button = (text, does, look) => {
      const made = Object.assign(document.createElement("button"), { type: "button", textContent: text, className: look });
      made.addEventListener("click", does);
      return made;
    };
    const back = document.activeElement;
    const keep = button("Keep writing", () => { asked.remove(); if (body.contains(back)) back.focus(); }, "button");
    buttons.append(keep, " ", button("Discard", shut, "button plain"));
    asked.append(line, buttons);
    body.querySelector(".act-part").append(asked);
    keep.focus();
    asked.scrollIntoView({ block: "nearest" });
  };
  const build = () => {
    dialog = document.createElement("dialog");
    dialog.id = "act";
    dialog.setAttribute("aria-labelledby", "act-title");
    body = document.createElement("div");
    const close = document.createElement("button");
    close.type = "button";
    close.className = "act-close";
    close.setAttribute("aria-label", "Close");
    close.textContent = "×";
    close.addEventListener("click", leaving);
    dialog.addEventListener("cancel", (event) => { if (event.target === dialog) { event.preventDefault(); leaving(); } });
    /* A browser closes at the second Esc whatever the page says: so Esc is taken before. */
    dialog.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !event.isComposing) { event.preventDefault(); leaving(); }
    });
    dialog.append(body, close);
    /* Where the browser closed it. It tells so a moment later: what was asked for since is not to be taken back. */
    dialog.addEventListener("close", () => { if (!dialog.open && body.hasChildNodes()) left(); });
    document.body.append(dialog);
  };
  const put = (html) => {
    if (!dialog) build();
    body.innerHTML = html; // from this server, its texts escaped; scripts in it would not run
    if (!dialog.open) dialog.showModal();
    const part = body.querySelector(".act-part");
    prepare(part);
    dialog.scrollTop = 0;
    focus(part);
  };
  const focus = (part) => {
    const title = part.querySelector("#act-title");
    title.tabIndex = -1;
    const first = part.querySelector("[data-wrong]") || part.querySelector(".wrong :is(input, select, textarea)")
      || part.querySelector("[autofocus]") || title;
    first.focus();
    if (first.matches("input.amount")) first.select();
  };
  const words = (html) => {
    const page = new DOMParser().parseFromString(html, "text/html");
    return page.querySelector("main p")?.textContent.trim() || "";
  };
  const wrong = (text) => {
    if (!dialog?.open) put(EMPTY);
    const part = body.querySelector(".act-part");
    part.querySelectorAll("[data-wrong], .errorlist").forEach((old) => old.remove());
    part.querySelectorAll(".wrong").forEach((field) => field.classList.remove("wrong"));
    part.querySelectorAll("[aria-invalid]").forEach((field) => field.removeAttribute("aria-invalid"));
    const said = document.createElement("div");
    said.className = "say bad";
    said.dataset.wrong = "";
    said.tabIndex = -1;
    said.setAttribute("role", "alert");
    said.textContent = text;
    part.querySelector("#act-title").after(said);
    said.focus();
  };
  const go = (next) => {
    const url = new URL(next, location);
    if (url.pathname + url.search === location.pathname + location.search) location.reload();
    else location.assign(url);
  };

  /* ---- asking the server ---- */
  const answer = async (response) => {
    if (response.status === 204) { go(response.headers.get("X-Next") || location.href); return; }
    const html = await response.text();
    if (response.headers.get("X-Part")) {
      put(html);
      const link = body.querySelector("a[data-send]");
      if (link && response.headers.get("X-Next")) leave(link, response.headers.get("X-Next"));
    } else if (response.redirected) wrong("You are signed out. Load this page anew and sign in; nothing was recorded.");
    else wrong(words(html) || `The server answered with ${response.status}. Load the page anew, then try again.`);
  };
  /* The message is on record: open it elsewhere, and go on here. Where the browser opens no tab, the link stays. */
  const leave = (link, next) => {
    if (link.target) {
      const tab = window.open(link.href, "_blank");
      if (!tab) return;
      tab.opener = null;
    } else location.href = link.href;
    setTimeout(() => go(next), 600);
  };
  const ask = async (url, options, busy) => {
    const mine = asking += 1;
    busy?.setAttribute("aria-busy", "true");
    try {
      const response = await fetch(url, { ...options, headers: HEADERS });
      if (mine === asking) await answer(response);
    } catch {
      if (mine === asking) wrong("No answer came. Press again: nothing is recorded twice.");
    } finally {
      busy?.removeAttribute("aria-busy");
    }
  };
  const homeward = (params) => { if (!params.has("back")) params.append("back", location.pathname + location.search); };
  const open = (href, opener) => {
    const url = new URL(href, location);
    homeward(url.searchParams);
    return ask(url, {}, opener);
  };
  const filled = (form, button) => {
    const data = new FormData(form);
    if (button?.name) data.append(button.name, button.value);
    return data;
  };
  /* A form that only names customers or orders. */
  const openForm = (form, button, action) => {
    const data = filled(form, button);
    homeward(data);
    const query = new URLSearchParams(data);
    if (form.method === "get" && query.toString().length < LONG) return ask(`${action}?${query}`, {}, button);
    if (!data.has("csrfmiddlewaretoken")) {
      data.append("csrfmiddlewaretoken", document.querySelector("[name=csrfmiddlewaretoken]")?.value || "");
    }
    return ask(action, { method: "POST", body: data }, button);
  };
  const send = async (form, button) => {
    const data = filled(form, button); // before the buttons are shut: those tell nothing
    const buttons = form.querySelectorAll("button:not([type=button])");
    buttons.forEach((b) => { b.disabled = true; });
    await ask(form.getAttribute("action"), { method: "POST", body: data }, form);
    buttons.forEach((b) => { b.disabled = false; });
  };

  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    if (event.target.closest("#act [data-close]")) { event.preventDefault(); leaving(); return; }
    const link = event.target.closest("a.act");
    if (!link) return;
    event.preventDefault();
    if (!link.hasAttribute("aria-busy")) open(link.href, link);
  });
  document.addEventListener("submit", (event) => {
    const form = event.target, button = event.submitter;
    if (event.defaultPrevented) return;
    if (form.matches("form.act")) {
      const action = new URL(button?.getAttribute("formaction") || form.getAttribute("action"), location);
      if (!action.pathname.includes("/operations/act/") || button?.formTarget || form.target) return;
      event.preventDefault();
      if (!button?.hasAttribute("aria-busy")) openForm(form, button, action.pathname);
    } else if (form.matches("form.act-part")) {
      if (form.closest("#act")) {
        event.preventDefault();
        if (!form.hasAttribute("aria-busy")) send(form, button);
      } else if (form.hasAttribute("aria-busy")) event.preventDefault();
      else form.setAttribute("aria-busy", "true");
    }
  });
  addEventListener("pageshow", (event) => {
    if (event.persisted) document.querySelectorAll("form.act-part").forEach((form) => form.removeAttribute("aria-busy"));
  });

  /* Messages stay in sight wherever the page is scrolled to: so they can be put away. */
  document.querySelectorAll(".messages .told").forEach((told) => {
    const away = document.createElement("button");
    away.type = "button";
    away.className = "act-close";
    away.setAttribute("aria-label", "Dismiss");
    away.textContent = "×";
    away.addEventListener("click", () => told.remove());
    told.append(away);
  });

  /* ---- forms ---- */
  const prepare = (part) => {
    part.querySelectorAll(".presets").forEach((row) => {
      row.hidden = false;
      row.addEventListener("click", (event) => {
        const field = document.getElementById(row.dataset.sets);
        if (event.target.matches("button")) { field.value = event.target.value; field.focus(); }
      });
    });
    const rows = part.querySelector("[data-spread]");
    if (rows) spread(part, rows);
    part.querySelector("[data-drafts]")?.addEventListener("change", (event) => redraft(part, event.target));
  };
  /* Another template, language or way: the server fills the text in anew. */
  const redraft = (form, field) => {
    const text = form.querySelector("textarea");
    if (text.value !== text.defaultValue && !confirm("Replace the text that you changed?")) {
      if (field.type === "radio") form.querySelectorAll(`[name=${field.name}]`).forEach((r) => { r.checked = r.defaultChecked; });
      else [...field.options].forEach((o) => { o.selected = o.defaultSelected; });
      return;
    }
    const look = Object.assign(document.createElement("button"), { name: "look", value: "1", hidden: true });
    form.append(look);
    form.requestSubmit(look);
  };
  /* An amount as it is written: [cents, ""], or [null, what is wrong with it]. forms.Amount has the same rule. */
  const sum = (written) => {
    const text = written.trim().replace(/[٠-٩]/g, (d) => d.charCodeAt(0) - 0x660)
      .replace(/[۰-۹]/g, (d) => d.charCodeAt(0) - 0x6F0).replaceAll("٫", ".");
    if (!text) return [null, "Write the amount."];
    if (/[,٬،]/.test(text)) return [null, "Write 12.50 with a point; a comma may be read in two ways."];
    if (!/^-?(\d+\.?\d*|\.\d+)$/.test(text)) return [null, "Enter a number."];
    if (/\.\d{3}/.test(text)) return [null, "An amount has two places after the point, no more."];
    const found = Math.round(Number(text) * 100);
    return found > 0 && found < 1e9 ? [found, ""] : [null, "The amount is a number above 0."];
  };
  /* What of an amount each order gets, the oldest first, as the server spreads it. Sums are in cents. */
  const spread = (part, rows) => {
    const amount = part.querySelector("input.amount"), says = part.querySelector("[data-says]");
    const boxes = [...rows.querySelectorAll("input[data-balance]")];
    const cents = (text) => Math.round(Number(text) * 100);
    const money = (sum) => `${rows.dataset.currency} ${(sum / 100).toLocaleString("en", { minimumFractionDigits: 2 })}`;
    let saying;
    const show = () => {
      const chosen = boxes.filter((box) => box.checked);
      const owed = chosen.reduce((sum, box) => sum + cents(box.dataset.balance), 0);
      const [written, mistake] = sum(amount.value), given = written || 0;
      let left = given;
      boxes.forEach((box) => {
        const gets = box.checked ? Math.min(left, cents(box.dataset.balance)) : 0;
        left -= gets;
        box.closest("tr").querySelector("[data-part]").textContent = gets ? money(gets) : "–";
      });
      rows.querySelector("[data-owed]").textContent = money(owed);
      rows.querySelector("[data-sum]").textContent = money(given - left);
      const rest = owed - given;
      let text = `Records ${money(given)}${rest ? `; ${money(rest)} stays owed` : ", all that these orders owe"}.`;
      if (!chosen.length) text = "Choose at least one order.";
      else if (mistake) text = mistake;
      else if (left) text = `That is ${money(left)} more than these orders owe.`;
      says.classList.toggle("alarm", !chosen.length || !!mistake || left > 0);
      clearTimeout(saying); // said once one stops typing
      saying = setTimeout(() => { says.textContent = text; }, 250);
    };
    amount.addEventListener("input", show);
    rows.addEventListener("change", () => {
      const owed = boxes.filter((box) => box.checked).reduce((sum, box) => sum + cents(box.dataset.balance), 0);
      amount.value = (owed / 100).toFixed(2);
      show();
    });
    show();
  };

  document.querySelectorAll(".act-page .act-part").forEach((part) => {
    prepare(part);
    if (part.querySelector("[data-wrong], .wrong")) focus(part);
  });
})();
