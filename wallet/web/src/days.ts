/** Days as a person chooses them, and the moments that they stand for. Pure. */

/** The day of a moment, here, as an input has it. */
export function dayOf(at: Date): string {
  const two = (part: number) => String(part).padStart(2, "0");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
}

/** The end of a chosen day, never later than was asked for; undefined leaves it at that. */
export function lastDay(chosenDay: string, latest: Date): Date | undefined {
  const end = new Date(`${chosenDay}T23:59:59`);
  return Number.isNaN(end.getTime()) || end >= latest ? undefined : end;
}
