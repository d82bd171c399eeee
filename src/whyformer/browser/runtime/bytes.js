// Text as bytes of UTF-8, in the two ways that pieces write them: by name, <0x41>, or by a character each.

const writer = new TextEncoder();
const strictReader = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const lenientReader = new TextDecoder("utf-8", { ignoreBOM: true });
// Small letters and a plus are numbers to the tokenizers library, too.
const BYTE_NAME = /^<0x([0-9A-F+][0-9A-F])>$/i;

/** The names of a text's bytes: "é" is <0xC3> and <0xA9>. */
export function byteNames(text) {
  return Array.from(writer.encode(text), (byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
}

/** The pieces with each run of names of bytes read as text; one that is no UTF-8 shows as a hole a byte. */
export function withBytesRead(pieces) {
  const read = [];
  let run = [];
  for (const piece of [...pieces, null]) {
    const name = piece?.match(BYTE_NAME);
    if (name) {
      run.push(Number.parseInt(name[1], 16));
      continue;
    }
    if (run.length) read.push(...textOfBytes(run));
    if (piece !== null) read.push(piece);
    run = [];
  }
  return read;
}

function textOfBytes(bytes) {
  try {
    return [strictReader.decode(Uint8Array.from(bytes))];
  } catch {
    return bytes.map(() => "\uFFFD");
  }
}

// GPT-2's alphabet (Radford et al. 2019): bytes that print stand for themselves, the others for U+0100 and on.
const byteCharacters = [];
for (let byte = 0, next = 256; byte < 256; byte++) {
  const prints = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte !== 0xad);
  byteCharacters.push(String.fromCharCode(prints ? byte : next++));
}
const bytesOfCharacters = new Map(byteCharacters.map((character, byte) => [character, byte]));

/** A text with a character of GPT-2's alphabet for each byte. */
export function inByteCharacters(text) {
  return Array.from(writer.encode(text), (byte) => byteCharacters[byte]).join("");
}

/** The text that pieces in GPT-2's alphabet spell; a piece with any other character is text itself. */
export function fromByteCharacters(pieces) {
  const bytes = pieces.flatMap((piece) => {
    const found = Array.from(piece, (character) => bytesOfCharacters.get(character));
    return found.includes(undefined) ? [...writer.encode(piece)] : found;
  });
  return lenientReader.decode(Uint8Array.from(bytes));
}
