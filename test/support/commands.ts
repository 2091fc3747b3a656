/** The built command, run as a user of one data directory runs it, for end-to-end tests of devnets. */
import { execFile } from 'node:child_process';
import { resolve } from 'node:path';

export const program = resolve(import.meta.dirname, '../../dist/program/grapevine.js');

/** How a command ended, and what it said. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Commands {
  /** Runs `grapevine …` and never throws. */
  grapevine(...args: string[]): Promise<Outcome>;
  /** The JSON of a command that must succeed. */
  json<T>(...args: string[]): Promise<T>;
}

export function commandsOf(datadir: string): Commands {
  const grapevine = (...args: string[]) =>
    new Promise<Outcome>((settle) => {
      execFile(process.execPath, [program, ...args, '--datadir', datadir], (error, stdout, stderr) => {
        settle({ code: error === null ? 0 : Number(error.code), stdout, stderr });
      });
    });
  const json = async <T>(...args: string[]): Promise<T> => {
    const { code, stdout, stderr } = await grapevine(...args, '--json');
    if (code !== 0) throw new Error(`grapevine ${args.join(' ')}: exit ${code}: ${stderr}`);
    return JSON.parse(stdout) as T;
  };
  return { grapevine, json };
}
