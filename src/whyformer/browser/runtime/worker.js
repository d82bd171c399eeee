// What runs beside the page, so that the page never waits: requests in, results or faults out.

import { Fault } from "./fault.js";
import { PageTranslator } from "./translator.js";

/** Answers requests of this worker's page from now on; bundle.py puts all that it needs inside. */
export function workerMain() {
  answerRequests(globalThis);
}

/** Answers each request that `scope` gets, one after another: nothing that goes wrong escapes. */
export function answerRequests(scope) {
  let opened = Promise.reject(new Fault("crashed"));
  opened.catch(() => {});
  scope.onmessage = async ({ data: { number, kind, request } }) => {
    // All wait for the same promise, and so come in order.
    if (kind === "open") opened = PageTranslator.load(request);
    try {
      const translator = await opened;
      const result = kind === "open" ? translator.facts : translator[kind](request);
      scope.postMessage({ number, result }, buffers(result?.look ?? result ?? {}));
    } catch (error) {
      const { code, values } = asFault(error);
      scope.postMessage({ number, fault: { code, values } });
    }
  };
}

/** What goes to the page without a copy: the weights of a look. */
function buffers({ attention = [] }) {
  return attention.map(({ weights }) => weights.buffer);
}

function asFault(error) {
  return error instanceof Fault ? error : new Fault("crashed", { said: String(error) });
}
