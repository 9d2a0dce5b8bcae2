// Owns: the conversation on the screen: one element for each item of the fold, made again only when
// its item has changed, and pieces of an answer appended as they come. It stays at the end while the
// reader is there, and never moves under a reader who is not.

import { h, icon, setText } from "./dom.js";
import { MAKERS, childState } from "./items.js";
import { now, span } from "./format.js";

const NEAR_PX = 60;

export class TalkView {
  constructor(scroller, list, hooks) {
    this.scroller = scroller;
    this.list = list;
    this.hooks = hooks;
    this.drawn = new Map();
    this.unfolded = new Map();
    this.isAtEnd = true;
    scroller.addEventListener("scroll", () => this.scrolled(), { passive: true });
    new ResizeObserver(() => this.isAtEnd && this.toEnd()).observe(list);
  }

  clear() {
    this.drawn.clear();
    this.unfolded.clear();
    this.list.replaceChildren();
    this.isAtEnd = true;
  }

  scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    this.isAtEnd = scrollHeight - scrollTop - clientHeight < NEAR_PX;
    this.hooks.atEnd(this.isAtEnd);
  }

  toEnd() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  /// Brings the page to what the fold says.
  draw(talk) {
    let before = null;
    const here = new Set();
    for (const item of talk.items) {
      here.add(item.id);
      const known = this.drawn.get(item.id);
      let element = known?.element;
      if (!known || known.rev !== item.rev) {
        const made = this.make(item, talk);
        if (element) element.replaceWith(made);
        element = made;
        this.drawn.set(item.id, { element, rev: item.rev });
      }
      const place = before ? before.nextSibling : this.list.firstChild;
      if (place !== element) this.list.insertBefore(element, place);
      before = element;
    }
    for (const [id, { element }] of this.drawn) {
      if (here.has(id)) continue;
      element.remove();
      this.drawn.delete(id);
    }
    if (this.isAtEnd) this.toEnd();
  }

  /// Shows what has come of an answer since the last time.
  drawLive(talk) {
    for (const [call, live] of talk.live) {
      const element = this.drawn.get(call)?.element;
      if (!element) continue;
      this.append(element.querySelector(".live-thinking"), live.thinking);
      this.append(element.querySelector(".live-text"), live.text);
    }
    if (this.isAtEnd) this.toEnd();
  }

  append(element, text) {
    if (!element || !text) return;
    element.hidden = false;
    const node =
      element.lastChild?.nodeType === Node.TEXT_NODE
        ? element.lastChild
        : element.appendChild(document.createTextNode(""));
    if (text.startsWith(node.data)) node.appendData(text.slice(node.data.length));
    else node.data = text;
  }

  tick() {
    for (const element of this.list.querySelectorAll("[data-ticks]"))
      setText(element, span(now() - Number(element.dataset.ticks)));
    for (const element of this.list.querySelectorAll("[data-state-of]")) {
      const id = element.dataset.stateOf;
      const word = this.hooks.stateOf(id);
      if (word !== element.dataset.word) element.replaceWith(childState(word, id));
    }
  }

  make(item, talk) {
    const element = MAKERS[item.kind](item, this, talk);
    element.dataset.item = item.id;
    element.dataset.kind = item.kind;
    return element;
  }

  /// A folded part that stays as the reader left it when its item is made again.
  folded(id, attrs, summary, inside, isOpen = false) {
    const details = h(
      "details",
      { ...attrs, open: this.unfolded.get(id) ?? isOpen },
      h("summary", {}, icon("chevron"), summary),
    );
    // What is folded is not made before somebody looks: a log can hold megabytes.
    const build = () => {
      if (!details.dataset.built) {
        details.dataset.built = "1";
        details.append(...[inside()].flat(2).filter(Boolean));
      }
    };
    if (details.open) build();
    details.addEventListener("toggle", () => {
      this.unfolded.set(id, details.open);
      if (details.open) build();
    });
    return details;
  }
}
