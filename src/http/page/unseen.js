// Owns: characters that no eye sees or that turn the direction of reading: what somebody says yes to is
// shown with each of them in a box, so that the text on the screen is the text that runs. The list is that
// of the runtime (`domain/unseen.rs`): a test holds the two together, over every character there is.

import { h } from "./dom.js";

// Tab and the end of a line are what they look like.
const CONTROL = "\\u{0}-\\u{8}\\u{b}-\\u{1f}\\u{7f}-\\u{9f}";
const TURNS = "\\u{61c}\\u{200e}\\u{200f}\\u{202a}-\\u{202e}\\u{2066}-\\u{2069}";
const NO_SHAPE =
  "\\u{ad}\\u{34f}\\u{115f}\\u{1160}\\u{17b4}\\u{17b5}\\u{180b}-\\u{180f}\\u{200b}-\\u{200d}\\u{2028}\\u{2029}" +
  "\\u{2060}-\\u{206f}\\u{3164}\\u{fe00}-\\u{fe0f}\\u{feff}\\u{ffa0}\\u{fff0}-\\u{fffb}" +
  "\\u{13430}-\\u{1343f}\\u{1bca0}-\\u{1bca3}\\u{1d173}-\\u{1d17a}\\u{e0000}-\\u{e0fff}";
const BLANK = "\\u{a0}\\u{1680}\\u{2000}-\\u{200a}\\u{202f}\\u{205f}\\u{2800}\\u{3000}";
// A half of a pair is no character: it is drawn as anything, or as nothing.
const HALF = "\\u{d800}-\\u{dfff}";
const ODD = new RegExp(`[${CONTROL}${TURNS}${NO_SHAPE}${BLANK}${HALF}]`, "gu");
const TURNING = new RegExp(`[${TURNS}]`, "u");

const code = (character) => character.codePointAt(0).toString(16);

/// A text as parts to be put into an element: what has no shape in a box with its number.
export function shown(text) {
  const parts = [];
  let upTo = 0;
  for (const found of String(text).matchAll(ODD)) {
    if (found.index > upTo) parts.push(text.slice(upTo, found.index));
    const what = TURNING.test(found[0]) ? "turns the direction of reading" : "cannot be seen";
    const title = `U+${code(found[0]).toUpperCase().padStart(4, "0")}: a character that ${what}`;
    parts.push(h("mark", { class: "odd", title }, `\\u{${code(found[0])}}`));
    upTo = found.index + found[0].length;
  }
  if (upTo < text.length) parts.push(text.slice(upTo));
  return parts;
}

/// The same within JSON, where each can be written as an escape: it is edited as what it is.
export const escaped = (json) =>
  json.replace(ODD, (character) =>
    [...Array(character.length).keys()]
      .map((at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, "0")}`)
      .join(""),
  );
