// Whatever changes what may be seen reaches an open page at once: the server says "look again", and every screen that
// shows values reads them anew. It does not say what changed, nor for whom. A page that hears nothing any more, not even
// the server's beat, does not know what was withdrawn meanwhile: after a while its values go.

import { effect, signal } from "@preact/signals";
import { session } from "../ui/session";
import { renew } from "./desk";

const STREAM = "/crm/live";
const LOOK = "look";
const LEAST = 1_000; // ms until the next try
const MOST = 30_000;
const RENEWAL = 5_000; // ms between two looks at the catalogue

/** Goes up whenever an open screen has to read again. */
export const turn = signal(0);
/** Whether the page hears of changes; undefined until the first answer. */
export const connected = signal<boolean | undefined>(undefined);

let renewed = 0;

function again(): void {
  turn.value = turn.peek() + 1;
  if (Date.now() - renewed < RENEWAL) return;
  renewed = Date.now();
  void renew();
}

/** Listen until the returned function is called; through a refusal or a break, too. */
function listen(): () => void {
  let source: EventSource | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let pause = LEAST;
  function begin(): void {
    source = new EventSource(STREAM);
    source.addEventListener(LOOK, again);
    source.onopen = () => {
      if (connected.peek() === false) again(); // what was missed meanwhile
      connected.value = true;
      pause = LEAST;
    };
    source.onerror = () => {
      connected.value = false;
      if (source?.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
      timer = setTimeout(begin, pause);
      pause = Math.min(2 * pause, MOST);
    };
  }
  function end(): void {
    clearTimeout(timer);
    source?.close();
    connected.value = undefined;
  }
  // A tab that nobody sees keeps none of the few connections that a browser has for one server.
  function turned(): void {
    end();
    if (document.hidden) return;
    again();
    begin();
  }
  begin();
  document.addEventListener("visibilitychange", turned);
  return () => {
    document.removeEventListener("visibilitychange", turned);
    end();
  };
}

effect(() => (session.value ? listen() : undefined));
