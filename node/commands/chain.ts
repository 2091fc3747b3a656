/** `grapevine chain`: private networks as files. What a file must say is in consensus/chain-file.ts. */
import { writeFileSync } from 'node:fs';
import { Command } from 'commander';
import { bytesToHex } from '#hash';
import { encodeChainFile, makeChain } from '../../consensus/chain-file.ts';
import { findGenesisNonce } from '../../consensus/genesis.ts';
import { type ChainParams, vinenet } from '../../consensus/params.ts';
import { workOf } from '../../consensus/pow.ts';
import { CliError, Exit, type GlobalOptions, globalOptions, printResult, readChainFile, usageError } from './cli.ts';

const DAY_SECONDS = 86_400;

const EXAMPLES = `
Examples:
  $ grapevine chain new lab.json --spacing 2s --half-life 120s
  $ grapevine chain show lab.json
  $ grapevine node --chain lab.json
  $ grapevine devnet up --chain lab.json
  $ grapevine chain genesis                      find the nonce of vinenet's first block again`;

interface NewParsed {
  readonly name?: string;
  readonly spacing: string;
  readonly halfLife?: string;
  readonly anchorBits: string;
  readonly limitBits: string;
  readonly maxFuture?: string;
  readonly hrp: string;
  readonly port: string;
  readonly rpcPort: string;
  readonly text?: string;
}

export function chainCommand(): Command {
  const command = new Command('chain')
    .description('Private networks with real difficulty, as files.')
    .addHelpText('after', EXAMPLES);
  command
    .command('new')
    .description('write the file of a new network')
    .argument('<file>', 'must not exist')
    .option('--name <name>', 'the name of the network (default: that of the file)')
    .option('--spacing <time>', 'from block to block', '10s')
    .option('--half-life <time>', 'when so late the difficulty halves (default: 288 spacings)')
    .option('--anchor-bits <hex>', 'the difficulty of block 1, in compact form', '1e03ffff')
    .option('--limit-bits <hex>', 'the least difficulty', '1f00ffff')
    .option('--max-future <time>', 'how far ahead a block may be dated (default: a twentieth of the half-life)')
    .option('--hrp <letters>', 'what addresses begin with', 'gvp')
    .option('--port <number>', 'where peers are answered', '29444')
    .option('--rpc-port <number>', 'where JSON-RPC is answered', '29443')
    .option('--text <text>', 'written into the first block (default: the name and the date)')
    .addHelpText('after', '\nExamples:\n  $ grapevine chain new lab.json --spacing 2s --half-life 120s\n')
    .action((file: string, parsed: NewParsed, self: Command) => {
      const options = globalOptions(self.optsWithGlobals());
      const params = newChain(file, parsed);
      try {
        writeFileSync(file, encodeChainFile(params), { flag: options.yes ? 'w' : 'wx' });
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code !== 'EEXIST') throw new CliError(Exit.failed, 'chain-file', `${file} cannot be written: ${code}`);
        throw new CliError(
          Exit.failed,
          'chain-file',
          `${file} exists`,
          'choose another name, or say --yes to replace it',
        );
      }
      show(params, options, `${file} is written. Run a node of it: grapevine node --chain ${file}`);
    });
  command
    .command('show')
    .description('check a file and say what network it is')
    .argument('<file>')
    .addHelpText('after', '\nExamples:\n  $ grapevine chain show lab.json\n')
    .action((file: string, _: unknown, self: Command) =>
      show(readChainFile(file), globalOptions(self.optsWithGlobals())),
    );
  command
    .command('genesis')
    .description("find the nonce of vinenet's first block again")
    .addHelpText('after', '\nExamples:\n  $ grapevine chain genesis\n')
    .action((_: unknown, self: Command) => {
      const { header, transactions } = vinenet.genesis;
      const text = new TextDecoder().decode(transactions[0]?.inputs[0]?.scriptSig.subarray(1));
      const nonce = findGenesisNonce({ text, time: header.time, bits: header.bits, value: vinenet.initialSubsidy });
      if (nonce !== header.nonce) throw new Error(`found the nonce ${nonce}, and ${header.nonce} is recorded`);
      const { time, hash } = header;
      printResult(globalOptions(self.optsWithGlobals()), { text, time, nonce, hash }, () =>
        [`"${text}"`, `time ${time}, nonce ${nonce}: ${hash}`, 'This is the nonce that is recorded.'].join('\n'),
      );
    });
  return command;
}

