// Owns: how wide the side is: a line that can be dragged, or moved with the arrow keys; a double
// click gives the usual width back. The browser keeps it.

import { $ } from "./dom.js";

const KEPT = "greenroom.side";
const LEAST = 380;
const STEP = 24;

export function divider(moved) {
  const main = $("main");
  const line = $("divider");
  const set = (width, isKept = true) => {
    const most = Math.max(LEAST, main.clientWidth - LEAST);
    const px = Math.round(Math.max(LEAST, Math.min(most, width)));
    main.style.setProperty("--side", `${px}px`);
    line.setAttribute("aria-valuenow", px);
    if (isKept) keep(px);
    moved();
  };
  const side = () => main.clientWidth - line.getBoundingClientRect().left + main.getBoundingClientRect().left;
  line.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    line.setPointerCapture(event.pointerId);
    const move = (at) => set(main.getBoundingClientRect().right - at.clientX);
    line.addEventListener("pointermove", move);
    line.addEventListener("lostpointercapture", () => line.removeEventListener("pointermove", move), {
      once: true,
    });
  });
  line.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: STEP, ArrowRight: -STEP }[event.key];
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    set(side() + by);
  });
  line.addEventListener("dblclick", () => {
    main.style.removeProperty("--side");
    keep(null);
    moved();
  });
  const kept = Number(read());
  if (kept >= LEAST) set(kept, false);
}

function keep(px) {
  try {
    px === null ? localStorage.removeItem(KEPT) : localStorage.setItem(KEPT, px);
  } catch {
    // It holds until the page is left.
  }
}

function read() {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null;
  }
}
