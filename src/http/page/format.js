// Owns: how figures, money, times and ids are written, and which clock is right. Times are measured
// on the server's clock, because "since" is a time of its log. Nothing here touches the page.

import { read, word, write } from "./exact.js";

let offset = 0;

/// The server said what time it is.
export function setServerNow(now) {
  if (Number.isFinite(now)) offset = now - Date.now();
}

/// The time on the server's clock, in milliseconds.
export const now = () => Date.now() + offset;

const WHOLE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

/// 12,345
export const whole = (n) => WHOLE.format(n ?? 0);

/// 1,234 · 12.3k · 4.56M: at most five characters, so that a column keeps its width.
export function short(n) {
  const value = n ?? 0;
  const size = Math.abs(value);
  if (size < 1000) return Number.isInteger(value) ? String(value) : value.toFixed(size < 10 ? 1 : 0);
  for (const [unit, word] of [
    [1e3, "k"],
    [1e6, "M"],
    [1e9, "G"],
    [1e12, "T"],
  ]) {
    const scaled = value / unit;
    if (Math.abs(scaled) < 999.5) {
      const digits = Math.abs(scaled) < 9.995 ? 2 : Math.abs(scaled) < 99.95 ? 1 : 0;
      return scaled.toFixed(digits) + word;
    }
  }
  return value.toExponential(1);
}

/// Money from nano-dollars, with as many digits as say something.
export function money(nano) {
  const usd = (nano ?? 0) / 1e9;
  if (usd === 0) return "$0";
  if (usd >= 10000) return "$" + short(usd);
  if (usd >= 100) return "$" + WHOLE.format(usd);
  if (usd >= 1) return "$" + usd.toFixed(2);
  if (usd >= 0.01) return "$" + usd.toFixed(3);
  if (usd >= 0.0001) return "$" + usd.toFixed(4);
  return "<$0.0001";
}

/// Money to the last digit that the log holds.
export const moneyExact = (nano) => "$" + ((nano ?? 0) / 1e9).toFixed(6);

/// Tokens of every kind of what was spent.
export const tokens = (spent) =>
  spent
    ? (spent.input_tokens ?? 0) +
      (spent.output_tokens ?? 0) +
      (spent.cache_read_tokens ?? 0) +
      (spent.cache_write_tokens ?? 0)
    : 0;

/// Tokens of every kind of one call's usage, as the log writes it.
export const usageTokens = (usage) =>
  (usage?.input ?? 0) + (usage?.output ?? 0) + (usage?.cache_read ?? 0) + (usage?.cache_write ?? 0);

/// 7s · 4m 05s · 2h 13m · 3d 04h
export function span(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const two = (n) => String(n).padStart(2, "0");
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m ${two(seconds % 60)}s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)}h ${two(Math.floor((seconds % 3600) / 60))}m`;
  return `${Math.floor(seconds / 86400)}d ${two(Math.floor((seconds % 86400) / 3600))}h`;
}

/// A length that is over, with tenths where they count.
export function took(ms) {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 10000) return `${(ms / 1000).toFixed(1)}s`;
  return span(ms);
}

const CLOCK = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hour12: false,
});
const MINUTE = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hour12: false });
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium", hour12: false });

export const clock = (at) => (at ? CLOCK.format(at) : "");
export const minute = (at) => (at ? MINUTE.format(at) : "");
export const full = (at) => (at ? FULL.format(at) : "");

/// The end of an id: unlike its beginning it differs among sessions opened at the same time.
export const shortId = (id) => String(id).split("-").pop().slice(-12);

/// "1 child", "3 children".
export const counted = (n, one, many = one + "s") => `${whole(n)} ${n === 1 ? one : many}`;

/// A word of the log as people write it.
export const plain = (word) => String(word).replaceAll("_", " ");

/// JSON with indents where it is JSON, the text itself where it is not.
export function pretty(text) {
  if (typeof text !== "string") return write(text, 2) ?? "";
  try {
    return write(read(text), 2);
  } catch {
    return text;
  }
}

/// The object that arguments are, or null. Its numbers may be held as they were written: `word` shows them.
export function parsed(args) {
  if (args && typeof args === "object") return args;
  try {
    const value = read(args);
    return value && typeof value === "object" ? value : null;
  } catch {
    return null;
  }
}

/// Arguments in one line: the one that says most first, values without quotes.
export function argsLine(args, most = 160) {
  const value = parsed(args);
  if (!value) return cut(String(args ?? ""), most);
  const entries = Object.entries(value);
  if (entries.length === 0) return "";
  const rank = (key) => {
    const at = ["command", "path", "url", "query", "agent", "task", "text"].indexOf(key);
    return at < 0 ? 99 : at;
  };
  entries.sort((a, b) => rank(a[0]) - rank(b[0]));
  const [first, ...rest] = entries;
  const line = [word(first[1]), ...rest.map(([key, v]) => `${key}=${word(v)}`)].join("  ");
  return cut(line.replace(/\s*\n\s*/g, " ⏎ "), most);
}

/// A text cut at `most` characters, never within a surrogate pair.
export function cut(text, most) {
  if (text.length <= most) return text;
  const at = /[\uD800-\uDBFF]/.test(text[most - 2]) ? most - 2 : most - 1;
  return text.slice(0, at) + "…";
}
