// Runs beside the page's thread of sound: whatever comes in, as whole numbers of 16 bits, in pieces of a tenth of a second.

const PIECES = 10; // a second

class MicrophonePieces extends AudioWorkletProcessor {
  #piece = new Int16Array(Math.round(sampleRate / PIECES));
  #filled = 0;

  process([channels]) {
    const count = channels[0]?.length ?? 0;
    for (let at = 0; at < count; at++) {
      const sum = channels.reduce((total, channel) => total + channel[at], 0);
      const sample = Math.max(-1, Math.min(1, sum / channels.length));
      this.#piece[this.#filled++] = Math.round(sample * 32767);
      if (this.#filled === this.#piece.length) {
        this.port.postMessage(this.#piece.slice());
        this.#filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("microphone-pieces", MicrophonePieces);
