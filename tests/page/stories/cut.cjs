// A page of trees that the server had to cut: what it left out is read tree by tree, as it is seen.

module.exports = async (stage) => {
  const { is } = stage;
  const page = await stage.fresh();
  const alone = [];
  page.on("request", (request) => /\/sessions\/[^/]+\/tree$/.test(request.url()) && alone.push(request.url()));
  await page.route(/\/v1\/tree\?/, async (route) => {
    const answer = await route.fetch();
    const body = await answer.json();
    for (const root of body.items) Object.assign(root, { nodes: [], children: 0, cut: true });
    await route.fulfill({ response: answer, json: body });
  });
  await page.goto(`${stage.server.url}/#token=${stage.token}`);
  await stage.holds(() => document.querySelector('.row[aria-level="2"]:not([hidden])'), null, page);
  is("children that a page had no room for are there", true);
  const roots = await page.locator('.row[aria-level="1"]:not([hidden])').count();
  is(`for which ${alone.length} of ${roots} trees were read`, alone.length > 0 && alone.length <= 3 * roots);
  await page.context().close();
};
