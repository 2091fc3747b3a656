/**
 * Scripts of `devnet run`: one step a line, read from text. Pure; run-script.ts carries them out.
 *
 *   # a comment
 *   devnet partition n0,n1 / n2,n3       any devnet, wallet, mine or node command
 *   tx = wallet send bob 1btc            the last id (64 hex digits) that it prints is $tx from here on
 *   wait tx $tx 1                        until all nodes count one confirmation; `wait tx ID` until they know it
 *   wait tip 112 within 10s              until all nodes have that block (height or hash); `wait tip`: until they agree
 *   wait 5s
 *   expect $tx                           the last command has printed this text; `expect not …`: it has not
 *   fails 2 devnet kill n9               this command must fail, here with exit code 2
 */
import { type CliError, usageError } from '../node/commands/cli.ts';
import { parseDuration } from '../wallet/duration.ts';

interface Place {
  /** From 1. */
  readonly line: number;
  /** The line as it stands. */
  readonly text: string;
}

export type Step = Place &
  (
    | {
        readonly kind: 'command';
        readonly words: readonly string[];
        /** Gets the last id that is printed. */
        readonly name: string | undefined;
        /** The exit code that is wanted; `failure` for any but 0. */
        readonly exit: number | 'failure';
      }
    | { readonly kind: 'pause'; readonly ms: number }
    | { readonly kind: 'wait-tip'; readonly target: string | undefined; readonly timeoutMs: number }
    | {
        readonly kind: 'wait-tx';
        readonly txid: string;
        readonly confirmations: number;
        readonly timeoutMs: number;
      }
    | { readonly kind: 'expect'; readonly wanted: string; readonly present: boolean }
  );

const COMMANDS = ['devnet', 'wallet', 'mine', 'node'];
const MAX_STEPS = 10_000;
const DEFAULT_TIMEOUT_MS = 30_000;
/** What `$last` and every `NAME =` stand for. */
export const LAST = 'last';

/** The steps of a script. Throws a usage error that names the line. */
export function parseScript(text: string, file: string): Step[] {
  const steps: Step[] = [];
  for (const [index, source] of text.split(/\r?\n/).entries()) {
    const line = index + 1;
    const wrong = (message: string, hint = 'see grapevine devnet run --help') =>
      usageError(`${file}:${line}: ${message}`, hint);
    const words = splitWords(source);
    if (words === undefined) throw wrong('a quotation mark is not closed');
    if (words.length === 0) continue;
    if (steps.length === MAX_STEPS) throw wrong(`a script has ${MAX_STEPS} steps at most`);
    steps.push({ line, text: source.trim(), ...parseStep(words, wrong) } as Step);
  }
  return steps;
}

type Wrong = (message: string, hint?: string) => CliError;
type Bare<S> = S extends Place ? Omit<S, keyof Place> : never;

function parseStep(words: readonly string[], wrong: Wrong): Bare<Step> {
  const [first = '', second, ...rest] = words;
  if (first === 'wait') return parseWait(words.slice(1), wrong);
  if (first === 'expect') {
    const wanted = (second === 'not' ? rest : words.slice(1)).join(' ');
    if (wanted === '') throw wrong('expect what?', 'for example: expect $tx');
    return { kind: 'expect', wanted, present: second !== 'not' };
  }
  if (first === 'fails') {
    const code = /^\d{1,3}$/.test(second ?? '') ? Number(second) : undefined;
    if (code === 0) throw wrong('a command that fails has another exit code than 0');
    return parseCommand(words.slice(code === undefined ? 1 : 2), undefined, code ?? 'failure', wrong);
  }
  if (second === '=') {
    if (!/^[A-Za-z][A-Za-z0-9_]{0,31}$/.test(first))
      throw wrong(`"${first}" is no name`, 'for example: tx = wallet send bob 1btc');
    return parseCommand(rest, first, 0, wrong);
  }
  return parseCommand(words, undefined, 0, wrong);
}

