// Drawn on a grid of 16, stroked in the colour of the text; never read out: what they say, the text says too.

const PATHS = {
  alert: "M8 5v3.5M8 11h.01M8 1.8 14.5 13.5h-13z",
  arrow: "M3 8h10M9 4l4 4-4 4",
  back: "M13 8H3M7 4 3 8l4 4",
  bell: "M4 7a4 4 0 0 1 8 0c0 3 1.5 4 1.5 4h-11S4 10 4 7M6.8 13.5a1.4 1.4 0 0 0 2.4 0",
  camera: "M2 5h3l1.2-1.7h3.6L11 5h3v8H2zM8 6.7a2.2 2.2 0 1 1 0 4.4 2.2 2.2 0 0 1 0-4.4",
  check: "M3 8.5 6.5 12 13 4.5",
  clock: "M8 4.5V8l2.3 1.6M8 1.8a6.2 6.2 0 1 1 0 12.4A6.2 6.2 0 0 1 8 1.8",
  columns: "M2 3h12v10H2zM6 3v10M10 3v10",
  copy: "M5.5 5.5V3h7.5v7.5h-2.5M3 5.5h7.5V13H3z",
  cross: "M4 4l8 8M12 4l-8 8",
  down: "M4 6l4 4 4-4",
  download: "M8 2.5v8M4.5 7.5 8 11l3.5-3.5M3 13.5h10",
  empty: "M2.5 9.5 4.5 3h7l2 6.5v3.5h-11zM2.5 9.5H6a2 2 0 0 0 4 0h3.5",
  eye: "M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8M8 6.2a1.8 1.8 0 1 1 0 3.6 1.8 1.8 0 0 1 0-3.6",
  filter: "M2 4h12M4.5 8h7M6.5 12h3",
  info: "M8 7.5V11M8 5h.01M8 1.8a6.2 6.2 0 1 1 0 12.4A6.2 6.2 0 0 1 8 1.8",
  lock: "M3.5 7.5h9v6h-9zM5.5 7.5V5a2.5 2.5 0 0 1 5 0v2.5",
  mail: "M2 4h12v8.5H2zM2 4.5l6 4.5 6-4.5",
  next: "M6 4l4 4-4 4",
  out: "M6.5 2.5H3v11h3.5M7 8h7M11 5l3 3-3 3",
  pen: "M3 13l.7-3L10.8 2.9l2.3 2.3L6 12.3z",
  person: "M8 2.5a2.7 2.7 0 1 1 0 5.4 2.7 2.7 0 0 1 0-5.4M2.8 13.5c.6-2.6 2.6-4 5.2-4s4.6 1.4 5.2 4",
  plus: "M8 3v10M3 8h10",
  previous: "M10 4 6 8l4 4",
  rising: "M8 12.5v-9M4.5 7 8 3.5 11.5 7",
  falling: "M8 3.5v9M4.5 9 8 12.5 11.5 9",
  search: "M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9M10.3 10.3 14 14",
  send: "M14 2 7 9M14 2 9.5 14 7 9 2 6.5z",
  wallet: "M2 4.5h10.5V7M2 4.5v8h12V7H3.5A1.5 1.5 0 0 1 2 5.5M11 10h.01",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { readonly name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}

/** The mark of the product: a field with its key. */
export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <rect width="32" height="32" rx="8" />
      <path d="M10 8.5h12M10 16h8M10 8.5V24" />
      <circle cx="21.5" cy="22" r="2.5" />
    </svg>
  );
}
