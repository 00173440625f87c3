// Whatever changes what may be seen reaches an open page at once: the server says "look again", and every screen that
// shows values reads them anew. It does not say what changed, nor for whom. A page that hears nothing any more, not even
// the server's beat, does not know what was withdrawn meanwhile: after a while its values go.

import { effect, signal } from "@preact/signals";
import { session } from "../ui/session";
import { renew } from "./desk";

const STREAM = "/crm/live";
const LOOK = "look";
const BEAT = "beat"; // every four seconds
/** How long a page may hear nothing, in ms, before it hides what it shows. */
const SILENCE = 10_000;
const LEAST = 1_000; // ms until the next try
const MOST = 30_000;
const RENEWAL = 5_000; // ms between two looks at the catalogue

/** Goes up whenever an open screen has to read again. */
export const turn = signal(0);
/** Whether the page hears of changes; undefined until the first answer. */
export const connected = signal<boolean | undefined>(undefined);
/** Nothing was heard for too long: no value may be shown. */
export const lost = signal(false);

let renewed = 0;
let anew: () => void = () => {};

function again(): void {
  turn.value = turn.peek() + 1;
  if (Date.now() - renewed < RENEWAL) return;
  renewed = Date.now();
  void renew();
}

/** Try at once to hear again. */
export const retry = (): void => anew();

/** Listen until the returned function is called; through a refusal, a break or a silence, too. */
function listen(): () => void {
  let source: EventSource | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let pause = LEAST;
  let last = Date.now();
  let begun = last;
  function heard(): void {
    last = Date.now();
    lost.value = false;
    if (connected.peek() === false) again(); // what was missed meanwhile
    connected.value = true;
    pause = LEAST;
  }
  function begin(): void {
    clearTimeout(timer);
    source?.close();
    begun = Date.now();
    source = new EventSource(STREAM);
    source.addEventListener(LOOK, () => {
      heard();
      again();
    });
    source.addEventListener(BEAT, heard);
    source.onopen = heard;
    source.onerror = () => {
      connected.value = false;
      if (source?.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
      timer = setTimeout(begin, pause);
      pause = Math.min(2 * pause, MOST);
    };
  }
  function watch(): void {
    if (document.hidden || Date.now() - last < SILENCE) return;
    connected.value = false;
    lost.value = true;
    // a line that says nothing is none
    if (source?.readyState === EventSource.OPEN && Date.now() - begun >= SILENCE) begin();
  }
  function end(): void {
    clearTimeout(timer);
    source?.close();
    connected.value = undefined;
    lost.value = false;
  }
  // A tab that nobody sees keeps none of the few connections that a browser has for one server.
  function turned(): void {
    end();
    if (document.hidden) return;
    last = Date.now();
    again();
    begin();
  }
  begin();
  anew = begin;
  const watching = setInterval(watch, 500);
  document.addEventListener("visibilitychange", turned);
  return () => {
    document.removeEventListener("visibilitychange", turned);
    clearInterval(watching);
    anew = () => {};
    end();
  };
}

effect(() => (session.value ? listen() : undefined));
