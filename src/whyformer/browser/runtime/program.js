// The compiled C++ program: its start, what it asks of a system, and its memory.

import { Fault } from "./fault.js";

// Error numbers of WASI.
const DONE = 0;
const NO_SUCH_FILE = 8;
const NOT_THERE = 52;

// A module that does nothing but make a vector of 128 bits: a browser without those cannot run ours.
const VECTOR_PROBE = [
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
  ...[0x01, 0x05, 0x01, 0x60, 0x00, 0x01, 0x7b],
  ...[0x03, 0x02, 0x01, 0x00],
  ...[0x0a, 0x08, 0x01, 0x06, 0x00, 0x41, 0x00, 0xfd, 0x0f, 0x0b],
];

/** The exports of the program in `bytes`, ready to be called. */
export async function startProgram(bytes) {
  if (!runsVectors()) throw new Fault("not_wasm");
  let exports = null;
  try {
    const module = await WebAssembly.compile(bytes);
    const instance = await WebAssembly.instantiate(module, systemCalls(module, () => exports.memory));
    exports = instance.exports;
  } catch (error) {
    // This browser runs such programs, so what is wrong is this one, or there is no room for it.
    throw new Fault(error instanceof RangeError ? "memory" : "damaged");
  }
  exports._initialize();
  return exports;
}

function runsVectors() {
  return typeof WebAssembly === "object" && WebAssembly.validate(new Uint8Array(VECTOR_PROBE));
}

/** Whatever a C++ library asks of its system: here there is none, so nearly all of it is refused. */
function systemCalls(module, memory) {
  const nothing = (...pointers) => {
    const view = new DataView(memory().buffer);
    for (const pointer of pointers) view.setUint32(pointer, 0, true);
    return DONE;
  };
  const known = {
    args_sizes_get: nothing,
    environ_sizes_get: nothing,
    fd_write: () => NO_SUCH_FILE,
    proc_exit: (status) => {
      throw new Error(`the engine ended with status ${status}`);
    },
  };
  const calls = {};
  for (const { module: room, name, kind } of WebAssembly.Module.imports(module)) {
    if (kind === "function") (calls[room] ??= {})[name] = known[name] ?? (() => NOT_THERE);
  }
  return calls;
}

/** The memory of a program: a place to hand things over, and arrays read from wherever they lie. */
export class ProgramMemory {
  #exports;
  #place = 0;
  #room = 0;

  constructor(exports) {
    this.#exports = exports;
  }

  /** A fresh view: whatever makes the memory grow ends those made before. */
  view(Type, pointer, length) {
    return new Type(this.#exports.memory.buffer, pointer, length);
  }

  /** A copy of what lies at `pointer`. */
  copy(Type, pointer, length) {
    return this.view(Type, pointer, length).slice();
  }

  /** Pointer to `bytes` of room, until the next call. */
  lend(bytes) {
    if (bytes > this.#room) {
      this.#exports.whyformer_free(this.#place);
      this.#room = 0;
      this.#place = this.take(bytes);
      this.#room = bytes;
    }
    return this.#place;
  }

  /** Pointer to room of one's own, to be freed. */
  take(bytes) {
    const place = this.#exports.whyformer_alloc(bytes);
    if (place === 0) throw new Fault("memory");
    return place;
  }
}
