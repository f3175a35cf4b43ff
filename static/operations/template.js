// The page of a message template: the example changes as the text is typed. Saving checks it again.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const data = document.getElementById("template-facts");
  if (!data) return;
  const facts = JSON.parse(data.textContent);
  const missing = JSON.parse(document.getElementById("template-missing").textContent);
  const field = (name) => document.querySelector(`[name="${name}"]`);
  const shown = (name) => document.querySelector(`[data-preview="${name}"]`);
  if (!field("text")) return; // looked at, not changed

  const filled = (text) => {
    const known = facts[field("language").value] || facts.en;
    return text.replace(/\{\{|\}\}|\{(\w*)\}/g, (all, name) => {
      if (all === "{{") return "{";
      if (all === "}}") return "}";
      if (!(name in known)) return `⚠ there is no ${all} ⚠`;
      return known[name] || `⚠ ${missing[name]} ⚠`;
    });
  };
  const show = () => {
    shown("subject").hidden = field("channel").value !== "email";
    shown("subject").textContent = filled(field("subject").value);
    shown("text").textContent = filled(field("text").value);
  };
  for (const name of ["text", "subject"]) field(name).addEventListener("input", show);
  for (const name of ["language", "channel"]) field(name).addEventListener("change", show);
  show();
});
