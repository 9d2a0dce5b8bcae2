// Owns: how elements are made. Every text of a session reaches the page through a text node here or
// through `textContent`; nothing in these files ever parses a string as markup.

const SVG = "http://www.w3.org/2000/svg";

/// The element with this id; the shell in index.html promises that it is there.
export const $ = (id) => document.getElementById(id);

/// An element with attributes, listeners (`onclick`) and children. Empty children are left out.
export function h(tag, attrs, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attrs ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else if (name in PROPERTIES) element[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  add(element, children);
  return element;
}

// These are live properties of a field rather than attributes of its markup.
const PROPERTIES = { value: 1, checked: 1, disabled: 1, hidden: 1, open: 1, selected: 1 };

function add(element, children) {
  for (const child of children) {
    if (child === undefined || child === null || child === false) continue;
    if (Array.isArray(child)) add(element, child);
    else element.append(child);
  }
}

/// An SVG element.
export function svg(tag, attrs, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attrs ?? {})) {
    if (value !== undefined && value !== null) element.setAttribute(name, String(value));
  }
  add(element, children);
  return element;
}

/// A sprite of index.html. With a label it is an image, without one it is decoration.
export function icon(name, label) {
  const use = svg("use", { href: `#i-${name}` });
  const attrs = label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" };
  return svg("svg", { class: `icon i-${name}`, viewBox: "0 0 16 16", ...attrs }, use);
}

/// Points an icon that stands already at another sprite.
export function setIcon(element, name) {
  if (element.dataset.icon === name) return;
  element.dataset.icon = name;
  // A newer server may have a state that this page has no picture of.
  const known = $(`i-${name}`) ? name : "dot";
  element.setAttribute("class", `icon i-${known}`);
  element.firstElementChild.setAttribute("href", `#i-${known}`);
}

/// Writes a text only where it differs: a page that ticks must not lay itself out for nothing.
export function setText(element, text) {
  if (element.firstChild?.nodeType === Node.TEXT_NODE && !element.firstChild.nextSibling) {
    if (element.firstChild.data !== text) element.firstChild.data = text;
  } else if (element.textContent !== text || element.firstChild) {
    element.textContent = text;
  }
}

/// Replaces what an element holds.
export function fill(element, ...children) {
  element.replaceChildren();
  add(element, children);
  return element;
}

/// A button with an icon and a word; without a word its label is for the screen reader.
export function button(attrs, iconName, word) {
  return h("button", { type: "button", ...attrs }, iconName && icon(iconName), word && h("span", {}, word));
}

/// A button that copies `text` and says so.
export function copy(text, what) {
  const element = button(
    { class: "ghost mini", title: `Copy ${what}`, "aria-label": `Copy ${what}`, "data-copy": what },
    "copy",
  );
  element.addEventListener("click", async (event) => {
    event.stopPropagation();
    const done = await put(text);
    setIcon(element.firstChild, done ? "check" : "cross");
    announce(done ? `${what} copied` : `${what} could not be copied`);
    setTimeout(() => setIcon(element.firstChild, "copy"), 1200);
  });
  return element;
}

async function put(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/// Says something to a screen reader without moving anything.
export function announce(text) {
  $("announce").textContent = text;
}

/// One call for many askings: runs in the next frame, or so much later.
export function coalesced(action, ms = 0) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    const run = () => {
      asked = false;
      action();
    };
    // A page in the background draws no frames, but must not fall behind for good.
    if (ms || document.hidden) setTimeout(run, ms || 250);
    else requestAnimationFrame(run);
  };
}
