// The page's end of /ws/browser (server/browser.py): sound as binary, the rest as JSON.

import { UNREACHED } from "./audio.js";

// Octets that may wait to be sent, 8 s of sound: a connection that has stood still for so long is
// not one to talk over, and more would only be heard later.
const MAX_BACKLOG = 8 * 32000;

// What a close code says to who called (RFC 6455 section 7.4.1, and server/websocket.py).
const CLOSED = {
  1000: "",
  1001: "The server stopped.",
  1002: "The server did not understand this page; reload it.",
  1006: "The connection was lost.",
  1007: "The server did not understand this page; reload it.",
  1008: "The server did not let the call in.",
  1009: "The server did not understand this page; reload it.",
  1011: "The call broke off by a fault of the server's; its log says which.",
};

export class Line {
  // `on` has start(), audio(buffer), mark(name), clear(), told(message), closed(why).
  constructor(on) {
    this.on = on;
    this.hung_up = false;
    this.started = false;
    this.socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/ws/browser`);
    this.socket.binaryType = "arraybuffer";
    this.socket.onmessage = ({ data }) => {
      if (typeof data === "string") this.read(JSON.parse(data));
      else on.audio(data);
    };
    this.socket.onclose = ({ code, reason }) => on.closed(this.why(code, reason));
  }

  read(message) {
    switch (message.event) {
      case "start":
        this.started = true;
        this.on.start(message);
        break;
      case "mark":
        this.on.mark(message.name);
        break;
      case "clear":
        this.on.clear();
        break;
      default:
        this.on.told(message);
    }
  }

  get open() {
    return this.started && this.socket.readyState === WebSocket.OPEN;
  }

  sendAudio(buffer) {
    if (this.open && this.socket.bufferedAmount < MAX_BACKLOG) this.socket.send(buffer);
  }

  sendMark(name) {
    this.send({ event: "mark", name });
  }

  sendText(text) {
    this.send({ event: "text", text });
  }

  send(message) {
    if (this.open) this.socket.send(JSON.stringify(message));
  }

  hangUp() {
    this.hung_up = true;
    this.send({ event: "stop" });
    this.socket.close(1000);
  }

  why(code, reason) {
    if (this.hung_up) return "";
    if (code === 1013) {
      const full = reason === "all lines are busy";
      return full ? "All lines are busy; try again in a moment." : `Not now: ${reason}.`;
    }
    if (code === 1006 && !this.started) return UNREACHED;
    return CLOSED[code] ?? `The connection closed: ${reason || code}.`;
  }
}
