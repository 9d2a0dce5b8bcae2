// Owns: how a model's text is set: fenced code, headings, lists, `code` and **bold**, and nothing
// else. It builds elements from text nodes; markup that a text contains is shown as it is written.

import { h } from "./dom.js";

/// The elements of a text.
export function prose(text) {
  const out = [];
  text.split(/^(```[^\n]*\n[\s\S]*?(?:^```[ \t]*$|$(?![\s\S])))/m).forEach((part) => {
    if (part.startsWith("```")) out.push(fence(part));
    else blocks(part, out);
  });
  return out;
}

function fence(part) {
  const end = part.indexOf("\n");
  const language = part.slice(3, end).trim();
  const code = part.slice(end + 1).replace(/\n?```[ \t]*\n?$/, "");
  return h("pre", { class: "code", "data-language": language || null }, h("code", {}, code));
}

function blocks(part, out) {
  for (const block of part.split(/\n{2,}/)) {
    const text = block.replace(/^\n+|\n+$/g, "");
    if (!text.trim()) continue;
    const lines = text.split("\n");
    const heading = lines.length === 1 && text.match(/^#{1,4} +(.*)$/);
    if (heading) out.push(h("p", { class: "heading" }, inline(heading[1])));
    else if (lines.every((line) => /^\s*([-*]|\d+[.)]) +/.test(line))) out.push(list(lines));
    else out.push(h("p", {}, inline(text)));
  }
}

function list(lines) {
  const tag = /^\s*\d/.test(lines[0]) ? "ol" : "ul";
  return h(
    tag,
    {},
    lines.map((line) => h("li", {}, inline(line.replace(/^\s*([-*]|\d+[.)]) +/, "")))),
  );
}

function inline(text) {
  return text.split(/(`[^`\n]+`|\*\*[^*\n]+\*\*)/).map((part) => {
    if (part.length > 2 && part.startsWith("`") && part.endsWith("`")) return h("code", {}, part.slice(1, -1));
    if (part.length > 4 && part.startsWith("**") && part.endsWith("**"))
      return h("strong", {}, part.slice(2, -2));
    return part;
  });
}
