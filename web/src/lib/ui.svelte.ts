/** What is open on the page and is no part of its URL. */

class Ui {
  help = $state(false);
  list = $state(false); // the map's list twin
  lasso = $state(false); // an area is being drawn...
  lassoHours = $state(1); // ...to see who was in it, so long back
  follow = $state(false);
  share = $state(false);
  sheet = $state<"counts" | "queue">("counts"); // the phone's tab
  playing = $state(0); // times speed; 0: still
  says = $state(""); // a short word of what was done, with...
  undo = $state<(() => void) | null>(null); // ...a way back for 10 s
  #timer = 0;

  say(text: string, undo: (() => void) | null = null): void {
    this.says = text;
    this.undo = undo;
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => {
      this.says = "";
      this.undo = null;
    }, 10_000);
  }
}

export const ui = new Ui();
