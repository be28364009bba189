/** Who is signed in: OAuth code with PKCE (RFC 7636) against the platform that serves the page.
 *
 * The access token lives in memory alone. The refresh token, which each use replaces, lies in
 * sessionStorage, so that a reload signs nobody out; closing the tab does. A duplicated tab is given a
 * copy of it, and a refresh token that is used twice ends the session: such a tab signs in anew. */

import { route } from "./route.svelte";

const CLIENT_ID = "motorcade-page";
const OAUTH = "/oauth2/v3";
const REFRESH = "motorcade.refresh";
const PENDING = "motorcade.pending";
const TAB = "motorcade.tab";
const TAB_WAIT_MS = 500; // a page that is left lets go of its name by then
const ENDED = "This link has ended, or there never was one. Ask whoever sent it for another.";
const EARLY_MS = 60_000; // a token is replaced so long before it ends
const SCOPES =
  "openid offline_access email profile user_data vehicle_device_data vehicle_location vehicle_cmds " +
  "vehicle_charging_cmds energy_device_data energy_cmds";

interface Tokens {
  access_token: string;
  refresh_token?: string;
  expires_in: number;
}

function base64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replace(/\+/g, "-")
    .replace(/\//g, "_")
    .replace(/=+$/, "");
}

function chance(bytes: number): string {
  return base64url(crypto.getRandomValues(new Uint8Array(bytes)));
}

/** Take the name that this tab remembers; whether another one, which it is a copy of, has it. */
async function isCopy(): Promise<boolean> {
  if (!("locks" in navigator)) return false; // plain HTTP from another machine: nobody signs in there
  const known = sessionStorage.getItem(TAB);
  if (known !== null && (await holds(known))) return false;
  const name = chance(12);
  sessionStorage.setItem(TAB, name);
  await holds(name);
  return known !== null;
}

/** Hold the lock of this name for as long as the page lives; whether it could be had. */
function holds(name: string): Promise<boolean> {
  return new Promise((resolve) => {
    const signal = AbortSignal.timeout(TAB_WAIT_MS);
    navigator.locks
      .request(`motorcade.tab.${name}`, { signal }, () => {
        resolve(true);
        return new Promise(() => undefined);
      })
      .catch(() => resolve(false));
  });
}

class Session {
  status = $state<"starting" | "signed_out" | "signed_in">("starting");
  problem = $state("");
  share = $state(""); // the token of a shared link, in place of a person's
  shareEndsUs = $state(0);
  #access = "";
  #endsMs = 0;
  #renewing: Promise<void> | null = null;

  /** Take up what the URL or the tab remembers. */
  async start(): Promise<void> {
    const copied = await isCopy();
    if (copied) sessionStorage.removeItem(REFRESH);
    if (location.pathname === "/signed-in") {
      await this.#comeBack();
      return;
    }
    const shared = /^\/s\/([^/]+)/.exec(location.pathname);
    if (shared) this.share = decodeURIComponent(shared[1]);
    else if (sessionStorage.getItem(REFRESH) === null) {
      if (copied) return this.signIn(); // the browser knows the person: nothing is asked
      this.status = "signed_out";
      return;
    }
    try {
      await this.token();
      this.status = "signed_in";
    } catch {
      this.status = "signed_out";
    }
  }

  /** Send the browser to the platform's sign-in; it comes back to where one is now. */
  async signIn(): Promise<void> {
    const verifier = chance(48);
    const state = chance(18);
    const back = location.pathname === "/signed-in" || this.share ? "/" : location.pathname + location.search;
    sessionStorage.setItem(PENDING, JSON.stringify({ verifier, state, back }));
    const query = new URLSearchParams({
      response_type: "code",
      client_id: CLIENT_ID,
      redirect_uri: `${location.origin}/signed-in`,
      scope: SCOPES,
      state,
      code_challenge: base64url(await sha256(verifier)),
      code_challenge_method: "S256",
    });
    location.assign(`${OAUTH}/authorize?${query}`);
  }

  async signOut(): Promise<void> {
    const refresh = sessionStorage.getItem(REFRESH);
    this.#forget();
    this.status = "signed_out";
    if (refresh !== null) {
      const body = new URLSearchParams({ token: refresh, client_id: CLIENT_ID });
      await fetch(`${OAUTH}/revoke`, { method: "POST", body }).catch(() => undefined);
    }
  }

