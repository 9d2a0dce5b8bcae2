// A person lets themself in, opens sessions, watches them, approves, cancels, releases.

module.exports = async (stage) => {
  const { page, is } = stage;
  const seen = (selector) => stage.seen(selector);
  const holds = (question, value) => stage.holds(question, value);

  // A wrong token is told, the right one lets in.
  await page.goto(stage.server.url);
  await seen("#token:not([hidden])");
  await page.fill("#token-field", "a-wrong-token-that-is-long-enough");
  await page.click("[data-submit=token]");
  await holds(() => document.querySelector("#token-fault").textContent);
  is("a wrong token is told", true);
  await page.fill("#token-field", stage.token);
  await page.click("[data-submit=token]");
  await seen("#connection[data-state=live]");
  is("the token is nowhere in the address", !page.url().includes(stage.token));

  // Watched as it streams.
  await stage.open("poet", "for ever", "the poet");
  await holds(() => (document.querySelector(".live-text")?.textContent ?? "").length > 60);
  is("an answer is seen as it streams", true);
  await page.click("[data-action=cancel]");
  await page.fill("[data-field=reason]", "enough");
  await page.click("[data-submit=cancel]");
  await holds(() => document.querySelector("#panel").dataset.state === "cancelled");
  is("cancelled, and it says so", true);

  // A tree, a question from below, its answer.
  const lead = await stage.open("lead", "go <i>on</i>", "the lead");
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

  // Off the stage and back.
  await stage.open("faulty", "begin", "the faulty");
  await holds(() => document.querySelector("#panel").dataset.state === "quarantined");
  is("three panics, and it is off the stage", true);
  await page.click("[data-action=release-skip]");
  await page.click("[data-submit=release]");
  await holds(() => document.querySelector("#panel").dataset.state !== "quarantined");
  is("released by a person", true);
  await page.keyboard.press("Escape");
};
