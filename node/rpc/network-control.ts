/** Methods that switch, measure and list the links of the node. */
import type { DialTarget, Endpoint } from '../boundary.ts';
import { formatEndpoint } from '../wire/ip.ts';
import { command, error, RpcCode, result } from './answer.ts';
import type { PeerSummary, RpcContext } from './context.ts';
import { parseDialTarget } from './dial-target.ts';
import type { JsonValue } from './json.ts';
import { method, type RpcMethod } from './method.ts';

import { bool, optional, text } from './params.ts';

const UPLOAD_WINDOW_SECONDS = 86_400;

function leadsTo({ remote, dialled }: PeerSummary, target: DialTarget): boolean {
  const isIt = (endpoint: Endpoint | undefined) => endpoint?.host === target.host && endpoint.port === target.port;
  return isIt(dialled) || isIt(remote);
}

/** One node of `addnode add`, and whether there is a link to it. */
function addedNodeJson({ peers, params }: RpcContext, name: string): JsonValue {
  const target = parseDialTarget(name, params.defaultPort);
  const links = target.ok ? peers().filter((peer) => leadsTo(peer, target.value)) : [];
  return {
    addednode: name,
    connected: links.length > 0,
    addresses: links.map(({ remote, direction }) => ({ address: formatEndpoint(remote), connected: direction })),
  };
}

export const networkControlMethods: readonly RpcMethod[] = [
  method({
    name: 'getaddednodeinfo',
    category: 'network',
    description: 'The nodes that addnode keeps linked, and whether they are.',
    params: { node: optional(text('Only this one, as it was given to addnode')) },
    result:
      '[ { "addednode", "connected", "addresses": [ { "address", "connected" }, ... ] }, ... ]    (array of objects)',
    example: '"127.0.0.1:18444"',
    run: (context, { node }) => {
      const added = context.manualNodes();
      if (node !== undefined && !added.includes(node)) {
        return error(RpcCode.nodeNotAdded, 'Error: Node has not been added.');
      }
      return result((node === undefined ? added : [node]).map((name) => addedNodeJson(context, name)));
    },
  }),

  method({
    name: 'getnettotals',
    category: 'network',
    description: 'Bytes that went over all links since the start.',
    params: {},
    result: '{ "totalbytesrecv", "totalbytessent", "timemillis", "uploadtarget": {...} }    (object)',
    example: '',
    run: ({ traffic, now }) =>
      result({
        totalbytesrecv: traffic.received,
        totalbytessent: traffic.sent,
        timemillis: now.unix * 1000,
        uploadtarget: {
          timeframe: UPLOAD_WINDOW_SECONDS,
          target: 0,
          target_reached: false,
          serve_historical_blocks: true,
          bytes_left_in_cycle: 0,
          time_left_in_cycle: 0,
        },
      }),
  }),

  method({
    name: 'ping',
    category: 'network',
    description: 'Sends a ping to every peer. getpeerinfo shows how long the answers took.',
    params: {},
    result: 'null',
    example: '',
    run: () => command({ type: 'ping' }),
  }),

  method({
    name: 'setnetworkactive',
    category: 'network',
    description: 'Closes all links and makes none until it is switched on again.',
    params: { state: bool('Whether there shall be links') },
    result: 'true|false    (boolean), what was given',
    example: 'false',
    run: (_, { state }) => command({ type: 'set-network-active', active: state }),
  }),
];
