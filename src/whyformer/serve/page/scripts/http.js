/** The service over HTTP: answers as JSON, whole or as they are written, and what went wrong as a fault. */

import { Fault } from "../../../browser/runtime/fault.js";

/** Statuses that say to come back later. */
const LATER = [429, 503];
/** Seconds to wait where the service names none. */
const PAUSE = 1;

/** Asks the service that the page comes from; `key` is sent along if there is one. */
export class Http {
  constructor(key = "") {
    this.key = key;
  }

  /** The answer to GET, or to POST where there is a `body`. */
  async json(path, body = null, signal = null) {
    const response = await this.#response(path, body, signal);
    try {
      return await response.json();
    } catch (error) {
      throw faultOf(error, "answer");
    }
  }

  /** The events of an answer that is streamed (`text/event-stream`), each as JSON, until `[DONE]`. */
  async *events(path, body, signal) {
    const response = await this.#response(path, body, signal);
    if (!response.body) throw new Fault("answer");
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    const lines = new Lines();
    try {
      for (;;) {
        const { value, done } = await reader.read();
        for (const line of lines.add(done ? "\n" : value)) {
          if (!line.startsWith("data:")) continue;
          const data = line.slice(5).trim();
          if (data === "[DONE]") return;
          const event = JSON.parse(data);
          if (event.error) throw new Fault("refused", { message: messageOf(event) });
          yield event;
        }
        if (done) throw new Fault("cut");
      }
    } catch (error) {
      throw faultOf(error, error instanceof SyntaxError ? "answer" : "cut");
    } finally {
      reader.cancel().catch(() => {});
    }
  }

  /** The address of a WebSocket of the service. */
  socketAddress(path) {
    const address = new URL(path, document.baseURI);
    address.protocol = address.protocol.replace("http", "ws");
    if (this.key) address.searchParams.set("api_key", this.key);
    return address.href;
  }

  async #response(path, body, signal) {
    const headers = { Accept: "application/json" };
    if (body !== null) headers["Content-Type"] = "application/json";
    if (this.key) headers.Authorization = `Bearer ${this.key}`;
    const method = body === null ? "GET" : "POST";
    let response;
    try {
      response = await fetch(path, { method, headers, signal, body: body === null ? null : JSON.stringify(body) });
    } catch (error) {
      throw faultOf(error, "unreachable");
    }
    if (response.ok) return response;
    throw await refusal(response);
  }
}

/** Lines of a text that comes in pieces. */
class Lines {
  #rest = "";

  /** The lines that a piece completes. */
  add(piece) {
    const lines = (this.#rest + piece).split(/\r?\n/);
    this.#rest = lines.pop();
    return lines;
  }
}

/** An error as a fault: whoever stopped the work knows of it. */
function faultOf(error, code) {
  if (error instanceof Fault) return error;
  return new Fault(error?.name === "AbortError" ? "stopped" : code);
}

async function refusal(response) {
  const message = messageOf(await response.json().catch(() => ({})));
  if (LATER.includes(response.status)) {
    const seconds = Math.ceil(Number(response.headers.get("Retry-After")));
    return new Fault("overload", { seconds: seconds > 0 ? seconds : PAUSE });
  }
  if (response.status === 401) return new Fault("key");
  if (!message) return new Fault("server", { status: response.status });
  return new Fault("refused", { message });
}

/** The sentence of a refusal, whichever protocol it is written in. */
function messageOf(answer) {
  const { error, detail } = answer ?? {};
  return [error?.message, error, detail].find((each) => typeof each === "string") ?? "";
}
