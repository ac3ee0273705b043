// Says why the camera did not start: the part that opens it keeps a refusal to itself.
const WORDS = {
  NotAllowedError: "The browser did not allow the camera. Allow it beside the address, then press Start again.",
  NotFoundError: "No camera was found. Connect one, then press Start again.",
  NotReadableError: "Another program uses the camera. Close it, then press Start again.",
};

// Its buttons are written as the page's own are.
function dress(inside) {
  if (!inside?.head || inside.getElementById("unmask")) return;
  const font = new URL("app/static/inter-latin-wght-normal.woff2", document.baseURI);
  inside.head.append(el("style", { id: "unmask" }, `
    @font-face { font-family: Inter; font-weight: 100 900; src: url("${font}") format("woff2"); }
    button { font: 500 15px/1.3 Inter, sans-serif !important; letter-spacing: 0 !important; text-transform: none !important; border-radius: 8px !important; min-height: 40px; }`));
}

export default function ({ data, parentElement }) {
  if (late(parentElement, data.turn)) return;
  const root = parentElement.querySelector(".root");
  // one and the same at every call: whoever waits for the camera still writes to it
  if (root.querySelector("p")) return;
  const said = el("p", { role: "alert" });
  root.replaceChildren(said);
  const listen = () => {
    if (!root.isConnected) return;
    for (const frame of document.querySelectorAll("iframe[title*=webrtc]")) {
      dress(frame.contentDocument);
      const devices = frame.contentWindow?.navigator?.mediaDevices;
      if (!devices || devices.heard) continue;
      const open = devices.getUserMedia.bind(devices);
      devices.heard = true;
      devices.getUserMedia = (wanted) => {
        said.textContent = "";
        return open(wanted).catch((error) => {
          said.textContent = WORDS[error.name] ?? `The camera could not be opened (${error.name}).`;
          throw error;
        });
      };
    }
    setTimeout(listen, 300);
  };
  listen();
}
