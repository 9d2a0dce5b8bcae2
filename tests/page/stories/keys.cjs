// Everything by hand on the keyboard, and what a screen reader is told on the way.

module.exports = async (stage) => {
  const { page, is } = stage;
  const press = (...keys) =>
    keys.reduce((before, key) => before.then(() => page.keyboard.press(key)), Promise.resolve());
  const current = () =>
    page.evaluate(() => {
      const row = document.getElementById(
        document.querySelector("#tree").getAttribute("aria-activedescendant"),
      );
      return (
        row && { id: row.dataset.session, level: row.ariaLevel, open: row.ariaExpanded, name: row.ariaLabel }
      );
    });
  const focus = () => page.evaluate(() => document.activeElement.id || document.activeElement.className);

  await page.focus("#tree");
  await press("Home");
  const roots = await page.evaluate(
    () => [...document.querySelectorAll(".row[aria-expanded]:not([hidden])")].length,
  );
  is("leads can be unfolded", roots > 0);
  for (let at = 0; at < 40 && (await current()).open === null; at += 1) await press("j");
  const lead = await current();
  is(`a screen reader hears: ${lead.name}`, lead.level === "1" && lead.open !== null);
  const unfolded = (wanted) =>
    stage.holds(
      ([id, wanted]) => {
        const row = document.getElementById(
          document.querySelector("#tree").getAttribute("aria-activedescendant"),
        );
        return row?.dataset.session === id && row.ariaExpanded === wanted;
      },
      [lead.id, wanted],
    );
  if (lead.open === "false") await press("ArrowRight");
  await unfolded("true");
  await press("ArrowRight");
  is("right: its first child", (await current()).level === "2");
  await press("ArrowLeft", "ArrowLeft");
  await unfolded("false");
  await press("ArrowRight");
  await unfolded("true");
  is("left folds it, right unfolds it", true);

  await press("Enter");
  await stage.holds(
    (id) => document.querySelector("#panel").dataset.session === id && !document.querySelector("#panel").hidden,
    lead.id,
  );
  await press("m");
  is("m: the message", (await focus()) === "composer-text");
  await press("Escape", "Escape");
  is(
    "Escape goes back to the row",
    (await page.isHidden("#panel")) && (await focus()) === "tree" && (await current()).id === lead.id,
  );

  await press("/");
  await page.keyboard.type("clerk");
  await stage.holds(() => /of/.test(document.querySelector("#matched").textContent));
  await press("Escape");
  await stage.holds(() => /sessions/.test(document.querySelector("#matched").textContent));
  is("/ searches, Escape leaves it", (await page.inputValue("#search")) === "");
  await press("3");
  is("3: what waits", (await page.getAttribute("[data-filter=waiting]", "aria-pressed")) === "true");
  await press("1");

  const { session } = await stage.call("POST", "/v1/sessions", { agent: "clerk" });
  await stage.call("POST", `/v1/sessions/${session}/messages`, { text: "a letter" });
  await stage.holds(() => document.querySelector("#stat-approvals b").textContent === "1");
  await press("a");
  await stage.holds((id) => document.activeElement.dataset.approval === id, `${session}/a1`);
  is("a: the question, not its answer", true);
  await press("Enter");
  is("Enter: its answers", (await page.evaluate(() => document.activeElement.dataset.answer)) === "once");
  await press("Enter");
  await stage.holds(() => document.querySelectorAll("[data-approval]").length === 0);
  await press("Escape");

  await press("g", "g");
  await press("j");
  const job = await page.evaluate(() => document.activeElement.closest("tr")?.dataset.job);
  await press("Enter");
  await stage.holds(
    (id) => document.querySelector("#job").dataset.job === id && !document.querySelector("#job").hidden,
    job,
  );
  await press("Escape");
  is(
    "g: agents, jobs; j and Enter open one, Escape goes back to it",
    (await page.evaluate(() => document.activeElement.closest("tr")?.dataset.job)) === job,
  );
  await press("g", "?");
  await stage.seen("#dialog-help");
  await press("Escape");
  await stage.holds(() => !document.querySelector("dialog"));
  is("? says all keys, Escape leaves them", true);
};
