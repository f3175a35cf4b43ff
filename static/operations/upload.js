// The page to drop exports on. Without it the file field and the button do the same.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const form = document.getElementById("drop");
  if (!form) return;
  const field = form.querySelector("input[type=file]");
  const list = document.getElementById("chosen");
  const warning = document.getElementById("dropped");
  const size = (bytes) => (bytes < 1e5 ? `${Math.ceil(bytes / 1024)} KB` : `${(bytes / 1048576).toFixed(1)} MB`);
  const warn = (text) => { warning.textContent = text; warning.hidden = !text; };

  const tell = () => {
    const files = [...field.files];
    list.replaceChildren(...files.map((file) => {
      const item = document.createElement("li");
      item.textContent = `${file.name}, ${size(file.size)}`;
      return item;
    }));
    const sum = files.reduce((all, file) => all + file.size, 0);
    if (sum > Number(form.dataset.most)) warn(`These files are ${size(sum)} together; ${size(Number(form.dataset.most))} is the most. Choose fewer.`);
    else if (files.length > Number(form.dataset.mostFiles)) warn(`${files.length} files at once are too many: choose at most ${form.dataset.mostFiles}.`);
    else warn("");
    return files.length > 0 && warning.hidden;
  };
  const send = () => {
    form.classList.add("sending");
    const button = form.querySelector("button");
    button.textContent = "Uploading…";
    button.disabled = true;
  };
  field.addEventListener("change", tell);
  form.addEventListener("submit", (event) => { if (tell()) send(); else event.preventDefault(); });
  // Back from the next page by the browser's button: the form is as it was.
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

  // Anywhere on the page: whoever misses the field would else open the file in its place.
  let depth = 0;
  const holdsFiles = (event) => [...(event.dataTransfer?.types || [])].includes("Files");
  const over = (on) => form.classList.toggle("over-it", on);
  addEventListener("dragenter", (event) => { if (holdsFiles(event)) { depth += 1; over(true); } });
  addEventListener("dragleave", (event) => { if (holdsFiles(event)) { depth = Math.max(0, depth - 1); over(depth > 0); } });
  addEventListener("dragover", (event) => { if (holdsFiles(event)) event.preventDefault(); });
  addEventListener("drop", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    depth = 0;
    over(false);
    field.files = event.dataTransfer.files;
    if (tell()) form.requestSubmit();
  });
});
