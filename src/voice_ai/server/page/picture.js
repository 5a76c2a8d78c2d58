// The picture of a recording: the caller above, what the caller heard below; turns, marks, clears.

import { peaks } from "./wav.js";

// Frames of a recording that are drawn as one at most: 10 ms.
const FINEST = 80;
// As its box is in call.css.
const HEIGHT_PX = 168;
const LABELS_PX = 18;
// What is louder than this fills its lane: a quiet call's noise shall not look like speech.
const QUIETEST = 0.1;

export class Picture {
  constructor(canvas, sound, call) {
    this.canvas = canvas;
    this.call = call;
    this.length_ms = (sound.n_frames / sound.rate_hz) * 1000;
    this.peaks = peaks(sound, FINEST);
    const loudest = this.peaks.map((side) => side.reduce((a, b) => Math.max(a, b), 0));
    this.scale = 1 / Math.max(QUIETEST, ...loudest);
  }

  draw(width_px) {
    const ratio = devicePixelRatio || 1;
    this.canvas.width = Math.round(width_px * ratio);
    this.canvas.height = Math.round(HEIGHT_PX * ratio);
    const pen = this.canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const style = getComputedStyle(this.canvas);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    const lane_px = (HEIGHT_PX - LABELS_PX) / 2;
    this.marks(pen, width_px, colour);
    ["caller", "agent"].forEach((side, index) => {
      pen.fillStyle = colour(side);
      this.side(pen, this.peaks[index], width_px, LABELS_PX + lane_px * (index + 0.5), lane_px / 2 - 3);
    });
    this.turns(pen, width_px, colour);
  }

  side(pen, levels, width_px, middle_px, reach_px) {
    const step = 1 / Math.max(1, devicePixelRatio || 1);
    for (let x = 0; x < width_px; x += step) {
      const from = Math.floor((x / width_px) * levels.length);
      const to = Math.max(from + 1, Math.floor(((x + step) / width_px) * levels.length));
      let level = 0;
      for (let at = from; at < to && at < levels.length; at += 1) level = Math.max(level, levels[at]);
      const half = Math.max(0.5, level * this.scale * reach_px);
      pen.fillRect(x, middle_px - half, step, half * 2);
    }
  }

  // Marks at the foot, clears through the lane of what was heard.
  marks(pen, width_px, colour) {
    for (const { kind, at_ms } of this.call.notes) {
      const x = this.at(at_ms, width_px);
      if (kind === "mark") {
        pen.fillStyle = colour("faint");
        pen.fillRect(x, HEIGHT_PX - 5, 1, 5);
      } else if (kind === "clear") {
        pen.fillStyle = colour("slow");
        pen.fillRect(x - 1, (HEIGHT_PX + LABELS_PX) / 2, 2, (HEIGHT_PX - LABELS_PX) / 2);
      }
    }
  }

  // Turns, with their numbers where these have room.
  turns(pen, width_px, colour) {
    pen.font = `11px ${getComputedStyle(this.canvas).fontFamily}`;
    let free_px = 0;
    for (const { n, at_ms } of this.call.turns) {
      const x = this.at(at_ms, width_px);
      pen.fillStyle = colour("quiet");
      pen.fillRect(x, LABELS_PX - 4, 1, HEIGHT_PX);
      const text = String(n);
      const left = Math.min(x - 1, width_px - pen.measureText(text).width);
      if (left < free_px) continue;
      pen.fillText(text, left, LABELS_PX - 6);
      free_px = left + pen.measureText(text).width + 4;
    }
  }

  at(at_ms, width_px) {
    return Math.min(width_px - 1, (at_ms / this.length_ms) * width_px);
  }
}