function parseCommand(
  words: readonly string[],
  name: string | undefined,
  exit: number | 'failure',
  wrong: Wrong,
): Bare<Step> {
  const [command, verb, ...rest] = words;
  if (command === undefined) throw wrong('a command is missing', `it begins with ${COMMANDS.join(', ')}`);
  if (!COMMANDS.includes(command)) {
    throw wrong(
      `"${command}" is no step of a script`,
      `a step begins with ${COMMANDS.join(', ')}, wait, expect or fails`,
    );
  }
  const endless =
    (command === 'devnet' && verb === 'up' && !rest.some((word) => word === '-d' || word === '--detach')) ||
    (command === 'devnet' && verb === 'logs' && rest.some((word) => word === '-f' || word === '--follow')) ||
    (command === 'node' && (verb === undefined || verb.startsWith('-')));
  if (endless) {
    throw wrong(`"${words.join(' ')}" does not end by itself`, verb === 'up' ? 'use devnet up -d' : undefined);
  }
  if (command === 'devnet' && verb === 'run') throw wrong('a script does not run another one');
  return { kind: 'command', words, name, exit };
}

function parseWait(words: readonly string[], wrong: Wrong): Bare<Step> {
  const at = words.indexOf('within');
  const said = at === -1 ? words : words.slice(0, at);
  const limit = at === -1 ? undefined : words.slice(at + 1);
  const duration = limit === undefined ? undefined : parseDuration(limit.join(' '));
  if (duration?.ok === false) throw wrong(duration.error, 'for example: wait tip within 10s');
  const timeoutMs = duration === undefined ? DEFAULT_TIMEOUT_MS : duration.value;
  const [what, first, second, ...more] = said;
  const hint = 'for example: wait 5s, wait tip, wait tip 112, wait tx $tx 1 within 10s';
  if (what === 'tip' && second === undefined) return { kind: 'wait-tip', target: first, timeoutMs };
  if (what === 'tx' && first !== undefined && more.length === 0) {
    const confirmations = /^\d{1,6}$/.test(second ?? '0') ? Number(second ?? 0) : -1;
    if (confirmations < 0) throw wrong(`"${second}" is no number of confirmations`, hint);
    return { kind: 'wait-tx', txid: first, confirmations, timeoutMs };
  }
  const pause = what === undefined || said.length > 1 || limit !== undefined ? undefined : parseDuration(what);
  if (pause?.ok === true) return { kind: 'pause', ms: pause.value };
  throw wrong(`"wait ${words.join(' ')}" waits for nothing`, hint);
}

/** Words as a shell splits them: quotes keep blanks together, `#` at the start of a word begins a comment. */
export function splitWords(source: string): string[] | undefined {
  const words: string[] = [];
  let word: string | undefined;
  let quote: string | undefined;
  for (const char of source) {
    if (quote !== undefined) {
      if (char === quote) quote = undefined;
      else word = (word ?? '') + char;
    } else if (char === '"' || char === "'") {
      quote = char;
      word ??= '';
    } else if (/\s/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (char === '#' && word === undefined) {
      break;
    } else {
      word = (word ?? '') + char;
    }
  }
  if (quote !== undefined) return undefined;
  if (word !== undefined) words.push(word);
  return words;
}

/** Puts values in the place of `$name`. The first name that has none is in `unknown`. */
export function substitute(
  text: string,
  values: ReadonlyMap<string, string>,
): { readonly text: string; readonly unknown: string | undefined } {
  let unknown: string | undefined;
  const replaced = text.replace(/\$([A-Za-z][A-Za-z0-9_]*)/g, (whole, name: string) => {
    const value = values.get(name);
    if (value === undefined) unknown ??= name;
    return value ?? whole;
  });
  return { text: replaced, unknown };
}

/** The last id in what a command printed. */
export function lastId(output: string): string | undefined {
  return output.match(/\b[0-9a-f]{64}\b/g)?.at(-1);
}
