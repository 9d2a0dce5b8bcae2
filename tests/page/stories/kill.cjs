// The server is killed while a session works and somebody looks, three times: the page says so, comes back
// by itself, and what it shows is what the log holds, without a gap and nothing twice.

const KILLS = 3;

async function logged(stage, session) {
  const frames = [];
  for (let after = 0; ;) {
    const { items } = await stage.call("GET", `/v1/sessions/${session}/frames?after=${after}&limit=500`);
    if (items.length === 0) return frames;
    frames.push(...items);
    after = items.at(-1).position;
  }
}

module.exports = async (stage) => {
  const { page, is } = stage;
  const asked = [];
  page.on("request", (request) => {
    const path = new URL(request.url()).pathname;
    if (/\/(events|frames)$/.test(path)) asked.push([path, request.headers()["last-event-id"]]);
  });
  const session = await stage.open("counter", "count", "the counter");
  const calls = () => page.$$eval("#talk-list > [data-kind=tool]", (all) => all.length);
  for (let kill = 1; kill <= KILLS; kill += 1) {
    const before = await calls();
    await stage.holds(
      (most) => document.querySelectorAll("#talk-list > [data-kind=tool]").length > most,
      before + 3,
    );
    stage.kill();
    await stage.holds(() => document.querySelector("#connection").dataset.state === "waiting");
    const away = await page.textContent("#connection-word");
    asked.length = 0;
    await stage.begin();
    await stage.holds(() => document.querySelector("#connection").dataset.state === "live");
    const then = await calls();
    await stage.holds(
      (most) => document.querySelectorAll("#talk-list > [data-kind=tool]").length > most,
      then + 2,
    );
    is(`killed (${kill}), “${away}”, and it goes on`, true);
    const resumed = asked.filter(([path, from]) => path.endsWith("/events") && Number(from) > 0);
    is(
      "the conversation was taken up where it was, not read again",
      resumed.length > 0 && !asked.some(([path]) => path.endsWith("/frames")),
    );
  }
  await page.click("[data-action=cancel]");
  await page.click("[data-submit=cancel]");
  await stage.holds(() => document.querySelector("#panel").dataset.state === "cancelled");
  await stage.holds(() =>
    document.querySelector("#talk-list > :last-child [class*=end], #talk-list > .end:last-child"),
  );

  const events = (await logged(stage, session)).flatMap((frame) => frame.events);
  const wanted = (type, id) => events.filter((event) => event.type === type).map(id);
  const shown = (kind) =>
    page.$$eval(`#talk-list > [data-kind=${kind}]`, (all) => all.map((one) => one.dataset.item));
  const same = (one, other) => one.length === other.length && one.every((id, at) => id === other[at]);
  const tools = await shown("tool");
  is(
    `each of ${tools.length} calls once, in its order`,
    same(
      tools,
      wanted("tool_requested", (event) => `t${event.call}`),
    ),
  );
  const replies = await shown("reply");
  is(
    `each of ${replies.length} answers once, in its order`,
    same(
      replies,
      wanted("model_call_started", (event) => `m${event.call}`),
    ),
  );
  const restarts = await page
    .locator("#talk-list .note", { hasText: "started again with the process" })
    .count();
  is(
    `${restarts} starts of the process, as in the log`,
    restarts === wanted("session_restarted", () => 1).length && restarts === KILLS,
  );
  const open = await page.locator("#talk-list .caret, #talk-list .busy").count();
  is("nothing looks as if it still went on", open === 0);

  // An answer that streams when the server dies begins anew, and is there once.
  await page.keyboard.press("Escape");
  await stage.open("poet", "for ever", "another poet");
  await stage.holds(() => (document.querySelector(".live-text")?.textContent ?? "").length > 20);
  stage.kill();
  await stage.holds(() => document.querySelector("#connection").dataset.state === "waiting");
  await stage.begin();
  await stage.holds(() => document.querySelector("#connection").dataset.state === "live");
  await stage.holds(() => [...document.querySelectorAll(".live-text")].at(-1)?.textContent.length > 20);
  const items = await page.$$eval("#talk-list > [data-item]", (all) => all.map((one) => one.dataset.item));
  is("live again, nothing twice", items.length > 0 && new Set(items).size === items.length);
};
