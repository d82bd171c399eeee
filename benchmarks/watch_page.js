/**
 * What `browser.py` and the tests of the page need to see, added to a page before its own script runs. The
 * page's script stays as it is: this wraps the browser's Worker and Blob.
 *
 * `watched` has: `ready`, milliseconds from the navigation to the worker's first answer; `shown`, to the first
 * translation on the page; `longest`, the longest time during which the page could not act; `ask`, a request to
 * the worker behind the page's back; `type`, a text put into the field.
 */
(() => {
  const { Worker: PlainWorker, Blob: PlainBlob } = globalThis;
  // Numbers that the page's own requests never reach.
  let number = 2 ** 40;
  const watched = (globalThis.watched = { ready: null, shown: null, longest: 0, workers: 0, pending: 0 });

  const inWorker = `{
    const instantiate = WebAssembly.instantiate;
    let memory = null;
    WebAssembly.instantiate = async (...given) => {
      const made = await instantiate.apply(WebAssembly, given);
      memory = made.exports.memory;
      return made;
    };
    addEventListener("message", (event) => {
      if (event.data.kind !== "memory") return;
      event.stopImmediatePropagation();
      const shared = typeof SharedArrayBuffer === "function" && memory.buffer instanceof SharedArrayBuffer;
      postMessage({ number: event.data.number, result: { bytes: memory.buffer.byteLength, shared } });
    });
  }\n`;

  globalThis.Blob = class extends PlainBlob {
    constructor(parts, options) {
      super(options?.type === "text/javascript" ? [inWorker, ...parts] : parts, options);
    }
  };

  globalThis.Worker = class extends PlainWorker {
    constructor(...given) {
      super(...given);
      watched.workers += 1;
      const waiting = new Map();
      const post = this.postMessage.bind(this);
      this.postMessage = (message, ...rest) => {
        watched.pending += 1;
        post(message, ...rest);
      };
      this.addEventListener("message", () => (watched.pending -= 1));
      // Added before the page's own listener, so that it never hears answers that it has not asked for.
      this.addEventListener("message", (event) => {
        watched.ready ??= performance.now();
        const settle = waiting.get(event.data.number);
        if (settle === undefined) return;
        event.stopImmediatePropagation();
        waiting.delete(event.data.number);
        settle(event.data);
      });
      watched.ask = (kind, request) =>
        new Promise((settle) => {
          waiting.set(++number, settle);
          this.postMessage({ number, kind, request });
        });
    }
  };

  const output = () => document.querySelector(".output .translation");
  const first = new MutationObserver(() => {
    if (!output()?.textContent) return;
    watched.shown = performance.now();
    first.disconnect();
  });
  first.observe(document, { childList: true, subtree: true });

  /** Milliseconds from the change of the field until the page has its translation. */
  watched.type = (text) => {
    const field = document.querySelector(".input textarea");
    return new Promise((settle) => {
      const began = performance.now();
      const changed = new MutationObserver(() => {
        changed.disconnect();
        settle(performance.now() - began);
      });
      changed.observe(output(), { childList: true });
      field.value = text;
      field.dispatchEvent(new Event("input", { bubbles: true }));
    });
  };

  /** Keeps in `longest` the longest time between two ticks of a clock that should tick every few milliseconds. */
  watched.watchTime = () => {
    let last = performance.now();
    watched.longest = 0;
    clearInterval(watched.clock);
    watched.clock = setInterval(() => {
      const now = performance.now();
      watched.longest = Math.max(watched.longest, now - last);
      last = now;
    }, 5);
  };
})();
