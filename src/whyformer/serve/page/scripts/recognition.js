/** Sound to a speech run over a WebSocket, as Vosk's clients send it, and the words that come back. */

import { Fault } from "../../../browser/runtime/fault.js";

/** Bytes on their way above which the connection is too slow for live sound. */
const BEHIND = 2_000_000;
/** Milliseconds between two looks at how much is on its way. */
const BREATH = 20;
/** Codes of WebSockets with which a service that is full, or ends, closes. */
const FULL = [1012, 1013];
const NORMAL = 1000;

/** One recognition; `changed` is called whenever there is something new to show. */
export class Recognition {
  /** Utterances that are over: their text, and their words with times where the service tells them. */
  finals = [];
  /** Words that may still change. */
  partial = "";
  fault = null;
  over = false;
  #socket;
  #waiting = [];
  #ended = false;
  #said = "";
  #changed;

  constructor(address, rate, changed) {
    this.#changed = changed;
    this.#socket = new WebSocket(address);
    this.#socket.binaryType = "arraybuffer";
    this.#socket.onopen = () => {
      const first = JSON.stringify({ config: { sample_rate: rate, words: true } });
      for (const message of [first, ...this.#waiting]) this.#socket.send(message);
      this.#waiting = [];
    };
    this.#socket.onmessage = ({ data }) => this.#hear(data);
    this.#socket.onclose = (event) => this.#close(event);
  }

  /** Whether so much is on its way that more has to wait. */
  get behind() {
    return this.#socket.bufferedAmount > BEHIND;
  }

  /** Sends a piece of live sound. */
  send(piece) {
    if (this.#ended || this.over) return;
    if (this.behind) this.#fail(new Fault("slow_connection"));
    else this.#put(piece.buffer);
  }

  /** Sends all pieces of a file, as fast as they are taken, and says that this was all. */
  async sendAll(all) {
    for (const piece of all) {
      while (this.behind && !this.over) await new Promise((done) => setTimeout(done, BREATH));
      if (this.over || this.#ended) return;
      this.#put(piece.buffer);
    }
    this.end();
  }

  /** Says that this was all; the last words are still to come. */
  end() {
    if (this.#ended || this.over) return;
    this.#ended = true;
    // With the blank that the service of Vosk looks for.
    this.#put('{"eof" : 1}');
  }

  /** Ends at once. */
  stop() {
    this.#ended = true;
    this.#finish();
    this.#socket.close();
  }

  #put(message) {
    if (this.#socket.readyState === WebSocket.CONNECTING) this.#waiting.push(message);
    else this.#socket.send(message);
  }

  #hear(data) {
    if (this.over) return;
    let told;
    try {
      told = JSON.parse(data);
    } catch {
      return this.#fail(new Fault("answer"));
    }
    // The closing that follows says whether it is worth while to try again.
    if (told.error) this.#said = String(told.error);
    if (typeof told.partial === "string") this.partial = told.partial;
    else if (typeof told.text === "string") {
      if (told.text) this.finals.push({ text: told.text, words: told.result ?? [] });
      this.partial = "";
    }
    this.#changed();
  }

  #close({ code, reason }) {
    if (this.over) return;
    if (this.#ended && code === NORMAL) this.#finish();
    else if (FULL.includes(code)) this.#fail(new Fault("overload", { seconds: 1 }));
    else if (this.#said || reason) this.#fail(new Fault("refused", { message: this.#said || reason }));
    else this.#fail(new Fault("no_stream"));
  }

  #fail(fault) {
    this.fault = fault;
    this.#finish();
    this.#socket.close();
  }

  #finish() {
    this.over = true;
    this.#waiting = [];
    this.#changed();
  }
}
