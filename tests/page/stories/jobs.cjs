// Jobs: listed, watched as a host tells how far they are, held, let go on, tried again, cancelled.

module.exports = async (stage) => {
  const { page, is } = stage;
  const ask = (body) => stage.call("POST", "/v1/jobs", body);
  const state = (id) => stage.call("GET", `/v1/jobs/${id}`).then((job) => job.state);
  const job = await ask({ name: "index the plays", payload: "{}" });
  const broken = await ask({ name: "print the bill", payload: "{}", attempts_max: 1 });
  const { attempt } = await stage.call("POST", `/v1/jobs/${broken.id}/start`, {});
  await stage.call("POST", `/v1/jobs/${broken.id}/fail`, { attempt, error: "no paper", for_good: true });

  await page.click("#jobs-tab");
  await stage.seen(`tr[data-job="${job.id}"]`);
  await stage.seen(`tr[data-job="${broken.id}"][data-state=failed]`);
  is("jobs are listed", (await page.textContent(`tr[data-job="${broken.id}"]`)).includes("no paper"));
  await page.click("[data-jobs=failed]");
  is("and found by how they are", (await page.locator("#jobs-body tr").count()) === 1);
  await page.click("[data-jobs='']");
  await page.fill("#search", "plays");
  await stage.holds(() => document.querySelectorAll("#jobs-body tr").length === 1);
  await page.fill("#search", "");

  await page.click(`tr[data-job="${job.id}"]`);
  await stage.seen("#job [data-action=job-pause]");
  const taken = await stage.call("POST", `/v1/jobs/${job.id}/start`, {});
  await stage.call("POST", `/v1/jobs/${job.id}/progress`, {
    attempt: taken.attempt,
    percent: 42,
    detail: "act two",
  });
  await stage.holds(() => document.querySelector("#job-progress").textContent === "42%");
  await stage.holds(
    (id) => document.querySelector(`tr[data-job="${id}"]`).textContent.includes("act two"),
    job.id,
  );
  is("how far it is comes by itself, in the list and beside it", true);

  const order = async (verb, wanted) => {
    await page.click(`[data-action=job-${verb}]`);
    await page.click(`[data-submit=job-${verb}]`);
    await stage.holds((word) => document.querySelector("#job-word").textContent === word, wanted);
    return (await state(job.id)) === wanted;
  };
  is("held", await order("pause", "paused"));
  is("let go on", await order("resume", "running"));
  await page.click("[data-action=job-cancel]");
  await page.fill("[data-field=reason]", "nobody reads it");
  await page.click("[data-submit=job-cancel]");
  await stage.holds(() => document.querySelector("#job-word").textContent === "cancelled");
  const history = await page.$$eval("#job .history b", (all) => all.map((one) => one.textContent));
  is(
    `what happened is told, the latest first: ${history.join(", ")}`,
    history[0] === "cancelled" && history.at(-1) === "created",
  );
  is("tried again", await order("retry", "queued"));

  // A job that an agent does leads to its session.
  const asked = await ask({ name: "a stamp", agent: "clerk", prompt: "no letter today" });
  await stage.seen(`tr[data-job="${asked.id}"][data-state=running]`);
  await page.click(`tr[data-job="${asked.id}"]`);
  await page.click("#job [data-session]");
  await stage.seen("#panel:not([hidden]) [data-approval]");
  is("and from there to its session", await page.isHidden("#job"));
  await page.click("#talk [data-answer=no]");
  await page.keyboard.press("Escape");
  await page.click("[data-view-tab=tree]");
};
