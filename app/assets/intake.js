// Brings files to the server: chosen, dropped anywhere on the page, or pasted. With `data.zone` the drop zone is drawn;
// without it (a result is on show) only the page listens.
const listening = new WeakMap();

function send(file, data, tell) {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open("POST", `${data.base}/files?name=${encodeURIComponent(file.name || "pasted.png")}`);
    request.setRequestHeader("X-Unmask-Ticket", data.ticket);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.onprogress = (event) => { if (event.total) tell(event.loaded / event.total); };
    request.onerror = () => resolve({ said: "Unmask did not answer. Is it still running?" });
    request.onload = () => {
      try { resolve(JSON.parse(request.responseText)); } catch { resolve({ said: "Unmask did not take the file." }); }
    };
    request.send(file);
  });
}

async function bring(files, data, rows, opened) {
  const brought = [];
  rows.replaceChildren();
  const lines = files.map((file) => {
    const bar = el("i"), words = el("span", {}, "waiting");
    rows.append(el("div", { class: "row" }, el("b", {}, file.name || "Pasted picture"), words, el("div", { class: "bar" }, bar)));
    return { bar, words };
  });
  for (const [i, file] of files.entries()) {
    const { bar, words } = lines[i];
    if (file.size > data.limit) {
      words.textContent = data.too_large;
      continue;
    }
    words.textContent = "reading";
    const got = await send(file, data, (share) => { bar.style.width = `${Math.round(100 * share)}%`; });
    bar.style.width = "100%";
    words.textContent = got.check ? "is being checked" : got.said ?? "Unmask did not take the file.";
    if (got.check) brought.push(got.check);
  }
  if (brought.length) opened(brought);
}

export default function ({ data, parentElement, setTriggerValue }) {
  if (late(parentElement, data.turn)) return;
  const root = parentElement.querySelector(".root");
  listening.get(parentElement)?.abort();
  const stop = new AbortController(), on = { signal: stop.signal };
  listening.set(parentElement, stop);

  const rows = el("div", { class: "rows", role: "status" });
  const take = (list) => {
    const files = [...list].filter((file) => file.size || file.type);
    if (files.length) bring(files, data, rows, (checks) => setTriggerValue("brought", checks));
  };
  const parts = [];
  let zone = null;
  if (data.zone) {
    const coarse = matchMedia("(pointer: coarse)").matches;
    const input = el("input", { type: "file", multiple: true, id: "files", class: "aloud",
      // a phone offers its camera then; elsewhere it would hide files whose names say nothing
      accept: coarse ? "image/*,video/*" : null, "aria-describedby": "kinds" });
    input.onchange = () => { take(input.files); input.value = ""; };
    zone = el("div", { class: "zone" },
      el("p", { class: "what" }, coarse ? "A photo or a video of a person" : "Drop photos or videos here"),
      el("div", { class: "pick" }, input, el("label", { for: "files", class: "button main" }, coarse ? "Take or choose a file" : "Choose files")),
      el("p", { class: "small", id: "kinds" }, data.kinds));
    parts.push(zone);
  }
  parts.push(rows);
  root.replaceChildren(...parts);

  const files = (event) => {
    if (!root.isConnected) stop.abort();
    return root.isConnected && event.dataTransfer?.types?.includes("Files");
  };
  const over = (yes) => zone?.classList.toggle("over", yes);
  document.addEventListener("dragover", (event) => { if (files(event)) { event.preventDefault(); over(true); } }, on);
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) over(false); }, on);
  document.addEventListener("drop", (event) => {
    if (!files(event)) return;
    event.preventDefault();
    over(false);
    take(event.dataTransfer.files);
  }, on);
  document.addEventListener("paste", (event) => {
    if (!root.isConnected || !event.clipboardData?.files.length) return;
    event.preventDefault();
    take(event.clipboardData.files);
  }, on);
}
