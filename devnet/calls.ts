/** The calls of the control endpoint, carried out: reads what came over the wire and asks the devnet to do it. */
import { CliError, Exit, usageError } from '../node/commands/cli.ts';
import type { ControlCalls, ControlMethod } from './control.ts';
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
