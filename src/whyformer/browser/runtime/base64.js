import { Fault } from "./fault.js";

/** The bytes that a text of base64 stands for. */
export function bytesOf(base64) {
  try {
    if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
    const characters = atob(base64);
    const bytes = new Uint8Array(characters.length);
    for (let place = 0; place < bytes.length; place++) bytes[place] = characters.charCodeAt(place);
    return bytes;
  } catch {
    throw new Fault("damaged");
  }
}
