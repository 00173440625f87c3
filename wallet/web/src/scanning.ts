/** QR codes read in this browser: out of a picture, or frame by frame out of the camera. Nothing of it leaves. */

import decodeQR from "qr/decode.js";
import { CoreError } from "../core/bytes";

const WIDEST = 1600; // pixels: a photograph is larger than its code needs

/** The text of the code in a picture; CoreError `no_code`. */
export async function inPicture(file: Blob): Promise<string> {
  let picture: ImageBitmap;
  try {
    picture = await createImageBitmap(file);
  } catch {
    throw new CoreError("no_code", "this is no picture");
  }
  for (const widest of [WIDEST, WIDEST / 2, Math.max(picture.width, picture.height)]) {
    const found = decoded(picture, picture.width, picture.height, widest, 1_000);
    if (found !== null) return found;
  }
  throw new CoreError("no_code", "no code in this picture");
}

/** Look through the rear camera until a code is seen or `stop` is called. CoreError `no_camera`. */
export async function throughCamera(video: HTMLVideoElement, seen: (text: string) => void): Promise<() => void> {
  let stream: MediaStream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" }, audio: false });
  } catch {
    throw new CoreError("no_camera", "the camera cannot be used");
  }
  let going = true;
  const stop = () => {
    going = false;
    for (const track of stream.getTracks()) track.stop();
    video.srcObject = null;
  };
  video.srcObject = stream;
  await video.play().catch(() => undefined);
  const look = () => {
    if (!going) return;
    const found = video.videoWidth > 0 ? decoded(video, video.videoWidth, video.videoHeight, 800) : null;
    if (found === null) {
      setTimeout(look, 120);
      return;
    }
    stop();
    seen(found);
  };
  look();
  return stop;
}

function decoded(
  source: CanvasImageSource,
  width: number,
  height: number,
  widest: number,
  timeLimit = 60,
): string | null {
  const scale = Math.min(1, widest / Math.max(width, height));
  const canvas = new OffscreenCanvas(Math.round(width * scale), Math.round(height * scale));
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  if (pen === null) return null;
  pen.fillStyle = "#fff"; // what is see-through counts as paper
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(source, 0, 0, canvas.width, canvas.height);
  try {
    return decodeQR(pen.getImageData(0, 0, canvas.width, canvas.height), { timeLimit });
  } catch {
    return null;
  }
}
