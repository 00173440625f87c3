import type { JSX } from "preact";
import { useId } from "preact/hooks";

/** A labelled text of several lines, with a hint or what is wrong with it. */
export function Area({
  label,
  hint,
  problem,
  ...rest
}: JSX.IntrinsicElements["textarea"] & {
  readonly label: string;
  readonly hint: string;
  readonly problem?: string | undefined;
}) {
  const id = useId();
  return (
    <p class="field">
      <label for={id}>{label}</label>
      <textarea {...rest} id={id} aria-invalid={problem ? "true" : undefined} aria-describedby={`${id}-more`} />
      <span id={`${id}-more`} class={problem ? "hint bad" : "hint"}>
        {problem ?? hint}
      </span>
    </p>
  );
}