  /** The server took the token for no good: ask anew, or for the person. */
  async refused(): Promise<void> {
    this.#access = "";
    this.#endsMs = 0;
    try {
      await this.token();
    } catch {
      if (!this.share) this.#forget();
      this.problem = this.share ? ENDED : "You were signed out: the session has ended or was revoked.";
      this.status = "signed_out";
    }
  }

  /** A token that is good for a while. Raises when nobody is signed in any more. */
  async token(): Promise<string> {
    if (Date.now() > this.#endsMs - EARLY_MS) {
      // one at a time: a refresh token that is used twice ends the whole session
      this.#renewing ??= this.#renew().finally(() => (this.#renewing = null));
      await this.#renewing;
    }
    return this.#access;
  }

  /** Exchange the link's token for one that reads what it shows. */
  async #openShare(): Promise<void> {
    const answer = await fetch("/api/2/shares/open", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ token: this.share }),
    });
    if (!answer.ok) {
      this.problem = answer.status === 404 ? ENDED : "The link cannot be opened now: wait a minute, then load it anew.";
      throw new Error(this.problem);
    }
    const { response } = (await answer.json()) as { response: Tokens & { view: string; ends_us: number } };
    const first = this.shareEndsUs === 0;
    this.#access = response.access_token;
    this.#endsMs = Date.now() + response.expires_in * 1000;
    this.shareEndsUs = response.ends_us;
    if (first) route.take(response.view);
  }

  async #renew(): Promise<void> {
    if (this.share) return this.#openShare();
    const refresh = sessionStorage.getItem(REFRESH);
    if (refresh === null) throw new Error("nobody is signed in");
    const answer = await fetch(`${OAUTH}/token`, {
      method: "POST",
      body: new URLSearchParams({
        grant_type: "refresh_token",
        client_id: CLIENT_ID,
        refresh_token: refresh,
      }),
    });
    if (answer.status >= 500) throw new Error("the server cannot renew the session now");
    if (!answer.ok) {
      this.#forget();
      throw new Error("the session has ended");
    }
    this.#keep((await answer.json()) as Tokens);
  }

  async #comeBack(): Promise<void> {
    const query = new URLSearchParams(location.search);
    const pending = JSON.parse(sessionStorage.getItem(PENDING) ?? "null") as {
      verifier: string;
      state: string;
      back: string;
    } | null;
    sessionStorage.removeItem(PENDING);
    history.replaceState(null, "", pending?.back ?? "/");
    dispatchEvent(new PopStateEvent("popstate"));
    const code = query.get("code");
    if (code === null || pending === null || query.get("state") !== pending.state) {
      this.problem = query.get("error_description") ?? query.get("error") ?? "The sign-in was not begun in this tab.";
      this.status = "signed_out";
      return;
    }
    const answer = await fetch(`${OAUTH}/token`, {
      method: "POST",
      body: new URLSearchParams({
        grant_type: "authorization_code",
        client_id: CLIENT_ID,
        code,
        redirect_uri: `${location.origin}/signed-in`,
        code_verifier: pending.verifier,
      }),
    }).catch(() => null);
    if (answer === null || !answer.ok) {
      this.problem = "The sign-in could not be finished. Try again.";
      this.status = "signed_out";
      return;
    }
    this.#keep((await answer.json()) as Tokens);
    this.status = "signed_in";
  }

  #keep(tokens: Tokens): void {
    this.#access = tokens.access_token;
    this.#endsMs = Date.now() + tokens.expires_in * 1000;
    if (tokens.refresh_token) sessionStorage.setItem(REFRESH, tokens.refresh_token);
    this.problem = "";
  }

  #forget(): void {
    this.#access = "";
    this.#endsMs = 0;
    sessionStorage.removeItem(REFRESH);
  }
}

/** `crypto.subtle` is absent where the page came by plain HTTP from another machine. */
async function sha256(text: string): Promise<Uint8Array> {
  if (!("subtle" in crypto) || crypto.subtle === undefined) {
    throw new Error("sign-in needs HTTPS, or the page's own machine (localhost)");
  }
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
}

export const session = new Session();
