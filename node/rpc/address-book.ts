/** What the address manager holds: `getaddrmaninfo`, and `addpeeraddress` for tests. */
import { canonicalHost, parseIp } from '../wire/ip.ts';
import { command, type RpcReply, result } from './answer.ts';
import { method, type RpcMethod } from './method.ts';
import { NETWORK_NAMES } from './network-names.ts';
import { bool, defaulted, text, uint16 } from './params.ts';

/** The answer to the command `add-address`. */
export function addAddressAnswer(outcome: 'added' | 'not-new' | 'not-tried'): RpcReply {
  if (outcome === 'added') return result({ success: true });
  const table = outcome === 'not-new' ? 'new' : 'tried';
  return result({ success: false, error: `failed-adding-to-${table}` });
}

export const addressBookMethods: readonly RpcMethod[] = [
  method({
    name: 'getaddrmaninfo',
    category: 'network',
    description:
      'How many addresses of nodes this node knows, by network: those that it only heard of (new) and those that it reached\n' +
      '(tried).',
    params: {},
    result: '{ "ipv4": { "new", "tried", "total" }, ..., "all_networks": {...} }    (object)',
    example: '',
    run: ({ addressCounts }) => {
      const counts = addressCounts();
      const all = { new: 0, tried: 0, total: 0 };
      const rows = NETWORK_NAMES.map(({ name, network }) => {
        const { new: heard, tried } = counts.get(network) ?? { new: 0, tried: 0 };
        all.new += heard;
        all.tried += tried;
        all.total += heard + tried;
        return [name, { new: heard, tried, total: heard + tried }] as const;
      });
      return result({ ...Object.fromEntries(rows), all_networks: all });
    },
  }),

  method({
    name: 'addpeeraddress',
    category: 'hidden',
    description: 'Adds an address of a node to the address manager, for tests: as if that node had told it.',
    params: {
      address: text('An IP address'),
      port: uint16('Its port'),
      tried: defaulted(bool('As if we had reached it'), false),
    },
    result: '{ "success": true|false, "error": "..." }    (object)',
    example: '"1.2.3.4" 8333 true',
    run: (_, { address, port, tried }) =>
      parseIp(address) === undefined
        ? result({ success: false })
        : command({ type: 'add-address', endpoint: { host: canonicalHost(address), port }, tried }),
  }),
];
