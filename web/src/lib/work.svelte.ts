/** The work queue: worst first, then oldest, as the server orders it. */

import { asProblem, read, write } from "./http";
import { Loaded } from "./loaded.svelte";
import { ui } from "./ui.svelte";

export interface WorkNote {
  time_us: number;
  who: string;
  what: string;
  text: string;
}

export interface WorkItem {
  id: string;
  kind: string;
  severity: string; // critical, warning, notice
  title: string;
  detail: string;
  since_us: number;
  vehicle: { id: string; name: string } | null;
  acknowledged_by: string | null;
  assigned_to: string | null;
  snoozed_until_us: number | null;
  closed_us: number | null;
  log: WorkNote[];
}

export interface Evidence {
  time_us: number;
  what: string;
  text: string;
  vehicle: { id: string; name: string };
}

/** One item with why it is one; of a closed one that is no more known. */
export interface WorkItemWhole extends WorkItem {
  vehicles: { id: string; name: string }[];
  count: number;
  cause: string;
  evidence: Evidence[];
}

export interface Queue {
  items: WorkItem[];
  last_closed: { time_us: number; who: string } | null;
}

export type Action = "acknowledge" | "assign" | "snooze" | "comment";

const DONE: Record<Action, string> = {
  acknowledge: "Acknowledged",
  assign: "Assigned to you",
  snooze: "Snoozed for an hour",
  comment: "Comment added",
};

class Work extends Loaded<Queue> {
  follow_(): () => void {
    return this.follow(async (signal) => {
      return await read<Queue>("/api/2/work?open=true", signal);
    }, 5_000);
  }

  find(id: string): WorkItem | undefined {
    return this.value?.items.find((item) => item.id === id);
  }

  async act(item: WorkItem, action: Action, body: object = {}): Promise<void> {
    try {
      await write("POST", `/api/2/work/${encodeURIComponent(item.id)}/${action}`, body);
      ui.say(`${DONE[action]}: ${item.title}`, () => void this.#undo(item));
      await this.again();
    } catch (error) {
      ui.say(`Not done: ${asProblem(error).message}`);
    }
  }

  async #undo(item: WorkItem): Promise<void> {
    try {
      await write("POST", `/api/2/work/${encodeURIComponent(item.id)}/undo`, {});
      ui.say("Undone");
      await this.again();
    } catch (error) {
      ui.say(`Not undone: ${asProblem(error).message}`);
    }
  }
}

export const work = new Work();
