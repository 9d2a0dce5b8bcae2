// What a person does on the page, step by step, against a server of its own: it opens a session, watches
// it, approves, cancels, releases; the server is killed and comes back. Each step says what was seen.

const { mkdtempSync, rmSync } = require("node:fs");
const { tmpdir } = require("node:os");
const path = require("node:path");
const { browse, end, serve, token } = require("./house.cjs");

async function main(program, pictures, is) {
  const folder = mkdtempSync(path.join(tmpdir(), "page-"));
  try {
    await clicked({ program, store: path.join(folder, "page.db"), pictures }, is);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function clicked({ program, store, pictures }, is) {
  let server = await serve(program, "tests/page/agents.toml", store, 0);
  const port = new URL(server.url).port;
  const trouble = [];
  const { browser, page: fresh } = await browse(trouble);
  const page = await fresh();
  const seen = (selector) => page.waitForSelector(selector, { timeout: 20_000 });
  const holds = (question, value) => page.waitForFunction(question, value, { timeout: 20_000 });

  // A wrong token is told, the right one lets in.
  await page.goto(server.url);
  await seen("#token:not([hidden])");
  await page.fill("#token-field", "a-wrong-token-that-is-long-enough");
  await page.click("[data-submit=token]");
  await holds(() => document.querySelector("#token-fault").textContent);
  is("a wrong token is told", true);
  await page.fill("#token-field", token);
  await page.click("[data-submit=token]");
  await seen("#connection[data-state=live]");
  is("the token is nowhere in the address", !page.url().includes(token));

  const open = async (agent, text, name) => {
    await page.click("[data-action=start]");
    await page.selectOption("[data-field=agent]", agent);
    await page.fill("[data-field=text]", text);
    await page.fill("[data-field=name]", name);
    await page.click("[data-submit=start]");
    await holds((name) => document.querySelector("#panel-title")?.textContent === name, name);
    return page.getAttribute("#panel", "data-session");
  };

  // Watched as it streams, and stored markup stays text.
  await open("poet", "for ever", "the poet");
  await holds(() => (document.querySelector(".live-text")?.textContent ?? "").length > 60);
  is("an answer is seen as it streams", true);
  await page.click("[data-action=cancel]");
  await page.fill("[data-field=reason]", "enough");
  await page.click("[data-submit=cancel]");
  await holds(() => document.querySelector("#panel").dataset.state === "cancelled");
  is("cancelled, and it says so", true);

  // A tree, a question from below, its answer.
  const lead = await open("lead", "go <i>on</i>", "the lead");
  await holds((lead) => {
    const rows = [...document.querySelectorAll(".row[data-session]:not([hidden])")];
    return rows.some((row) => row.dataset.session === lead) && rows.length >= 4;
  }, lead);
  is("lead and subagents stand in the tree", true);
  await page.keyboard.press("Escape");
  await page.keyboard.press("a");
  await seen("#inbox-list [data-approval]");
  is("what would run is shown", (await page.textContent("#inbox-list")).includes("the letter"));
  await page.locator("#inbox-list [data-answer=once]").first().click();
  await holds(() => document.querySelectorAll("#inbox-list [data-approval]").length === 0);
  await page.keyboard.press("Escape");
  await holds((lead) => {
    const row = document.querySelector(`.row[data-session="${lead}"]`);
    return row?.dataset.state === "completed";
  }, lead);
  is("approved, and everybody is done", true);
  const poet = page.locator(".row[data-session]", { hasText: "poet" }).last();
  await poet.click();
  await seen("#talk-list [data-kind]");
  await holds(() => document.querySelector("#talk-list").textContent.includes("onerror"));
  is(
    "stored script is text",
    (await page.title()) !== "broken" && (await page.locator("#talk img").count()) === 0,
  );

  // Off the stage and back.
  await open("faulty", "begin", "the faulty");
  await holds(() => document.querySelector("#panel").dataset.state === "quarantined");
  is("three panics, and it is off the stage", true);
  await page.click("[data-action=release-skip]");
  await page.click("[data-submit=release]");
  await holds(() => document.querySelector("#panel").dataset.state !== "quarantined");
  is("released by a person", true);

  // The server is killed and comes back at its address.
  await open("poet", "for ever", "another poet");
  await holds(() => (document.querySelector(".live-text")?.textContent ?? "").length > 20);
  end(server, "SIGKILL");
  await holds(() => document.querySelector("#connection").dataset.state === "waiting");
  is(`away, and it says so: ${await page.textContent("#connection-word")}`, true);
  server = await serve(program, "tests/page/agents.toml", store, port);
  await holds(() => document.querySelector("#connection").dataset.state === "live");
  await holds(() => (document.querySelector(".live-text")?.textContent ?? "").length > 20);
  const items = await page.$$eval("#talk-list > [data-item]", (all) => all.map((one) => one.dataset.item));
  is("live again, nothing twice", items.length > 0 && new Set(items).size === items.length);

  if (pictures) {
    for (const [width, height] of [
      [1440, 900],
      [1024, 768],
      [390, 844],
    ]) {
      for (const scheme of ["light", "dark"]) {
        await page.setViewportSize({ width, height });
        await page.emulateMedia({ colorScheme: scheme });
        await page.screenshot({ path: path.join(pictures, `page-${width}-${scheme}.png`) });
      }
    }
  }
  is(`no trouble in the page: ${trouble.join("; ") || "none"}`, trouble.length === 0);
  await browser.close();
  end(server, "SIGINT");
}

module.exports = { main };
