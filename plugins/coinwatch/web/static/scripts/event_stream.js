// Server-sent events that survive interruptions: reconnects with growing pauses, continues after the last event, notices when
// nothing arrives any more (the server sends a comment every 15 s), and pauses while the page is hidden.
//
// Not EventSource: it gives up after an error response, and doesn't show comments.

const SILENCE_MILLISECONDS = 40_000; // more than two comments are missing
const FIRST_PAUSE = 1_000;
const LONGEST_PAUSE = 60_000;

/** Parses the text of a stream; returns a function that takes the next part and calls back for each event. */
export function createParser(onEvent) {
  let rest = "";
  let event = { type: "message", data: [], id: undefined };
  const handleLine = (line) => {
    if (line === "") {
      if (event.data.length) onEvent({ ...event, data: event.data.join("\n") });
      event = { type: "message", data: [], id: undefined };
      return;
    }
    const [, field, value] = /^([^:]*)(?:: ?(.*))?$/.exec(line);
    if (field === "data") event.data.push(value ?? "");
    else if (field === "event") event.type = value;
    else if (field === "id") event.id = value;
  };
  return (text) => {
    const lines = (rest + text).split(/\r\n|\r|\n/);
    rest = lines.pop();
    lines.forEach(handleLine);
  };
}

/**
 * Follows a stream until the page is left.
 *
 * onEvent gets {type, data, id}, with data as text; onState "live" or "reconnecting". position is the id to continue after.
 */
export function follow(url, { position, onEvent, onState }) {
  let last = position;
  let failures = 0;
  let controller;
  let timer;

  function schedule(retryAfter) {
    if (document.hidden) return;
    failures += 1;
    const growing = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (failures - 1));
    const pause = Math.max(growing, retryAfter * 1000) * (0.5 + Math.random() / 2);
    onState("reconnecting");
    timer = setTimeout(connect, pause);
  }

  async function connect() {
    clearTimeout(timer);
    controller?.abort();
    const current = controller = new AbortController();
    let silence;
    const hear = () => {
      clearTimeout(silence);
      silence = setTimeout(() => current.abort(), SILENCE_MILLISECONDS);
    };
    let retryAfter = 0;
    try {
      hear();
      const headers = { Accept: "text/event-stream", ...(last && { "Last-Event-ID": last }) };
      const response = await fetch(url, { headers, signal: current.signal, cache: "no-store" });
      retryAfter = Number(response.headers.get("Retry-After")) || 0;
      if (!response.ok) throw new Error(response.status);
      failures = 0;
      onState("live");
      const parse = createParser((event) => {
        onEvent(event);
        last = event.id ?? last;
      });
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        hear();
        parse(part.value);
      }
    } catch { /* reconnects below */ }
    clearTimeout(silence);
    if (current === controller) schedule(retryAfter);
  }

  function stop() {
    clearTimeout(timer);
    const stopped = controller;
    controller = undefined;
    stopped?.abort();
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      stop();
    } else {
      failures = 0;
      connect();
    }
  });
  window.addEventListener("pagehide", stop);
  window.addEventListener("pageshow", (event) => { if (event.persisted) connect(); });
  window.addEventListener("online", () => { if (!document.hidden) connect(); });
  if (!document.hidden) connect();
}
