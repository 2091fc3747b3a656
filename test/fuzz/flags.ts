/** The flags of `npm run fuzz`. */
export interface Flags {
  readonly seconds: number;
  /** Undefined: a new one each time, which is printed. */
  readonly seed: number | undefined;
  /** Undefined: all, in turns. */
  readonly target: string | undefined;
}

export const USAGE = 'npm run fuzz -- [--seconds N] [--seed S] [--target NAME]';
const DEFAULT_SECONDS = 60;
const MAX_SECONDS = 7 * 24 * 3600;
/** Seeds of fast-check have 32 bits. */
const MAX_SEED = 0x7fffffff;

/** The flags, or what is wrong with them. */
export function readFlags(args: readonly string[], targets: readonly string[]): Flags | { readonly error: string } {
  const given = new Map<string, string>();
  for (let i = 0; i < args.length; i++) {
    const [name = '', ...rest] = (args[i] as string).split('=');
    if (!['--seconds', '--seed', '--target'].includes(name)) return { error: `there is no flag ${args[i]}` };
    if (given.has(name)) return { error: `${name} is given twice` };
    const value = rest.length > 0 ? rest.join('=') : args[++i];
    if (value === undefined) return { error: `${name} needs a value` };
    given.set(name, value);
  }
  const seconds = readNumber(given.get('--seconds') ?? String(DEFAULT_SECONDS), MAX_SECONDS);
  if (seconds === undefined || seconds === 0)
    return { error: `--seconds must be a whole number from 1 to ${MAX_SECONDS}` };
  const text = given.get('--seed');
  const seed = text === undefined ? undefined : readNumber(text, MAX_SEED);
  if (text !== undefined && seed === undefined) return { error: `--seed must be a whole number from 0 to ${MAX_SEED}` };
  const target = given.get('--target');
  if (target !== undefined && !targets.includes(target)) {
    return { error: `there is no target ${target}; there are ${targets.join(', ')}` };
  }
  return { seconds, seed, target };
}

function readNumber(text: string, most: number): number | undefined {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  return value <= most ? value : undefined;
}
