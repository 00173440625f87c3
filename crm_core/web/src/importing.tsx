// What the screens of an import share: their words, and problems of a file said in them.

import { Problem } from "../ui/http";
import { texts } from "../ui/i18n";
import { Icon } from "../ui/icons";
import { ErrorNote } from "../ui/pieces";
import en from "./import.en.json";
import zh from "./import.zh-CN.json";

export const it = texts(en, zh);

/** A text whose key is made at run time, or the word itself. */
export const isaid = (key: string, otherwise: string): string => (key in en ? it(key as keyof typeof en) : otherwise);

/** A problem of a file in words of this screen; any other as everywhere. */
export function Trouble({ error, onAgain }: { readonly error: unknown; readonly onAgain?: () => void }) {
  const words = error instanceof Problem ? isaid(`problem.${error.code}`, "") : "";
  if (!words) return <ErrorNote error={error} {...(onAgain ? { onAgain } : {})} />;
  return (
    <div class="note bad" role="alert">
      <Icon name="alert" />
      <p>{words}</p>
    </div>
  );
}
