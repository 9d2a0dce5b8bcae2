// Owns: JSON whose numbers keep the text that they were written with. Read as usual, a large number or one
// of many digits becomes another, and a person would allow what does not run. Such a number is held as a
// text behind a mark that no text can begin with, because nobody knows it beforehand.

const MARK = `${Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join("-")}#`;
const TOKEN = /"(?:[^"\\]|\\.)*"|[-\d][-+.\deE]*/gs;
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?$/;
const HELD = new RegExp(`"${MARK}([^"]*)"`, "g");

const isKept = (token) => token[0] === '"' || !NUMBER.test(token) || String(Number(token)) === token;

/// Reads JSON; throws where it is none.
export const read = (text) =>
  JSON.parse(text.replace(TOKEN, (token) => (isKept(token) ? token : `"${MARK}${token}"`)));

/// Writes what was read, each number as it was.
export const write = (value, indent) => JSON.stringify(value, null, indent)?.replace(HELD, "$1");

/// A value as a person reads it: a text without quotes, everything else as JSON.
export const word = (value) =>
  typeof value === "string" && !value.startsWith(MARK) ? value : (write(value) ?? "");
