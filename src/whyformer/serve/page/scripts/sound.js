/** Sound as whole numbers of 16 bits: from the microphone, piece by piece, or from a file. */

import { Fault } from "../../../browser/runtime/fault.js";

/** Samples of a file that are sent at a time. */
const PIECE = 8000;

/** Opens the microphone; `heard` gets its pieces. Its `close` ends it. `module` is the address of microphone.js. */
export async function openMicrophone(module, heard) {
  if (!navigator.mediaDevices || !globalThis.AudioWorkletNode) throw new Fault("no_microphone_here");
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
  } catch (error) {
    throw new Fault(error.name === "NotAllowedError" ? "microphone_refused" : "no_microphone");
  }
  const context = new AudioContext();
  const close = () => {
    for (const track of stream.getTracks()) track.stop();
    if (context.state !== "closed") context.close();
  };
  try {
    await context.audioWorklet.addModule(module);
    await context.resume();
  } catch {
    close();
    throw new Fault("no_microphone_here");
  }
  const node = new AudioWorkletNode(context, "microphone-pieces", { numberOfOutputs: 0 });
  node.port.onmessage = ({ data }) => heard(data);
  context.createMediaStreamSource(stream).connect(node);
  return { rate: context.sampleRate, close };
}

/** The sound of a file that this browser can read, one channel. */
export async function readSound(file) {
  const context = new AudioContext();
  try {
    const sound = await context.decodeAudioData(await file.arrayBuffer());
    const samples = new Int16Array(sound.length);
    const channels = Array.from({ length: sound.numberOfChannels }, (_, each) => sound.getChannelData(each));
    for (let at = 0; at < samples.length; at++) {
      const sum = channels.reduce((total, channel) => total + channel[at], 0);
      samples[at] = Math.round(Math.max(-1, Math.min(1, sum / channels.length)) * 32767);
    }
    return { rate: sound.sampleRate, samples };
  } catch {
    throw new Fault("no_sound", { file: file.name });
  } finally {
    context.close();
  }
}

/** Sound in pieces that are small enough to send. */
export function* pieces(samples) {
  for (let at = 0; at < samples.length; at += PIECE) yield samples.slice(at, at + PIECE);
}

/** How loud a piece is, from 0 to 1: the largest of its samples, as ears count. */
export function loudness(piece) {
  const largest = piece.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
  return largest === 0 ? 0 : Math.max(0, 1 + Math.log10(largest / 32768) / 3);
}