function newChain(file: string, parsed: NewParsed): ChainParams {
  const base = (file.split(/[\\/]/).at(-1) ?? '').replace(/\.json$/, '').toLowerCase();
  const name = parsed.name ?? base;
  const spacingSeconds = readSeconds(parsed.spacing, '--spacing');
  const now = Math.floor(Date.now() / 1000);
  const chain = makeChain({
    name,
    spacingSeconds,
    halfLifeSeconds: parsed.halfLife === undefined ? 288 * spacingSeconds : readSeconds(parsed.halfLife, '--half-life'),
    anchorBits: readBits(parsed.anchorBits, '--anchor-bits'),
    powLimitBits: readBits(parsed.limitBits, '--limit-bits'),
    ...(parsed.maxFuture === undefined ? {} : { maxFutureSeconds: readSeconds(parsed.maxFuture, '--max-future') }),
    hrp: parsed.hrp,
    peerPort: Number(parsed.port),
    rpcPort: Number(parsed.rpcPort),
    // A day ago: whoever mines the first blocks at once may date them back, and so begin with less work.
    time: now - DAY_SECONDS,
    text: parsed.text ?? `${name}, ${new Date(1000 * now).toISOString()}`,
  });
  if (chain.ok) return chain.value;
  throw usageError(chain.error.join('; '), 'see grapevine chain new --help');
}

/** Whole seconds: `2s`, `10m`, `1h`, `2d`. */
function readSeconds(text: string, option: string): number {
  const [, digits, unit] = /^(\d{1,9})(s|m|h|d)$/.exec(text) ?? [];
  if (digits === undefined)
    throw usageError(`${option}: "${text}" is no time`, 'whole seconds, minutes, hours or days: 2s, 10m, 1h');
  return Number(digits) * { s: 1, m: 60, h: 3600, d: 86_400 }[unit as 's' | 'm' | 'h' | 'd'];
}

function readBits(text: string, option: string): number {
  if (!/^[0-9a-f]{8}$/i.test(text))
    throw usageError(`${option}: "${text}" is no compact target`, '8 hex digits, for example 1e03ffff');
  return Number.parseInt(text, 16);
}

function show(params: ChainParams, options: GlobalOptions, note?: string): void {
  const { name, retargeting, genesis, magic, hrp, defaultPort, defaultRpcPort, maxFutureSeconds } = params;
  if (retargeting === undefined) throw new Error('a chain file always has a schedule of difficulty');
  const { spacing, halfLife, anchorBits } = retargeting;
  const value = {
    name,
    genesis: genesis.header.hash,
    magic: bytesToHex(magic),
    spacing,
    halfLife,
    maxFutureSeconds,
    hashesOfBlock1: Number(workOf(anchorBits)),
    leastHashes: Number(workOf(params.powLimitBits)),
    hrp,
    port: defaultPort,
    rpcPort: defaultRpcPort,
  };
  printResult(options, value, () =>
    [
      `${name}: a block every ${spacing} s, half-life ${halfLife} s`,
      `  genesis    ${value.genesis}`,
      `  work       ${value.hashesOfBlock1.toLocaleString('en-US')} hashes for block 1, never fewer than ${value.leastHashes.toLocaleString('en-US')}`,
      `  dated      at most ${maxFutureSeconds} s ahead`,
      `  addresses  ${hrp}1p…`,
      `  ports      ${defaultPort} (peers), ${defaultRpcPort} (RPC)`,
      ...(note === undefined ? [] : [note]),
    ].join('\n'),
  );
}
