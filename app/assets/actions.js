// Copy the sentence, and one "Save" for everything that can be taken away. Texts are made here from what the page holds: they
// can be saved when the server has gone.
const menus = new WeakMap();

function save(name, content) {
  const address = content instanceof Blob ? URL.createObjectURL(content) : content;
  const link = el("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  if (content instanceof Blob) setTimeout(() => URL.revokeObjectURL(address), 10000);
}

function copyButton(text, root) {
  const status = el("span", { role: "status", class: "aloud" });
  const button = el("button", { type: "button", class: "main" }, "Copy sentence");
  button.onclick = async () => {
    const done = await copyText(text).then(() => true, () => false);
    status.textContent = done ? "Copied" : "Select the sentence to copy it";
    status.classList.toggle("aloud", done);
    if (!done) return;
    button.style.minWidth = `${button.offsetWidth}px`;
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy sentence"; }, 2000);
  };
  return [button, status];
}

function markedCopy(data, say) {
  const heat = el("input", { type: "checkbox" });
  const make = el("button", { type: "button", class: "item" }, el("b", {}, data.marked.title), el("span", { class: "small" }, data.marked.about));
  const url = `${data.base}/check/${data.check}/copy`;
  make.onclick = async () => {
    make.disabled = true;
    let now = await json(`${url}?heat=${heat.checked ? 1 : 0}`, { method: "POST", headers: { "X-Unmask-Ticket": data.ticket } }).catch(() => null);
    while (now?.ok && now.state === "making") {
      say(`${now.what}, ${Math.round(100 * now.done)} %`);
      await new Promise((wait) => setTimeout(wait, 300));
      now = await json(url).catch(() => null);
    }
    make.disabled = false;
    if (now?.state !== "done") return say(now?.said ?? "The copy could not be made.");
    const file = await fetch(`${url}/file`).catch(() => null);
    if (!file?.ok) return say("The copy could not be fetched.");
    save(data.marked.name, await file.blob());
    say(`Saved: ${data.marked.name}`);
  };
  return [make, data.marked.heat ? el("label", { class: "also small" }, heat, " with the places where the network looked") : null];
}

// A report, a still or the sound: the server makes it when it is asked for.
function madeItem(data, file, say) {
  const item = el("button", { type: "button", class: "item" }, el("b", {}, file.title), el("span", { class: "small" }, file.about));
  item.onclick = async () => {
    item.disabled = true;
    say(`Making ${file.name}`);
    const made = await fetch(`${data.base}/check/${data.check}/save/${file.what}`).catch(() => null);
    item.disabled = false;
    if (!made?.ok) {
      const why = await made?.json().catch(() => null);
      return say(why?.said ?? "It could not be made. Is Unmask still running?");
    }
    save(file.name, await made.blob());
    say(`Saved: ${file.name}`);
  };
  return item;
}

export default function ({ data, parentElement }) {
  if (late(parentElement, data.turn)) return;
  menus.get(parentElement)?.abort();
  const stop = new AbortController(), on = { signal: stop.signal };
  menus.set(parentElement, stop);
  const root = parentElement.querySelector(".root");
  const status = el("p", { class: "small told", role: "status" });
  const say = (text) => { status.textContent = text; };
  const list = el("div", { class: "menu", id: "save", hidden: true });
  const open = el("button", { type: "button", "aria-expanded": "false", "aria-controls": "save" }, "Save…");
  const show = (yes) => {
    list.hidden = !yes;
    open.setAttribute("aria-expanded", String(yes));
    if (yes) list.querySelector("button")?.focus();
  };
  open.onclick = () => show(list.hidden);
  for (const file of data.made ?? []) list.append(madeItem(data, file, say));
  for (const file of data.files) {
    const item = el("button", { type: "button", class: "item" }, el("b", {}, file.title), el("span", { class: "small" }, file.about));
    item.onclick = () => {
      const bytes = file.base64 ? Uint8Array.from(atob(file.base64), (letter) => letter.charCodeAt(0)) : file.text;
      save(file.name, new Blob([bytes], { type: file.type }));
      say(`Saved: ${file.name}`);
    };
    list.append(item);
  }
  if (data.marked) list.append(...markedCopy(data, say).filter(Boolean));
  root.replaceChildren(el("div", { class: "row" }, ...copyButton(data.quote, root), el("div", { class: "place" }, open, list)), status);
  root.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !list.hidden) { show(false); open.focus(); }
  }, on);
  document.addEventListener("pointerdown", (event) => { if (!event.composedPath().includes(root)) show(false); }, on);
}
