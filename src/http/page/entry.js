// Owns: the way in: the token of the address, the kept one, or the one that somebody types; and what a
// changed address means for a page that is open.

import { $ } from "./dom.js";
import { confirmed, token } from "./dialogs.js";
import { forgetToken, get, setToken, takeToken } from "./api.js";

/// Begins with the token that there is, or asks for one.
export async function enter(begin, askAgain) {
  const { held, other } = takeToken();
  if (other && (await isChosen())) setToken(other);
  held ? begin() : askAgain();
}

/// The server takes no token that is held: it is asked for, until one is taken.
export function askToken(begin) {
  forgetToken();
  if (!$("token").hidden) return;
  token(async (given) => {
    setToken(given);
    await get("/v1/status");
    begin();
  });
}

/// A link that is opened in this tab: it may name a session, or carry another token.
export function follows(open) {
  window.addEventListener("hashchange", async () => {
    const { other } = takeToken();
    if (other && (await isChosen())) {
      setToken(other);
      return location.reload();
    }
    const id = wanted();
    if (id) open(id);
  });
}

/// The session that the address names.
export const wanted = () => new URLSearchParams(location.hash.slice(1)).get("session");

const isChosen = () =>
  confirmed({
    id: "other-token",
    title: "Use the token of this link?",
    text: "This tab works with another token already. What you do is done under the name of the one that you choose.",
    submit: "Use the link's",
    back: "Keep mine",
    act: () => null,
  });
