// Copies one sentence. navigator.clipboard is missing on plain http from another machine: then the old way is taken.
async function copy(text) {
  if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");
  area.value = text;
  area.style.position = "fixed";
  area.style.opacity = "0";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) throw new Error("not copied");
}

export default function ({ data, parentElement }) {
  const button = parentElement.querySelector("button");
  const status = parentElement.querySelector("[role=status]");
  status.textContent = "";
  button.onclick = async () => {
    const done = await copy(data.text).then(() => true, () => false);
    status.classList.toggle("failed", !done);
    status.textContent = done ? "Copied" : "Select the sentence to copy it";
    if (!done) return;
    button.style.minWidth = `${button.offsetWidth}px`;
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy sentence"; }, 2000);
  };
}
