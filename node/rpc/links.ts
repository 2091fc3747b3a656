/** `setlink`, ours: how a devnet makes links slow, as `setdeny` divides it. */
import { fail, ok, type Result } from '../../consensus/brand.ts';
import type { LinkRule } from '../peer/link-rules.ts';
import { shapeFault } from '../slow-line.ts';
import { command, error, RpcCode, type RpcError } from './answer.ts';
import { method, type RpcMethod } from './method.ts';
import { object } from './params.ts';

const MAX_LINKS = 1000;
const KEYS: readonly string[] = ['name', 'delay', 'jitter', 'bandwidth'];

const slowLinks = object(
  '{"links":[{"name":"n1","delay":n,"jitter":n,"bandwidth":n},...]}',
  'The slow links: the name of the peer, milliseconds and bits per second; what is not named is fast again',
  (value): Result<readonly LinkRule[], RpcError> => {
    const links = value['links'];
    if (!Array.isArray(links)) return fail(error(RpcCode.parameter, 'Missing key links'));
    if (links.length > MAX_LINKS) return fail(error(RpcCode.parameter, `At most ${MAX_LINKS} links can be slow`));
    const rules: LinkRule[] = [];
    for (const link of links as readonly unknown[]) {
      const rule = readRule(link);
      if (!rule.ok) return rule;
      rules.push(rule.value);
    }
    return ok(rules);
  },
);

function readRule(value: unknown): Result<LinkRule, RpcError> {
  const wrong = (what: string) => fail(error(RpcCode.parameter, what));
  if (typeof value !== 'object' || value === null) return wrong('A link is an object');
  const link = value as Readonly<Record<string, unknown>>;
  for (const key of Object.keys(link)) if (!KEYS.includes(key)) return wrong(`Unexpected key ${key}`);
  const { name, delay = 0, jitter = 0, bandwidth } = link as Record<(typeof KEYS)[number], unknown>;
  if (typeof name !== 'string') return wrong('A link has the name of the peer');
  if (typeof delay !== 'number' || typeof jitter !== 'number') return wrong('Delay and jitter are numbers');
  if (bandwidth !== undefined && typeof bandwidth !== 'number') return wrong('A bandwidth is a number');
  const rule = { name, delayMs: delay, jitterMs: jitter, bitsPerSecond: bandwidth };
  const fault = shapeFault(rule);
  return fault === undefined ? ok(rule) : wrong(`${name}: ${fault}`);
}

export const linkMethods: readonly RpcMethod[] = [
  method({
    name: 'setlink',
    category: 'hidden',
    description:
      'Sends to these nodes as over a slow line, for tests: a delay, by chance up to the jitter more, and a bandwidth. An\n' +
      'empty list makes all links fast again.',
    params: { links: slowLinks },
    result: 'null',
    example: '\'{"links":[{"name":"n1","delay":200,"jitter":50,"bandwidth":64000}]}\'',
    run: (_, { links }) => command({ type: 'set-links', rules: links }),
  }),
];
