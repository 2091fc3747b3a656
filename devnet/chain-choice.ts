/**
 * The network that a devnet runs on: regtest, another built-in one, or that of a chain file, whose text goes with the
 * devnet so that it can be started again without the file. Makes it known to this process.
 */
import { decodeChainFile, encodeChainFile } from '../consensus/chain-file.ts';
import { type ChainParams, defineNetwork, networkByName, regtest } from '../consensus/params.ts';
import { CliError, Exit, usageError } from '../node/commands/cli.ts';

/** Whatever else than regtest. */
export interface ChainChoice {
  readonly network: string;
  /** Content of the chain file; absent for a built-in network. */
  readonly file?: string | undefined;
}

/** The network of a choice, known to this process from now on; regtest without one. */
export function chosenNetwork(choice: ChainChoice | undefined): ChainParams {
  if (choice === undefined) return regtest;
  if (choice.file !== undefined) {
    const read = decodeChainFile(choice.file);
    if (!read.ok) throw new CliError(Exit.failed, 'chain-file', `the chain file is wrong: ${read.error.join('; ')}`);
    defineNetwork(read.value);
    return read.value;
  }
  const params = networkByName(choice.network);
  if (params === undefined) throw usageError(`there is no network "${choice.network}"`, 'use --network or --chain');
  return params;
}

/** The choice that says which network is meant by `--network` and `--chain`; undefined for regtest. */
export function choiceOf(params: ChainParams, isFile: boolean): ChainChoice | undefined {
  if (params.name === regtest.name) return undefined;
  // A devnet is one machine: its nodes must not look for those of the file's network elsewhere.
  return { network: params.name, ...(isFile ? { file: encodeChainFile({ ...params, seeds: [] }) } : {}) };
}

/** Whether the difficulty decides when blocks come. Else they cost nothing, and the devnet decides. */
export function costsWork(params: ChainParams): boolean {
  return params.retargeting !== undefined;
}
