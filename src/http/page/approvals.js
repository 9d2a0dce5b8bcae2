// Owns: the inbox: every question that waits for a person, with the exact request that an answer
// counts for, and the answers as buttons. What was shown is what is answered: the digest goes along,
// and a request that has changed meanwhile is shown again instead.

import { $, announce, button, h, icon, setText } from "./dom.js";
import { answer, get } from "./api.js";
import { full, now, parsed, plain, pretty, shortId, span, whole } from "./format.js";
import { escaped, shown } from "./unseen.js";
import { facts, request, subjectOf } from "./question.js";
import { may, whyNot } from "./rights.js";

// What each answer is called on its button, what it does, and how it looks. `no` and `reject` are one.
const ANSWERS = {
  once: { word: "Allow once", tells: "Yes, this call and no other", tone: "primary" },
  turn: { word: "This turn", tells: "Yes, and everything that would be asked until the turn ends" },
  session: { word: "This session", tells: "Yes, and calls like it for the rest of this session" },
  always: { word: "Always", tells: "Yes, and calls like it in every session from now on" },
  all: { word: "Everything", tells: "Yes, and everything that would be asked in this session" },
  edit: { word: "Change…", tells: "Yes, with other arguments", text: "arguments" },
  reject: { word: "Deny", tells: "No, not this call", tone: "danger" },
  no: { word: "Deny", tells: "No, not this call", tone: "danger" },
  never: { word: "Never", tells: "No, and never calls like it in this session" },
  comment: { word: "Deny, and say why…", tells: "No; the model reads your reason", text: "feedback" },
  revise: { word: "Not like this…", tells: "The model tries again with this in mind", text: "feedback" },
};
// What is answered nearly always; everything else stands behind it.
const PLAIN = ["once", "no", "reject", "revise"];
const NOS = ["no", "reject", "never", "comment", "revise"];
const PAGE = 100;

export class Inbox {
  constructor({ open, changed }) {
    this.hooks = { open, changed };
    this.list = $("inbox-list");
    this.items = [];
    this.next = null;
    this.error = null;
    this.loaded = false;
    this.cards = new Map();
    this.loading = null;
  }

  /// Reads what is open. Askings while one is on its way become one more.
  async load() {
    if (this.loading) {
      this.again = true;
      return this.loading;
    }
    this.loading = this.read();
    await this.loading;
    this.loading = null;
    if (this.again) {
      this.again = false;
      await this.load();
    }
  }

  async read() {
    try {
      const page = await get("/v1/approvals", { limit: PAGE });
      this.items = page.items;
      this.next = page.next;
      this.error = null;
      this.loaded = true;
    } catch (error) {
      this.error = error;
    }
    this.draw();
    this.hooks.changed();
  }

  find(id) {
    return this.items.find((item) => item.id === id);
  }

  draw() {
    const here = new Set(this.items.map((item) => item.id));
    for (const [id, element] of this.cards) {
      if (here.has(id)) continue;
      element.remove();
      this.cards.delete(id);
    }
    $("inbox-count").textContent = this.items.length ? whole(this.items.length) + (this.next ? "+" : "") : "";
    let before = null;
    for (const item of this.items) {
      let element = this.cards.get(item.id);
      // A question whose request changed is another question: what somebody typed for it is void.
      if (!element || element.dataset.digest !== item.digest) {
        const made = this.card(item);
        element?.replaceWith(made);
        element = made;
        this.cards.set(item.id, element);
      }
      const place = before ? before.nextSibling : this.list.firstChild;
      if (place !== element) this.list.insertBefore(element, place);
      before = element;
    }
    $("inbox-empty").hidden = this.items.length > 0 || Boolean(this.error);
    const error = $("inbox-error");
    error.hidden = !this.error;
    if (this.error) setText(error.querySelector("span"), `The questions cannot be read: ${this.error.message}`);
    $("inbox-more").hidden = !this.next;
  }

  /// Makes every card anew, for a token that may other things.
  renew() {
    for (const element of this.cards.values()) element.remove();
    this.cards.clear();
    this.draw();
  }

  tick() {
    for (const element of document.querySelectorAll("[data-expires]")) {
      const left = Number(element.dataset.expires) - now();
      setText(element, left > 0 ? `expires in ${span(left)}` : "expired");
      element.classList.toggle("soon", left < 300000);
    }
  }

  /// A question as a card. `isInline` leaves out what stands around it in a conversation.
  card(item, isInline = false) {
    const subject = subjectOf(item);
    const card = h("article", {
      class: "card",
      "data-approval": item.id,
      "data-digest": item.digest,
      tabindex: "-1",
    });
    const title = subject.kind === "tool_call" ? (item.tool ?? "a tool") : plain(subject.kind);
    card.append(
      h(
        "header",
        {},
        icon("approval"),
        h("b", {}, title),
        !isInline &&
          h(
            "button",
            { type: "button", class: "link", onclick: () => this.hooks.open(item.session) },
            item.agent,
            " ",
            h("code", {}, shortId(item.session)),
          ),
        h("span", { class: "grow" }),
        item.expires_at &&
          h(
            "span",
            { class: "expires", "data-expires": item.expires_at, title: `until ${full(item.expires_at)}` },
            `expires in ${span(item.expires_at - now())}`,
          ),
      ),
      ...request(item, subject),
      facts(item),
    );
    card.append(this.buttons(item, card));
    return card;
  }

