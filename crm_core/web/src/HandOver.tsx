import { useSignal } from "@preact/signals";
import encodeQR from "qr";
import { Button, Dialog, ErrorNote, Loading } from "../ui/pieces";
import * as api from "./api";
import { useReading } from "./reading";
import { t } from "./words";

const MARGIN = 4; // modules around a code that stay white (ISO/IEC 18004, 5.3.8)

/** A request as a link and as a code: they open it in the wallet of the customer who was asked, and in no other. */
export function HandOver({ id, onClose }: { readonly id: string; readonly onClose: () => void }) {
  const reading = useReading(() => api.askLink(id));
  const copied = useSignal(false);
  const link = reading.data.value?.link;

  async function copy() {
    await navigator.clipboard.writeText(link ?? "");
    copied.value = true;
    setTimeout(() => (copied.value = false), 2_000);
  }

  return (
    <Dialog title={t("hand")} onClose={onClose}>
      <p>{t("hand.more")}</p>
      {reading.error.value !== null && <ErrorNote error={reading.error.value} onAgain={reading.again} />}
      {!link && reading.error.value === null && <Loading lines={6} />}
      {link && (
        <>
          <Code text={link} />
          <p class="link">
            <a href={link} target="_blank" rel="noopener noreferrer">
              {link}
            </a>
          </p>
          <p class="faint">
            <small>{t("hand.nothing")}</small>
          </p>
          <p class="actions">
            <Button kind="primary" icon={copied.value ? "check" : "copy"} onClick={() => void copy()}>
              {t(copied.value ? "copied" : "hand.copy")}
            </Button>
          </p>
        </>
      )}
    </Dialog>
  );
}

/** A QR code: black on white in dark pages too, for cameras want it so. */
function Code({ text }: { readonly text: string }) {
  const rows = encodeQR(text, "raw", { border: MARGIN, ecc: "medium" });
  const size = rows.length;
  const path = rows.flatMap((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : "")));
  return (
    <svg
      class="code"
      viewBox={`0 0 ${size} ${size}`}
      role="img"
      aria-label={t("hand.code")}
      shape-rendering="crispEdges"
    >
      <rect width={size} height={size} />
      <path d={path.join("")} />
    </svg>
  );
}
