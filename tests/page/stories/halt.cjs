// Somebody stops everything, and lets it begin again.

module.exports = async (stage) => {
  const { page, is } = stage;
  const session = await stage.open("poet", "for ever", "the last poet");
  await stage.holds(() => document.querySelector("#panel").dataset.state === "running");
  await page.click("[data-action=halt]");
  await page.fill("[data-field=reason]", "fire");
  await page.click("[data-submit=halt]");
  await stage.holds(() => document.querySelector("#panel").dataset.state === "cancelled");
  is("everything was stopped, and it says why", (await page.textContent("#halted-why")) === "fire");
  await page.fill("#composer-text", "for ever");
  await page.click("[data-action=send]");
  await stage.holds(() => document.querySelector("#composer-fault").textContent.includes("fire"));
  is(
    `nothing begins: ${await page.textContent("#composer-fault")}`,
    (await page.inputValue("#composer-text")) !== "",
  );
  await page.click("[data-action=unhalt]");
  await page.click("[data-submit=unhalt]");
  await stage.holds(() => document.querySelector("#halted").hidden);
  await page.click("[data-action=send]");
  await stage.holds(() => document.querySelector("#panel").dataset.state === "running");
  is("until somebody lets it", true);
  await stage.call("POST", `/v1/sessions/${session}/cancel`, {});
  await stage.holds(() => document.querySelector("#panel").dataset.state === "cancelled");
};
