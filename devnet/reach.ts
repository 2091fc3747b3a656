/**
 * How a command reaches the devnet that it is about: which one is meant, the process behind it, and the words where
 * there is none. Shared by all commands of `grapevine devnet`.
 */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { CliError, Exit, type GlobalOptions, globalOptions, note, usageError } from '../node/commands/cli.ts';
import { DEFAULT_DEVNET } from '../wallet/devnet-file.ts';
import { checkName } from '../wallet/names.ts';
import { type ControlCalls, ControlGone, type ControlMethod, callControl } from './control.ts';
import { DevnetFolder, listOwned, type Owner } from './folder.ts';

export interface NameOption {
  readonly name?: string;
}

export function named(command: Command, description: string): Command {
  return command.description(description).option('--name <name>', 'which devnet, where several run');
}

export function optionsOf(command: Command): GlobalOptions {
  return globalOptions(command.optsWithGlobals());
}

/** Makes a call at the devnet that is meant. `timeoutMs` is for those that may take longer than usual. */
export async function call<M extends ControlMethod>(
  parsed: NameOption,
  global: GlobalOptions,
  method: M,
  params: ControlCalls[M]['params'],
  timeoutMs?: number,
): Promise<ControlCalls[M]['result']> {
  const folder = chooseFolder(parsed, global);
  const owner = await folder.owner();
  if (owner !== undefined) return callOwner(folder, owner, method, params, timeoutMs);
  if (await folder.releaseStale()) note(global, `devnet "${folder.name}" had been killed; cleaned up`);
  throw notRunning(folder);
}

export async function callOwner<M extends ControlMethod>(
  folder: DevnetFolder,
  owner: Owner,
  method: M,
  params: ControlCalls[M]['params'],
  timeoutMs?: number,
): Promise<ControlCalls[M]['result']> {
  try {
    return await callControl(owner.control, method, params, timeoutMs);
  } catch (error) {
    throw error instanceof ControlGone ? notRunning(folder) : error;
  }
}

/** The devnet that is named; else the one called "default" or the only one, of those that run. */
export function chooseFolder(parsed: NameOption, global: GlobalOptions): DevnetFolder {
  if (parsed.name !== undefined) return folderOf(parsed.name, global);
  const running = listOwned(resolve(global.datadir));
  const [only, ...others] = running;
  if (only === undefined || running.includes(DEFAULT_DEVNET)) return folderOf(DEFAULT_DEVNET, global);
  if (others.length === 0) return folderOf(only, global);
  throw usageError(`several devnets run: ${running.join(', ')}`, `say which: --name ${only}`);
}

export function folderOf(name: string, global: GlobalOptions): DevnetFolder {
  return new DevnetFolder(resolve(global.datadir), checkName('devnet', name));
}

export function notRunning(folder: DevnetFolder, running: readonly string[] = []): CliError {
  const { name, path } = folder;
  const message = folder.exists ? `devnet "${name}" is not running` : `there is no devnet "${name}" at ${path}`;
  const others = running.length === 0 ? '' : `; running: ${running.join(', ')} (choose with --name)`;
  return new CliError(
    Exit.failed,
    'devnet-not-running',
    message,
    `start it: grapevine devnet up${nameFlag(name)}${others}`,
  );
}

export function nameFlag(name: string): string {
  return name === DEFAULT_DEVNET ? '' : ` --name ${name}`;
}
