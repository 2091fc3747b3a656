/** The calls of the control endpoint, carried out: reads what came over the wire and asks the devnet to do it. */
import { CliError, Exit, usageError } from '../node/commands/cli.ts';
import type { ClockOrder } from './clock-setting.ts';
import type { ControlCalls, ControlMethod } from './control.ts';
import { checkLinkOrder, type LinkOrder } from './links.ts';
import type { Sides } from './partition.ts';
import type { Devnet } from './supervisor.ts';

type Params = Readonly<Record<string, unknown>>;

const calls: { readonly [M in ControlMethod]: (devnet: Devnet, params: Params) => Promise<ControlCalls[M]['result']> } =
  {
    ping: async (devnet) => ({ name: devnet.options.name }),
    status: (devnet) => devnet.status(),
    kill: (devnet, params) => ready(devnet).kill(textParam(params, 'node')),
    restart: (devnet, params) => ready(devnet).restart(textParam(params, 'node')),
    partition: (devnet, params) => ready(devnet).partition(sidesParam(params)),
    heal: (devnet) => ready(devnet).heal(),
    link: (devnet, params) => ready(devnet).link(textParam(params, 'a'), textParam(params, 'b'), orderParam(params)),
    links: async (devnet) => ({ links: devnet.links }),
    add: (devnet, params) => ready(devnet).operations.add(optionalText(params, 'connect')),
    isolate: (devnet, params) => isolate(ready(devnet), textParam(params, 'node')),
    faucet: (devnet, params) => faucet(ready(devnet), params),
    reorg: (devnet, params) =>
      ready(devnet).operations.reorg({
        depth: numberParam(params, 'depth'),
        node: optionalText(params, 'node'),
        drop: optionalText(params, 'drop'),
      }),
    time: (devnet, params) => ready(devnet).operations.time(clockParam(params)),
    topology: (devnet) => ready(devnet).operations.topology(),
    wait: (devnet, params) => wait(ready(devnet), params),
    save: (devnet, params) => ready(devnet).snapshots.save(textParam(params, 'snapshot'), params['force'] === true),
    load: (devnet, params) => ready(devnet).snapshots.load(textParam(params, 'snapshot')),
    stop: async (devnet) => ({ stopped: await devnet.stop() }),
  };

export async function carryOut(devnet: Devnet, method: string, params: Params): Promise<unknown> {
  if (!Object.hasOwn(calls, method)) throw usageError(`a devnet has no call "${method}"`);
  return calls[method as ControlMethod](devnet, params);
}

/** Nodes can be disturbed only while they are all there. */
function ready(devnet: Devnet): Devnet {
  if (devnet.phase === 'ready') return devnet;
  const { name } = devnet.options;
  throw new CliError(Exit.failed, `devnet-${devnet.phase}`, `devnet "${name}" is ${devnet.phase}`, 'try again soon');
}

async function isolate(devnet: Devnet, node: string): Promise<ControlCalls['isolate']['result']> {
  await devnet.operations.isolate(node);
  return devnet.status();
}

async function faucet(devnet: Devnet, params: Params): Promise<ControlCalls['faucet']['result']> {
  const amount = BigInt(numberParam(params, 'amount'));
  const payment = await devnet.operations.faucet(textParam(params, 'to'), amount, optionalText(params, 'node'));
  return { ...payment, amount: Number(payment.amount), fee: Number(payment.fee) };
}

function wait(devnet: Devnet, params: Params): Promise<ControlCalls['wait']['result']> {
  const options = { timeoutMs: numberParam(params, 'timeoutMs') };
  const { target } = params;
  switch (params['what']) {
    case 'sync':
      return devnet.operations.waitForSync(options);
    case 'tip':
      if (typeof target !== 'string' && typeof target !== 'number') break;
      return devnet.operations.waitForTip(target, options);
    case 'tx':
      return devnet.operations.waitForTx(textParam(params, 'txid'), {
        ...options,
        confirmations: numberParam(params, 'confirmations'),
      });
  }
  throw usageError('a wait is for "sync", "tip" with "target", or "tx" with "txid"');
}

function clockParam({ order }: Params): ClockOrder {
  const { kind, seconds, unix } = (order ?? {}) as Readonly<Record<string, unknown>>;
  if (kind === 'show' || kind === 'resume') return { kind };
  if (kind === 'move' && Number.isSafeInteger(seconds)) return { kind, seconds: seconds as number };
  if (kind === 'set' && Number.isSafeInteger(unix)) return { kind, unix: unix as number };
  throw usageError('the parameter "order" is a step in time, a moment, "show" or "resume"');
}

function numberParam(params: Params, name: string): number {
  const value = params[name];
  if (Number.isSafeInteger(value)) return value as number;
  throw usageError(`the parameter "${name}" is a whole number`);
}

function optionalText(params: Params, name: string): string | undefined {
  return params[name] === undefined || params[name] === null ? undefined : textParam(params, name);
}

function textParam(params: Params, name: string): string {
  const value = params[name];
  if (typeof value === 'string') return value;
  throw usageError(`the parameter "${name}" is a text`);
}

function sidesParam({ sides }: Params): Sides {
  const isTexts = (side: unknown) => Array.isArray(side) && side.every((name) => typeof name === 'string');
  if (Array.isArray(sides) && sides.length >= 2 && sides.every(isTexts)) return sides as string[][];
  throw usageError('the parameter "sides" is a list of at least two lists of names');
}

function orderParam({ order }: Params): LinkOrder {
  if (order === null) return null;
  const { delayMs, jitterMs, bitsPerSecond } = (order ?? {}) as Readonly<Record<string, unknown>>;
  const isShape = typeof delayMs === 'number' && typeof jitterMs === 'number';
  if (isShape && (bitsPerSecond === null || typeof bitsPerSecond === 'number')) {
    return checkLinkOrder({ delayMs, jitterMs, bitsPerSecond });
  }
  throw usageError('the parameter "order" is null or has "delayMs", "jitterMs" and "bitsPerSecond"');
}
