/** Reads and writes of the API, with the person's token; errors as people need them. */

import { session } from "./session.svelte";

/** What went wrong, why, what to do, and the id that the log knows it by. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    text: string,
    readonly id: string,
  ) {
    super(text);
  }

  get advice(): string {
    if (this.status === 0) return "The server cannot be reached. The page tries again by itself.";
    if (this.status === 403) return "Ask an admin for the right.";
    if (this.status === 404) return "Search for it, or go back.";
    if (this.status === 429) return "Wait a moment, then try again.";
    return "Try again; if it stays, search the log by the id.";
  }
}

async function ask(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
  for (let attempt = 0; ; attempt++) {
    let answer: Response;
    try {
      const headers: Record<string, string> = { authorization: `Bearer ${await session.token()}` };
      if (body !== undefined) headers["content-type"] = "application/json";
      answer = await fetch(path, {
        method,
        headers,
        body: body === undefined ? null : JSON.stringify(body),
        signal: signal ?? null,
      });
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") throw error;
      throw new Problem(0, "unreachable", "The server did not answer.", "");
    }
    if (answer.ok) return answer;
    if (answer.status === 401 && attempt === 0) {
      await session.refused();
      if (session.status === "signed_in") continue;
    }
    throw await problemOf(answer);
  }
}

async function problemOf(answer: Response): Promise<Problem> {
  const id = answer.headers.get("x-txid") ?? answer.headers.get("x-request-id") ?? "";
  const text = await answer.text().catch(() => "");
  try {
    const told = JSON.parse(text) as { error?: string; error_description?: string; txid?: string };
    const words = told.error_description || told.error || answer.statusText;
    return new Problem(answer.status, told.error ?? "", words, told.txid ?? id);
  } catch {
    return new Problem(answer.status, "", text.slice(0, 200) || answer.statusText, id);
  }
}

/** `GET`, its body; an envelope's `response` where there is one. */
export async function read<T>(path: string, signal?: AbortSignal): Promise<T> {
  return unwrap<T>(await (await ask("GET", path, undefined, signal)).json());
}

/** `GET`, whole: where what stands beside `response` (cursors, totals) is wanted. */
export async function readWhole<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await (await ask("GET", path, undefined, signal)).json()) as T;
}

export async function write<T>(method: "POST" | "DELETE", path: string, body?: unknown): Promise<T> {
  const answer = await ask(method, path, body);
  const text = await answer.text();
  return unwrap<T>(text ? JSON.parse(text) : {});
}

/** A file, saved under `name` by the browser. */
export async function download(path: string, name: string): Promise<void> {
  const answer = await ask("GET", path);
  save(await answer.blob(), name);
}

export function save(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

function unwrap<T>(body: unknown): T {
  const told = body as { response?: T };
  return told.response === undefined ? (body as T) : told.response;
}

export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  return new Problem(0, "page", error instanceof Error ? error.message : String(error), "");
}
