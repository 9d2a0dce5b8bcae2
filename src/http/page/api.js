// Owns: the token and every request but the streams. A failure becomes a `Problem` with the server's
// stable code; a 401 asks for a token once, whoever ran into it. Nothing is tried twice here: a POST
// carries a key of its own, and whoever pressed the button decides about a second time.

import { write } from "./exact.js";

const KEPT = "greenroom.token";
let held = null;
let refused = () => {};

/// What the server says went wrong.
export class Problem extends Error {
  constructor(status, body, retryAfter) {
    super(
      body?.detail ||
        body?.title ||
        (status ? `the server answered ${status}` : "the server cannot be reached"),
    );
    this.status = status;
    this.code = body?.code ?? (status ? `http_${status}` : "unreachable");
    this.retryAfter = retryAfter;
  }
}

/// Takes the token from the address (`#token=…`), and removes it from there; or the kept one. A link that
/// carries another one than is kept changes nothing by itself: it is given back as `other`, to be asked
/// about, for whoever made the link would else have this tab work under a name of theirs.
export function takeToken() {
  held ??= sessionStorage.getItem(KEPT);
  const fragment = new URLSearchParams(location.hash.slice(1));
  const given = fragment.get("token")?.trim();
  if (!given) return { held, other: null };
  fragment.delete("token");
  const rest = fragment.toString();
  history.replaceState(null, "", location.pathname + location.search + (rest ? `#${rest}` : ""));
  if (held && held !== given) return { held, other: given };
  setToken(given);
  return { held, other: null };
}

export function setToken(token) {
  held = token.trim();
  sessionStorage.setItem(KEPT, held);
}

export function forgetToken() {
  held = null;
  sessionStorage.removeItem(KEPT);
}

/// Whom to call when the server does not take the token.
export const onRefused = (action) => {
  refused = action;
};

/// The headers of every request.
export const headers = (more) => (held ? { Authorization: `Bearer ${held}`, ...more } : { ...more });

/// Turns an answer that is no success into a `Problem`.
export async function problem(response) {
  let body = null;
  try {
    body = await response.json();
  } catch {
    // A proxy's page is no problem document; its status says enough.
  }
  const after = Number(response.headers.get("Retry-After"));
  if (response.status === 401) refused();
  return new Problem(response.status, body, Number.isFinite(after) && after > 0 ? after * 1000 : undefined);
}

// A POST of which nobody knows whether it arrived is sent again under the key that it had.
const unsure = new Map();

async function ask(method, address, body, signal) {
  const init = { method, signal, headers: headers({ Accept: "application/json" }), cache: "no-store" };
  if (body !== undefined) {
    init.body = write(body);
    init.headers["Content-Type"] = "application/json";
  }
  const what = `${address} ${init.body}`;
  if (method !== "GET") init.headers["Idempotency-Key"] = unsure.get(what) ?? key();
  let response;
  try {
    response = await fetch(address, init);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    if (method !== "GET") unsure.set(what, init.headers["Idempotency-Key"]);
    throw new Problem(0, null);
  }
  unsure.delete(what);
  if (!response.ok) throw await problem(response);
  const text = await response.text();
  return text ? JSON.parse(text) : null;
}

// `randomUUID` wants a secure context; a page read over plain HTTP from another machine has none.
function key() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/// `/v1/…` with what is asked for; empty values are left out.
export function path(base, query) {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== undefined && value !== null && value !== "") params.set(name, value);
  }
  const text = params.toString();
  return text ? `${base}?${text}` : base;
}

export const get = (base, query, signal) => ask("GET", path(base, query), undefined, signal);
export const post = (base, body) => ask("POST", base, body ?? {});
const put = (base, body) => ask("PUT", base, body);
const remove = (base) => ask("DELETE", base);

export const halt = (reason) => post("/v1/halt", { reason });
export const unhalt = () => post("/v1/unhalt");

const at = (id) => `/v1/sessions/${encodeURIComponent(id)}`;

/// What can be done with one session.
export const session = {
  read: (id, signal) => get(at(id), null, signal),
  tree: (id, signal) => get(`${at(id)}/tree`, null, signal),
  frames: (id, query, signal) => get(`${at(id)}/frames`, query, signal),
  events: (id) => `${at(id)}/events`,
  start: (agent, name) => post("/v1/sessions", name ? { agent, name } : { agent }),
  message: (id, body) => post(`${at(id)}/messages`, body),
  cancel: (id, reason) => post(`${at(id)}/cancel`, reason ? { reason } : {}),
  release: (id, skip) => post(`${at(id)}/release`, { skip }),
  rename: (id, name) => post(`${at(id)}/rename`, { name }),
  archive: (id, archived) => post(`${at(id)}/${archived ? "archive" : "unarchive"}`),
  checkpoints: (id, after) => get(`${at(id)}/checkpoints`, { after }),
  mark: (id, name) => post(`${at(id)}/checkpoints`, { name }),
  budget: (id) => get(`${at(id)}/budget`),
  goal: (id, goal) => (goal ? put(`${at(id)}/goal`, goal) : remove(`${at(id)}/goal`)),
  fork: (id, frame) => post(`${at(id)}/fork`, frame ? { at: frame } : {}),
};

const ofJob = (id) => `/v1/jobs/${encodeURIComponent(id)}`;

/// What can be done with one job.
export const job = {
  read: (id) => get(ofJob(id)),
  result: (id) => get(`${ofJob(id)}/result`),
  order: (id, verb, body) => post(`${ofJob(id)}/${verb}`, body),
};

/// Answers a question; its id is `SESSION/aN`.
export function answer(approval, body) {
  const [owner, no] = approval.id.split("/");
  const number = no.replace(/^a/, "");
  return post(`/v1/approvals/${encodeURIComponent(owner)}/${encodeURIComponent(number)}`, {
    ...body,
    digest: approval.digest,
  });
}
