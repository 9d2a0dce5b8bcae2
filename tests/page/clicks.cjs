// What a person does on the page, story by story, against one server: each tells what was seen of it. The
// stories share the house, so that what one of them left is what the next one finds.

const { mkdtempSync, rmSync } = require("node:fs");
const { tmpdir } = require("node:os");
const path = require("node:path");
const { browse, call, end, serve, token } = require("./house.cjs");

const STORIES = ["watch", "cut", "sly", "marks", "jobs", "guest", "keys", "kill", "halt"];
const PATIENCE_MS = 20_000;

/** What every story is given: the house, a page in it, and words for what is to be seen there. */
class Stage {
  constructor({ program, store, is }) {
    Object.assign(this, { program, store, is, trouble: [], port: 0 });
  }

  async begin() {
    this.server = await serve(this.program, "tests/page/agents.toml", this.store, this.port);
    this.port = new URL(this.server.url).port;
  }

  /** Kills the server as a power cut would. */
  kill() {
    end(this.server, "SIGKILL");
  }

  call(method, path, body) {
    return call(this.server, method, path, body);
  }

  /** Another browser, which knows nothing of this one. */
  async visit(word, options) {
    const page = await this.fresh(options);
    await page.goto(`${this.server.url}/#token=${word}`);
    await page.waitForSelector("#connection[data-state=live]", { timeout: PATIENCE_MS });
    return page;
  }

  seen(selector, page = this.page) {
    return page.waitForSelector(selector, { timeout: PATIENCE_MS });
  }

  holds(question, value, page = this.page) {
    return page.waitForFunction(question, value, { timeout: PATIENCE_MS });
  }

  /** Starts a session by hand; its panel is open then. */
  async open(agent, text, name) {
    const { page } = this;
    await page.click("[data-action=start]");
    await page.selectOption("[data-field=agent]", agent);
    await page.fill("[data-field=text]", text);
    await page.fill("[data-field=name]", name);
    await page.click("[data-submit=start]");
    await this.holds((name) => document.querySelector("#panel-title")?.textContent === name, name);
    return page.getAttribute("#panel", "data-session");
  }
}

async function main(program, pictures, is, stories = STORIES) {
  const folder = mkdtempSync(path.join(tmpdir(), "page-"));
  const stage = new Stage({ program, store: path.join(folder, "page.db"), is });
  try {
    await stage.begin();
    const { browser, page: fresh } = await browse(stage.trouble);
    Object.assign(stage, { fresh, page: await fresh(), token });
    for (const story of stories) {
      console.log(`-- ${story}`);
      await require(`./stories/${story}.cjs`)(stage);
    }
    if (pictures) await pictured(stage.page, pictures);
    is(`no trouble in the page: ${stage.trouble.join("; ") || "none"}`, stage.trouble.length === 0);
    await browser.close();
    end(stage.server, "SIGINT");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function pictured(page, folder) {
  for (const [width, height] of [
    [1440, 900],
    [1024, 768],
    [390, 844],
  ]) {
    for (const scheme of ["light", "dark"]) {
      await page.setViewportSize({ width, height });
      await page.emulateMedia({ colorScheme: scheme });
      await page.screenshot({ path: path.join(folder, `page-${width}-${scheme}.png`) });
    }
  }
}

module.exports = { main };
