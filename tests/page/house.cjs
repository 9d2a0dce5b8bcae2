// What every lane of the page stands on: a server of its own on a store of its own, and a browser that
// tells of whatever goes wrong in it.

const { spawn } = require("node:child_process");
const { chromium } = require("playwright-core");

const token = "a-token-for-the-pages-own-tests-only";
/** Tokens that may less, by name: what each may is behind it. */
const lesser = { guest: ["a-guest-that-is-let-in-to-look-only", "read"] };

/** Starts a server on the store; port 0 takes any, and a killed one comes back at its own. */
function serve(program, agents, store, port) {
  const args = ["serve", "--agents", agents, "--store", store, "--listen", `127.0.0.1:${port}`];
  const env = { ...process.env, PAGE_TOKEN: token };
  args.push("--token-env", "PAGE_TOKEN");
  for (const [name, [value, scopes]] of Object.entries(lesser)) {
    env[`PAGE_${name.toUpperCase()}`] = value;
    args.push("--grant", `${name}=PAGE_${name.toUpperCase()}=${scopes}`);
  }
  const child = spawn(program, args, { env, stdio: ["ignore", "pipe", "inherit"] });
  // A lane that breaks off leaves nobody behind.
  process.on("exit", () => child.kill("SIGKILL"));
  return new Promise((listening, broken) => {
    let said = "";
    child.stdout.on("data", (text) => {
      said += text;
      const found = said.match(/listening on (http:\S+)/);
      if (found) listening({ child, url: found[1] });
    });
    child.on("exit", (code) => broken(new Error(`the server ended with ${code}: ${said}`)));
  });
}

/** A request as a program makes it. */
async function call(server, method, path, body) {
  const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
  if (method !== "GET") headers["Idempotency-Key"] = crypto.randomUUID();
  const answer = await fetch(server.url + path, { method, headers, body: body && JSON.stringify(body) });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  return text ? JSON.parse(text) : null;
}

/** A browser. What its pages stumble over, and what their policy had to refuse, is put into `trouble`. */
async function browse(trouble) {
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
  const page = async (options) => {
    const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
    const page = await context.newPage();
    page.on("pageerror", (error) => trouble.push(error.message));
    page.on("console", (line) => {
      if (/Content Security Policy/i.test(line.text())) trouble.push(line.text());
    });
    return page;
  };
  return { browser, page };
}

/** Ends a server that is not to be missed. */
function end(server, signal) {
  server.child.removeAllListeners("exit");
  server.child.kill(signal);
}

module.exports = { browse, call, end, lesser, serve, token };
