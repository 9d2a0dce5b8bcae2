// A token that may only look is offered nothing else, and is told why; a link with another token than the
// one of this tab asks first.

const { lesser } = require("../house.cjs");

module.exports = async (stage) => {
  const { is } = stage;
  const { items } = await stage.call("GET", "/v1/sessions?limit=1");
  const waiting = await stage.call("POST", "/v1/sessions", { agent: "clerk" });
  await stage.call("POST", `/v1/sessions/${waiting.session}/messages`, { text: "a letter" });
  const [word] = lesser.guest;
  const page = await stage.visit(word);
  await stage.seen("#rights:not([hidden])", page);
  is(
    `it is said in the header: ${await page.textContent("#rights")}`,
    (await page.getAttribute("#rights", "title")).includes("act"),
  );
  is("no session can be started", await page.isHidden("[data-action=start]"));
  await page.keyboard.press("n");
  is("nor by a key", (await page.locator("dialog").count()) === 0);
  await page.click(`.row[data-session="${items[0].session}"]`);
  await stage.seen("#talk-list [data-kind]", page);
  is(
    `no orders: ${await page.textContent("#panel-actions")}`,
    (await page.locator("#panel-actions button").count()) === 0,
  );
  is("no message", await page.isHidden("#composer"));
  is("no fork from a message", (await page.locator("[data-action=fork-here]").count()) === 0);
  await page.keyboard.press("Escape");
  await page.keyboard.press("a");
  await stage.seen(`[data-approval="${waiting.session}/a1"]`, page);
  is(
    `no answers: ${await page.textContent(`[data-approval="${waiting.session}/a1"] .why`)}`,
    (await page.locator("[data-answer]").count()) === 0,
  );
  await page.keyboard.press("Escape");
  await page.click("#jobs-tab");
  await page.locator("#jobs-body tr").first().click();
  await stage.seen("#job-actions .why", page);
  is("no orders to jobs", (await page.locator("#job-actions button").count()) === 0);
  await page.keyboard.press("Escape");

  // A link with another token, opened in this tab.
  await page.goto(`${stage.server.url}/#token=${stage.token}`);
  await stage.seen("#dialog-other-token", page);
  is("another token asks first, and is out of the address", !page.url().includes(stage.token));
  await page.click("#dialog-other-token footer button >> nth=0");
  is("nobody is somebody else unasked", !(await page.isHidden("#rights")));
  await page.goto(`${stage.server.url}/#token=${stage.token}`);
  await page.click("[data-submit=other-token]");
  await stage.seen("[data-action=start]:not([hidden])", page);
  is("and is when they say so", await page.isHidden("#rights"));
  await page.context().close();
  await stage.call("POST", `/v1/sessions/${waiting.session}/cancel`, {});
};
