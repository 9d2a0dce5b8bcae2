// What a session is for, and points in its log to go on from.

module.exports = async (stage) => {
  const { page, is } = stage;
  const session = await stage.open("clerk", "no letter today", "the clerk");
  await stage.seen("#talk [data-approval]");
  await page.click("#talk [data-answer=revise]");
  await page.fill("#talk [data-approval] textarea", "leave it");
  await page.click("#talk [data-answer-send=revise]");
  await stage.holds(() => document.querySelector("#panel").dataset.state === "completed");

  await page.click("[data-action=goal]");
  await page.fill("[data-field=objective]", "every letter has its stamp");
  await page.fill("[data-field=tokens]", "5000");
  await page.click("[data-submit=goal]");
  await stage.holds(() => document.querySelector("#goal-text").textContent === "every letter has its stamp");
  is("a goal is set", !(await page.isHidden("#panel-goal")));
  await page.click("[data-action=goal-edit]");
  await page.fill("[data-field=objective]", "");
  await page.click("[data-submit=goal]");
  await stage.holds(() => document.querySelector("#panel-goal").hidden);
  is("and taken away", (await stage.call("GET", `/v1/sessions/${session}/goal`)) === null);

  await page.click("[data-action=mark]");
  await page.fill("[data-field=name]", "before the post");
  await page.click("[data-submit=mark]");
  await stage.holds(() => !document.querySelector("#panel-marks").hidden);
  const [{ at }] = (await stage.call("GET", `/v1/sessions/${session}/checkpoints`)).items;
  await page.click("#panel-marks summary");
  await page.click("[data-mark='before the post'] [data-action=fork-mark]");
  is(
    "a checkpoint is what a fork begins at",
    (await page.inputValue("#dialog-fork [data-field=at]")) === String(at),
  );
  await page.click("[data-submit=fork]");
  await stage.holds((id) => ![id, ""].includes(document.querySelector("#panel").dataset.session), session);
  await stage.holds(() => document.querySelector("#talk-list").textContent.includes("forked"));
  is("the fork is open, and says where it comes from", true);

  // From any message of the conversation, too.
  await page.click(`.row[data-session="${session}"]`);
  await stage.seen("#talk .said [data-action=fork-here]");
  const said = (await stage.call("GET", `/v1/sessions/${session}/frames?limit=100`)).items.find((frame) =>
    frame.events.some((event) => event.type === "input_accepted"),
  );
  await page.hover("#talk .said header");
  await page.click("#talk .said [data-action=fork-here]");
  const offered = await page.inputValue("#dialog-fork [data-field=at]");
  is(`a message is what a fork begins at: frame ${offered}`, offered === String(said.position));
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");

  // What binds it is told in figures.
  await stage.open("lead", "within bounds", "the bounded");
  await page.click("#panel-facts summary");
  await stage.seen("#panel-facts .purse");
  is(
    `its budget: ${await page.textContent("#panel-facts .purse")}`,
    (await page.locator("#panel-facts .purse").count()) === 2,
  );
  await page.keyboard.press("Escape");
  await page.keyboard.press("a");
  await page.locator("#inbox-list [data-answer=no]").first().click();
  await stage.holds(() => document.querySelectorAll("#inbox-list [data-approval]").length === 0);
  await page.keyboard.press("Escape");
};
