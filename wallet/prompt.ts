/**
 * Questions on the terminal. They are written to stderr, so that stdout holds results only. Where there is no terminal
 * nobody can answer: that is an error (exit 5), never a default. Ctrl-C and the end of input cancel.
 */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { CliError, Exit } from '../node/commands/cli.ts';

/** What prompts read and write: the process's own, or a test's. */
export interface Terminal {
  readonly input: NodeJS.ReadStream;
  readonly output: NodeJS.WriteStream;
}

export const processTerminal: Terminal = { input: process.stdin, output: process.stderr };

export function isInteractive(terminal: Terminal = processTerminal): boolean {
  return terminal.input.isTTY === true && terminal.output.isTTY === true;
}

/** Asks for a yes. Anything but "y" or "yes" is a no. */
export function confirm(question: string, terminal: Terminal = processTerminal): Promise<boolean> {
  const lines = createInterface({ input: terminal.input, output: terminal.output });
  return new Promise((resolve, reject) => {
    let answered = false;
    lines.on('SIGINT', () => lines.close());
    lines.on('close', () => {
      if (!answered) reject(cancelled(terminal));
    });
    lines.question(`${question} [y/N] `, (answer) => {
      answered = true;
      lines.close();
      resolve(/^y(es)?$/i.test(answer.trim()));
    });
  });
}

/** Asks for a line that is not shown while it is typed. */
export function askSecret(question: string, terminal: Terminal = processTerminal): Promise<string> {
  const { input, output } = terminal;
  // Before the question: whoever answers at once (a paste, a script) must not see it on the screen either.
  input.setRawMode(true);
  input.setEncoding('utf8');
  output.write(question);
  input.resume();
  return new Promise((resolve, reject) => {
    let typed: string[] = [];
    const end = (settle: () => void) => {
      input.off('data', onData);
      input.off('end', onEnd);
      input.setRawMode(false);
      input.pause();
      settle();
    };
    const onEnd = () => end(() => reject(cancelled(terminal)));
    const onData = (text: string) => {
      for (const [at, key] of [...text].entries()) {
        if (key === '\r' || key === '\n') {
          output.write('\n');
          // What was typed ahead is for the next question.
          const ahead = [...text].slice(at + 1).join('');
          return end(() => {
            if (ahead !== '') input.unshift(ahead);
            resolve(typed.join(''));
          });
        }
        if (key === CTRL_C || (key === CTRL_D && typed.length === 0)) return onEnd();
        if (key === BACKSPACE || key === '\b') typed.pop();
        else if (key === CTRL_U) typed = [];
        else if (key >= ' ') typed.push(key);
      }
    };
    input.on('data', onData);
    input.on('end', onEnd);
  });
}

const CTRL_C = '\u0003';
const CTRL_D = '\u0004';
const CTRL_U = '\u0015';
const BACKSPACE = '\u007f';

export interface PasswordSource {
  /** `--password-file`: its first line is the password. */
  readonly passwordFile: string | undefined;
  /** What is asked on the terminal. */
  readonly question: string;
  /** Asked a second time, for a password that is new. */
  readonly repeat: boolean;
}

/** The password, from the file, from GRAPEVINE_PASSWORD or from the terminal. Never from the command line, where others see it. */
export async function readPassword(source: PasswordSource, terminal: Terminal = processTerminal): Promise<string> {
  const given = await givenPassword(source.passwordFile);
  if (given !== undefined) return checkPassword(given);
  if (!isInteractive(terminal)) {
    throw new CliError(
      Exit.confirm,
      'password-needed',
      'a password is needed, and there is no terminal to ask for it',
      'give it with --password-file FILE or in GRAPEVINE_PASSWORD',
    );
  }
  const password = checkPassword(await askSecret(`${source.question}: `, terminal));
  if (source.repeat) await askAgain(password, 'passwords', terminal);
  return password;
}

/** Asks for a secret a second time, as nobody sees what is typed. */
export async function askAgain(first: string, what: string, terminal: Terminal = processTerminal): Promise<void> {
  if ((await askSecret('the same again: ', terminal)) === first) return;
  throw new CliError(Exit.failed, 'password-differs', `the two ${what} differ`, 'try again');
}

async function givenPassword(file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return process.env['GRAPEVINE_PASSWORD'];
  return firstLine(await readInputFile(file, 'password-file', 'the password'));
}

export function firstLine(text: string): string {
  return text.split(/\r?\n/)[0] ?? '';
}

/** Passwords, words and descriptors are short; a device that never ends is not read for ever. */
const MAX_INPUT_CHARACTERS = 10_000;

/** The text of a file that the user named, or of stdin for `-`. `what` is what should be in it; `code` is the error's. */
export async function readInputFile(file: string, code: string, what: string): Promise<string> {
  const stream = file === '-' ? process.stdin : createReadStream(file);
  stream.setEncoding('utf8');
  let text = '';
  try {
    for await (const part of stream) {
      text += part as string;
      if (text.length > MAX_INPUT_CHARACTERS) break;
    }
  } catch (error) {
    throw new CliError(Exit.usage, code, `cannot read ${what}: ${(error as Error).message}`);
  }
  if (text.length <= MAX_INPUT_CHARACTERS) return text;
  throw new CliError(Exit.usage, code, `${file} is too long for ${what}`, 'name another file');
}

function checkPassword(password: string): string {
  if (password !== '') return password;
  throw new CliError(Exit.usage, 'password-empty', 'the password is empty', 'a wallet needs a password');
}

function cancelled(terminal: Terminal): CliError {
  terminal.output.write('\n');
  return new CliError(Exit.failed, 'cancelled', 'cancelled; nothing was changed');
}
