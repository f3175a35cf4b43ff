// The page of a refresh under way: asks for its progress every second, and shows the finished record at the end.
document.addEventListener("DOMContentLoaded", () => {
  const bar = document.querySelector("[data-refresh-progress]");
  if (!bar) return;
  const words = document.querySelector("[data-refresh-words]");
  const ask = async () => {
    try {
      const answer = await fetch(bar.dataset.refreshProgress, { headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error(answer.status);
      const run = await answer.json();
      bar.value = run.progress;
      words.textContent = run.words;
      if (!run.under_way) return location.reload();
    } catch {
      words.textContent = "The progress can't be read right now; trying again.";
    }
    setTimeout(ask, 1000);
  };
  setTimeout(ask, 1000);
});
