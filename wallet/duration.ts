/** Durations as people write them: `90s`, `5m`, `2h`. Pure. */
import { fail, ok, type Result } from '../consensus/brand.ts';

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Milliseconds; a number without a unit counts seconds. */
export function parseDuration(text: string): Result<number, string> {
  const match = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h)?$/.exec(text.trim());
  if (match === null) return fail(`"${text}" is no duration; write 90s, 5m or 2h`);
  return ok(Math.round(Number(match[1]) * (UNIT_MS[match[2] ?? 's'] as number)));
}
