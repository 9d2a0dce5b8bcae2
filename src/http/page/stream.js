// Owns: one live stream: server-sent events read by `fetch`, because EventSource cannot carry the
// token. It comes back by itself after a broken connection, later each time, and says so; it hands on
// the last id it has seen, so that nothing is missed and nothing comes twice.

import { headers, problem } from "./api.js";

const FIRST_MS = 500;
const LONGEST_MS = 15000;
// The server's heartbeat is well below this: silence for so long is a dead connection.
const SILENCE_MS = 45000;

/// Splits text as it comes into events `{event, data, id}`.
export function parser(each) {
  let rest = "";
  let event = "";
  let data = [];
  let id;
  const line = (text) => {
    if (text === "") {
      if (data.length > 0 || event) each({ event: event || "message", data: data.join("\n"), id });
      event = "";
      data = [];
      id = undefined;
      return;
    }
    if (text.startsWith(":")) return;
    const colon = text.indexOf(":");
    const field = colon < 0 ? text : text.slice(0, colon);
    const value = colon < 0 ? "" : text.slice(colon + 1).replace(/^ /, "");
    if (field === "event") event = value;
    else if (field === "data") data.push(value);
    else if (field === "id") id = value;
  };
  return (chunk) => {
    const lines = (rest + chunk).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop();
    lines.forEach(line);
  };
}

/// Follows `path` until `close`. `on(event, data, id)` gets what comes; `state(word, ms)` hears
/// "connecting", "live", "waiting" (with how long) and "closed" (with the `Problem`).
export function follow(path, { lastId, on, state = () => {}, isLast = () => false }) {
  let seen = lastId;
  let failures = 0;
  let closed = false;
  let abort = null;
  let timer = 0;

  const wait = (ms) => {
    state("waiting", ms);
    timer = setTimeout(connect, ms);
  };
  const backoff = () => {
    const most = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(failures, 10));
    failures += 1;
    // Spread, so that a thousand pages do not come back at the same moment.
    return most * (0.7 + 0.6 * Math.random());
  };

  async function connect() {
    clearTimeout(timer);
    timer = 0;
    if (closed) return;
    state("connecting");
    abort = new AbortController();
    let watchdog = 0;
    const alive = () => {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => abort.abort(), SILENCE_MS);
    };
    let last = null;
    try {
      alive();
      const more = { Accept: "text/event-stream" };
      if (seen !== undefined && seen !== null) more["Last-Event-ID"] = String(seen);
      const response = await fetch(path, { headers: headers(more), signal: abort.signal, cache: "no-store" });
      if (!response.ok) throw await problem(response);
      state("live");
      const feed = parser(({ event, data, id }) => {
        if (closed) return;
        failures = 0;
        let value;
        try {
          value = data ? JSON.parse(data) : null;
        } catch {
          return;
        }
        if (id !== undefined && id !== "") seen = id;
        if (event === "end") last = value ?? {};
        on(event, value, id);
      });
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        alive();
        feed(value);
      }
    } catch (error) {
      if (closed) return;
      // Nobody there, or no right to it: coming back changes nothing.
      if ([401, 403, 404, 410].includes(error.status)) {
        closed = true;
        state("closed", error);
        return;
      }
      if (error.retryAfter) return wait(error.retryAfter);
    } finally {
      clearTimeout(watchdog);
    }
    if (closed) return;
    if (last && isLast(last)) {
      closed = true;
      state("closed", null);
      return;
    }
    wait(backoff());
  }

  const wake = () => {
    if (closed || !timer) return;
    failures = 0;
    connect();
  };
  window.addEventListener("online", wake);
  connect();
  return {
    close() {
      closed = true;
      clearTimeout(timer);
      abort?.abort();
      window.removeEventListener("online", wake);
    },
    wake,
  };
}