  buttons(item, card) {
    if (!may("approve")) return h("p", { class: "why" }, icon("lock"), whyNot("approve"));
    const words = item.answers;
    // Yes on the one side, no on the other: a hand in a hurry hits the right one.
    const sides = { yes: h("span", { class: "answers" }), no: h("span", { class: "answers" }) };
    const rare = words.filter((word) => !PLAIN.includes(word));
    for (const word of words) {
      if (!rare.includes(word)) sides[NOS.includes(word) ? "no" : "yes"].append(this.button(item, card, word));
    }
    // What counts for more than this call is a step away, and says what it does.
    const more = h(
      "details",
      { class: "more" },
      h("summary", {}, icon("chevron"), "Other answers"),
      h(
        "ul",
        {},
        rare.map((word) =>
          h("li", {}, this.button(item, card, word), h("span", {}, shown(telling(item, word)))),
        ),
      ),
    );
    const row = h("div", { class: "answers", role: "group", "aria-label": "answers" }, sides.yes, sides.no);
    return h("div", {}, row, rare.length > 0 && more);
  }

  button(item, card, word) {
    const known = answerOf(word);
    const onclick = () =>
      known.text ? this.ask(item, card, word, known) : this.send(item, card, { answer: word });
    return button(
      { class: known.tone ?? "", "data-answer": word, title: telling(item, word), onclick },
      null,
      known.word,
    );
  }

  /// An answer that has a text of its own.
  ask(item, card, word, known) {
    card.querySelector(".typed")?.remove();
    const isArgs = known.text === "arguments";
    const field = h("textarea", {
      rows: isArgs ? 6 : 3,
      "aria-label": known.tells,
      placeholder: isArgs ? "" : "What should it do instead?",
      spellcheck: isArgs ? "false" : "true",
      class: isArgs ? "mono" : "",
    });
    if (isArgs) field.value = escaped(pretty(item.arguments ?? "{}"));
    const fault = h("p", { class: "fault", role: "alert" });
    const submit = (event) => {
      event.preventDefault();
      if (isArgs && !parsed(field.value)) return setText(fault, "These are no JSON arguments.");
      if (!isArgs && !field.value.trim()) return setText(fault, "A reason is needed here.");
      this.send(
        item,
        card,
        isArgs
          ? { answer: word, arguments: parsed(field.value) }
          : { answer: word, feedback: field.value.trim() },
      );
    };
    const form = h(
      "form",
      { class: "typed", onsubmit: submit },
      field,
      fault,
      h(
        "div",
        { class: "answers" },
        h(
          "button",
          { type: "submit", class: "primary", "data-answer-send": word },
          isArgs ? "Allow with these" : "Send",
        ),
        button({ class: "ghost", onclick: () => form.remove() }, null, "Back"),
      ),
    );
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.metaKey || event.ctrlKey)) submit(event);
      if (event.key === "Escape") {
        event.stopPropagation();
        form.remove();
      }
    });
    card.append(form);
    field.focus();
  }

  async send(item, card, body) {
    const controls = [...card.querySelectorAll("button, textarea")];
    controls.forEach((control) => (control.disabled = true));
    card.querySelector(".trouble")?.remove();
    try {
      await answer(item, body);
      announce(`answered: ${plain(body.answer)}`);
      const at = this.items.findIndex((other) => other.id === item.id);
      const hadFocus = card.contains(document.activeElement) || document.activeElement === document.body;
      if (at >= 0) this.items.splice(at, 1);
      card.classList.add("done");
      this.draw();
      this.hooks.changed(-1);
      if (hadFocus) card.closest("#panel") ? $("talk").focus() : this.focus(at);
    } catch (error) {
      controls.forEach((control) => (control.disabled = false));
      const changed = error.code === "changed";
      const gone = [404, 409, 410].includes(error.status);
      const text = changed
        ? "The request has changed since it was shown. This is how it is now:"
        : `Not answered: ${error.message}`;
      card.append(h("p", { class: "trouble failure", role: "alert" }, icon("failed"), text));
      if (changed || gone) this.load();
    }
  }

  /// Puts the keyboard on the question at this place, or the last one.
  focus(at = 0) {
    const cards = [...this.list.children];
    const card = cards[Math.min(Math.max(0, at), cards.length - 1)];
    // The card, not its first button: two quick keys must not answer what nobody has read.
    (card ?? $("inbox")).focus();
  }

  /// Goes from a question to its answers.
  enter(card) {
    card.querySelector("button[data-answer]")?.focus();
  }

  step(by) {
    const cards = [...this.list.children];
    const at = cards.findIndex((card) => card.contains(document.activeElement));
    this.focus(at < 0 ? 0 : at + by);
  }
}

const answerOf = (word) => ANSWERS[word] ?? { word: plain(word), tells: "" };

/// What an answer does.
function telling(item, word) {
  const { tells } = answerOf(word);
  return word === "always" && item.proposed_rule ? `${tells}: allow ${item.proposed_rule}` : tells;
}
