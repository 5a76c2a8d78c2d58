// Read a recording: a WAV of µ-law, the caller left, what the caller heard right.

const MU_LAW = 7; // WAVE_FORMAT_MULAW in RFC 2361
const HEADER_OCTETS = 44;
const N_CHANNELS = 2;

// G.711, table 2a: the amplitude of each octet, 16 bits with its sign.
export const ULAW = Int16Array.from({ length: 256 }, (_, octet) => {
  const bits = ~octet & 0xff;
  const magnitude = ((((bits & 0x0f) << 3) + 0x84) << ((bits >> 4) & 7)) - 0x84;
  return bits & 0x80 ? -magnitude : magnitude;
});

export class NoRecordingError extends Error {}

// Find the samples in a file's octets. The sizes of a recording that was broken off are wrong:
// where they do not fit, what is there is taken.
//
// Returns { rate_hz, n_frames, data }: `data` is a view of the octets, a left and a right one in turn.
export function parseWav(buffer) {
  const view = new DataView(buffer);
  const id = (at) => String.fromCharCode(...new Uint8Array(buffer, at, 4));
  if (buffer.byteLength < 12 || id(0) !== "RIFF" || id(8) !== "WAVE") {
    throw new NoRecordingError(`${buffer.byteLength} octets that are no WAV file.`);
  }
  let rate_hz = 0;
  for (let at = 12; at + 8 <= buffer.byteLength; ) {
    const size = view.getUint32(at + 4, true);
    const begin = at + 8;
    if (id(at) === "fmt " && begin + 16 <= buffer.byteLength) rate_hz = readFormat(view, begin);
    if (id(at) === "data") {
      if (!rate_hz) break;
      const end = isWhole(view, id, begin, size) ? begin + size : buffer.byteLength;
      const n_frames = Math.floor((end - begin) / N_CHANNELS);
      return { rate_hz, n_frames, data: new Uint8Array(buffer, begin, n_frames * N_CHANNELS) };
    }
    at = begin + size + (size % 2);
  }
  throw new NoRecordingError("A WAV file without its format or its samples.");
}

function readFormat(view, at) {
  const [format, n_channels] = [view.getUint16(at, true), view.getUint16(at + 2, true)];
  const n_bits = view.getUint16(at + 14, true);
  if (format === MU_LAW && n_channels === N_CHANNELS && n_bits === 8) {
    return view.getUint32(at + 4, true);
  }
  const came = `format ${format}, ${n_channels} channels, ${n_bits} bits`;
  throw new NoRecordingError(`${came}; needed format ${MU_LAW}, ${N_CHANNELS} channels, 8 bits.`);
}

// Whether a chunk of samples is as long as it says: behind it are whole chunks or nothing.
function isWhole(view, id, begin, size) {
  let at = begin + size + (size % 2);
  if (size === 0 || begin + size > view.byteLength) return false;
  while (at + 8 <= view.byteLength && /^[\x20-\x7e]{4}$/.test(id(at))) {
    const length = view.getUint32(at + 4, true);
    at += 8 + length + (length % 2);
  }
  return at >= view.byteLength && at <= view.byteLength + 1;
}

// The loudest sample of each stretch of `n_each` frames, both sides, from 0 to 1.
export function peaks({ data, n_frames }, n_each) {
  const n = Math.ceil(n_frames / n_each);
  const sides = [new Float32Array(n), new Float32Array(n)];
  for (let frame = 0, at = 0; frame < n_frames; frame += 1, at += N_CHANNELS) {
    const stretch = Math.floor(frame / n_each);
    for (let side = 0; side < N_CHANNELS; side += 1) {
      const level = Math.abs(ULAW[data[at + side]]) / 32768;
      if (level > sides[side][stretch]) sides[side][stretch] = level;
    }
  }
  return sides;
}

// A file that every player takes for whole: as it is, in µ-law.
export function ulawFile({ rate_hz, data }) {
  return file(MU_LAW, 1, rate_hz, data);
}

// The same as PCM16, for a player that knows no µ-law.
export function pcmFile({ rate_hz, data }) {
  const samples = new DataView(new ArrayBuffer(data.length * 2));
  data.forEach((octet, at) => samples.setInt16(at * 2, ULAW[octet], true));
  return file(1, 2, rate_hz, samples.buffer);
}

function file(format, n_octets, rate_hz, data) {
  const header = new DataView(new ArrayBuffer(HEADER_OCTETS));
  const text = (at, letters) => [...letters].forEach((c, i) => header.setUint8(at + i, c.charCodeAt()));
  const frame = n_octets * N_CHANNELS;
  text(0, "RIFF");
  header.setUint32(4, HEADER_OCTETS - 8 + data.byteLength, true);
  text(8, "WAVEfmt ");
  header.setUint32(16, 16, true);
  header.setUint16(20, format, true);
  header.setUint16(22, N_CHANNELS, true);
  header.setUint32(24, rate_hz, true);
  header.setUint32(28, rate_hz * frame, true);
  header.setUint16(32, frame, true);
  header.setUint16(34, n_octets * 8, true);
  text(36, "data");
  header.setUint32(40, data.byteLength, true);
  return new Blob([header.buffer, data], { type: "audio/wav" });
}
