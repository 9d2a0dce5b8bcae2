// Stored markup stays text wherever it stands, the policy of the page refuses what would run all the
// same, and what somebody is asked to allow is shown with the characters that nobody sees.

const MARKUP = `<img src=x onerror="document.title='broken'">`;

module.exports = async (stage) => {
  const { page, is } = stage;
  const session = await stage.open("sly", MARKUP, MARKUP);
  await stage.call("PUT", `/v1/sessions/${session}/goal`, {
    objective: `${MARKUP}<script>document.title='broken'</script>`,
  });
  await stage.call("POST", `/v1/sessions/${session}/checkpoints`, { name: MARKUP, value: MARKUP });
  await stage.holds(
    () => !document.querySelector("#panel-marks").hidden && !document.querySelector("#panel-goal").hidden,
  );
  await stage.seen("#talk [data-approval]");
  for (const details of await page.$$("#panel details:not([open]) > summary")) await details.click();
  const words = await page.textContent("#panel");
  is("markup is shown as it is written", words.split("onerror").length > 4);
  const made = await page.locator("#panel img, #panel script, #tree img").count();
  is("stored script is text", (await page.title()) !== "broken" && made === 0);

  const boxes = await page.$$eval("#talk [data-approval] .command .odd", (all) =>
    all.map((one) => one.textContent),
  );
  is(`what turns the reading around stands in boxes: ${boxes}`, boxes.join() === "\\u{202e},\\u{200b}");
  const told = await page.textContent("#talk [data-approval] .warned");
  is("and it is said", told.includes("cannot be seen"));
  await page.click("#talk [data-approval] [data-answer=edit]");
  const typed = await page.inputValue("#talk [data-approval] textarea");
  is("who edits it edits an escape", typed.includes("\\u202e") && !typed.includes("\u202e"));
  await page.click("#talk [data-approval] [data-answer=no]");
  await stage.holds(() => !document.querySelector("#talk [data-approval]"));
  is("denied", true);
  await page.keyboard.press("Escape");

  // The ear for violations is not deaf: a page that is made to try hears of it.
  const before = stage.trouble.length;
  const other = await stage.visit(stage.token);
  await other.evaluate(() => {
    const script = document.createElement("script");
    script.textContent = "window.broken = true";
    document.body.append(script);
    document.body.insertAdjacentHTML(
      "beforeend",
      `<img src="https://example.org/x.png" onerror="window.broken = true">`,
    );
  });
  await other.waitForTimeout(300);
  is("the policy lets no script in that is not a file of ours", !(await other.evaluate(() => window.broken)));
  const heard = stage.trouble.splice(before);
  is(
    "and the console says so",
    heard.some((line) => /script-src/.test(line)) && heard.some((line) => /img-src/.test(line)),
  );
  await other.context().close();
};
