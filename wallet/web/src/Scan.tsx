/** A code before the camera, or in a picture. What it says goes to whoever asked; nothing is kept or sent. */

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { useAct } from "../../../crm_core/web/ui/act";
import { Dialog } from "../../../crm_core/web/ui/pieces";
import { FilePick } from "./FilePick";
import { Trouble } from "./pieces";
import { inPicture, throughCamera } from "./scanning";
import { t } from "./words";

export function ScanDialog({
  onText,
  onClose,
}: {
  readonly onText: (text: string) => void;
  readonly onClose: () => void;
}) {
  const video = useRef<HTMLVideoElement>(null);
  const dark = useSignal<unknown>(null);
  const { error, run } = useAct();
  useEffect(() => {
    let stop = () => {};
    let gone = false;
    if (video.current === null) return;
    throughCamera(video.current, onText).then(
      (found) => {
        stop = found;
        if (gone) stop();
      },
      (found) => {
        dark.value = found;
      },
    );
    return () => {
      gone = true;
      stop();
    };
  }, []);
  return (
    <Dialog title={t("scan.title")} onClose={onClose}>
      <p class="soft">{t("scan.lead")}</p>
      <div class="camera" hidden={dark.value !== null}>
        <video ref={video} muted playsInline aria-label={t("scan.camera")} />
      </div>
      <Trouble error={dark.value} />
      <FilePick
        label={t("scan.picture")}
        accept="image/*"
        onPick={(file) => void run(async () => onText(await inPicture(file)))}
      />
      <Trouble error={error.value} />
    </Dialog>
  );
}
