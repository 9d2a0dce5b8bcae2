// Owns: what asks before something happens: the token, a confirmation, a name, a new session, and
// the list of keys. Each is a <dialog>, so that focus stays inside and Escape leaves it.

import { $, button, fill, h } from "./dom.js";
import { counted } from "./format.js";
import { get, session } from "./api.js";

/// Asks for one thing; resolves with the fields as an object, or null when left.
/// `act` is tried with them before it closes: what goes wrong is said in the dialog.
export function ask({ id, title, text, fields = [], submit, back = "Back", danger, act }) {
  return new Promise((resolve) => {
    const fault = h("p", { class: "fault", role: "alert" });
    const send = h(
      "button",
      { type: "submit", class: danger ? "danger solid" : "primary", "data-submit": id },
      submit,
    );
    let result = null;
    const form = h(
      "form",
      { method: "dialog" },
      h("h2", { id: `${id}-title` }, title),
      text && h("p", { class: "quiet" }, text),
      fields,
      fault,
      h("footer", {}, act && button({ class: "ghost", onclick: () => dialog.close() }, null, back), send),
    );
    const dialog = h("dialog", { id: `dialog-${id}`, "aria-labelledby": `${id}-title` }, form);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const values = Object.fromEntries(new FormData(form));
      send.disabled = true;
      fault.textContent = "";
      try {
        result = { values, outcome: await act?.(values) };
        dialog.close();
      } catch (error) {
        fault.textContent = error.message;
        send.disabled = false;
      }
    });
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(result);
    });
    document.body.append(dialog);
    dialog.showModal();
    (form.querySelector("[autofocus]") ?? send).focus();
  });
}

export const field = (label, input, hint) =>
  h("label", { class: "field" }, h("span", {}, label, hint && h("em", {}, hint)), input);

/// A new session: an agent and its first message.
export async function start(opened) {
  let agents = [];
  let trouble = null;
  try {
    // Who leads is spoken to; the others are there to be sent.
    const leads = (agent) => (agent.role === "coordinator" ? 0 : 1);
    agents = (await get("/v1/agents")).items.sort((a, b) => leads(a) - leads(b));
  } catch (error) {
    trouble = error;
  }
  const about = h("p", { class: "hint", id: "start-about" });
  const select = h(
    "select",
    { name: "agent", "data-field": "agent", "aria-describedby": "start-about" },
    agents.map((agent) => h("option", { value: agent.name }, agent.name)),
  );
  const describe = () => {
    const agent = agents.find((one) => one.name === select.value);
    fill(
      about,
      agent
        ? [
            agent.description,
            [agent.model, agent.provider].filter(Boolean).join(" at "),
            agent.routes?.length > 0 && `sends ${agent.routes.join(", ")}`,
            agent.tools?.length > 0 && counted(agent.tools.length, "tool"),
          ]
            .filter(Boolean)
            .join(" · ")
        : trouble
          ? `The agents cannot be read: ${trouble.message}`
          : "No agent is declared: start the server with an agents file.",
    );
  };
  select.addEventListener("change", describe);
  describe();
  const message = h("textarea", {
    name: "text",
    rows: 5,
    required: true,
    autofocus: true,
    "data-field": "text",
    placeholder: "What is it to do?",
  });
  message.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.metaKey || event.ctrlKey)) message.form.requestSubmit();
  });
  const done = await ask({
    id: "start",
    title: "Start a session",
    submit: "Start",
    fields: [
      field("Agent", select),
      about,
      field("First message", message),
      field(
        "Name",
        h("input", { name: "name", "data-field": "name", autocomplete: "off", placeholder: "the agent's" }),
        "if you like",
      ),
    ],
    act: async ({ agent, name, text }) => {
      if (!agent) throw new Error("There is no agent to start.");
      const line = await session.start(agent, name.trim());
      try {
        await session.message(line.session, { text });
      } catch (error) {
        // The session exists: it is opened all the same, and the text is not lost.
        return { line, text, error };
      }
      return { line };
    },
  });
  if (done) opened(done.outcome);
}

export const confirmed = (what) => ask(what).then(Boolean);

const KEYS = [
  ["j  k  ↓ ↑", "next and previous row, or question"],
  ["l  h  → ←", "unfold and fold a row; with Alt everything below"],
  ["Enter", "open the conversation"],
  ["Esc", "close what is open"],
  ["/", "search"],
  ["a", "questions that wait for you"],
  ["n", "start a session"],
  ["m", "write to the open session"],
  ["g", "tree, agents, jobs"],
  ["1 … 6", "all, running, waiting, quarantined, idle, archived"],
  ["c", "charts"],
  ["t", "dark, light"],
  ["?", "this list"],
];

export function help() {
  if ($("dialog-help")) return;
  ask({
    id: "help",
    title: "Keys",
    submit: "Close",
    fields: [
      h(
        "dl",
        { class: "keys" },
        KEYS.flatMap(([keys, what]) => [
          h(
            "dt",
            {},
            keys.split(/ +/).map((key) => h("kbd", {}, key)),
          ),
          h("dd", {}, what),
        ]),
      ),
    ],
  });
}

/// Asks for the token until one is taken. `check` throws when it is not.
export function token(check) {
  const form = $("token-form");
  const cover = $("token");
  cover.hidden = false;
  $("app").inert = true;
  $("token-field").focus();
  form.onsubmit = async (event) => {
    event.preventDefault();
    $("token-fault").textContent = "";
    try {
      await check($("token-field").value);
      $("token-field").value = "";
      cover.hidden = true;
      $("app").inert = false;
    } catch (error) {
      $("token-fault").textContent =
        error.status === 401 ? "The server does not take this token." : error.message;
      $("token-field").select();
    }
  };
}
