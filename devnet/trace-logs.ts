/** Reads the logs of a devnet's nodes for what they tell of one transaction or block. */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { CliError, Exit, usageError } from '../node/commands/cli.ts';
import type { DevnetFolder } from './folder.ts';
import { logFiles } from './rotating-log.ts';
import { ITEM_MARK, type ItemLine, makeTimeline, readItemLine, type Timeline, type TraceStep } from './trace.ts';

const ID = /^[0-9a-f]{64}$/;

/**
 * What all nodes saw of the transaction (by txid or wtxid) or block, also of nodes that do not run. Throws a CliError if
 * `id` is no id, or no log that is kept names it.
 */
export async function traceItem(folder: DevnetFolder, id: string): Promise<Timeline> {
  const asked = id.toLowerCase();
  if (!ID.test(asked)) throw usageError(`"${id}" is neither a txid nor a block hash`, 'give all 64 hex digits');
  if (!folder.exists) throw notFound(`there is no devnet "${folder.name}" at ${folder.path}`);
  const nodes = folder.nodeNames();
  // A transaction has two names: the lines that know both lead from one to the other.
  const names = new Set([asked]);
  for (;;) {
    const lines = await readLines(folder, nodes, names);
    const known = names.size;
    for (const { ids, wtxid } of [...lines.values()].flat()) {
      if (wtxid !== undefined) for (const name of [...ids, wtxid]) names.add(name);
    }
    if (names.size > known) continue;
    const item = [...lines.values()].flat()[0]?.item ?? 'transaction';
    const steps = new Map([...lines].map(([node, found]) => [node, found.map((line) => stepOf(node, line, names))]));
    const timeline = makeTimeline(asked, item, steps);
    if (timeline !== undefined) return timeline;
    throw notFound(`no node of devnet "${folder.name}" has told of ${asked} in the logs that are kept`);
  }
}

async function readLines(
  folder: DevnetFolder,
  nodes: readonly string[],
  names: ReadonlySet<string>,
): Promise<Map<string, ItemLine[]>> {
  const found = new Map<string, ItemLine[]>();
  for (const node of nodes) {
    const lines: ItemLine[] = [];
    for (const path of logFiles(folder.nodeLog(node))) await readItems(path, names, lines);
    found.set(node, lines);
  }
  return found;
}

async function readItems(path: string, names: ReadonlySet<string>, into: ItemLine[]): Promise<void> {
  const input = createReadStream(path);
  try {
    for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      if (!line.includes(ITEM_MARK) || ![...names].some((name) => line.includes(name))) continue;
      const item = readItemLine(line);
      const isMeant = item !== undefined && [item.wtxid ?? '', ...item.ids].some((name) => names.has(name));
      if (isMeant) into.push(item);
    }
  } catch (error) {
    // Most logs have never been full, so there are no older files.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

function stepOf(node: string, { ids, item: _item, ...rest }: ItemLine, names: ReadonlySet<string>): TraceStep {
  return { node, id: ids.find((candidate) => names.has(candidate)) as string, ...rest };
}

function notFound(message: string): CliError {
  const hint = 'look at the ids in grapevine devnet logs; of an initial sync, transactions of blocks are not told';
  return new CliError(Exit.failed, 'not-traced', message, hint);
}
