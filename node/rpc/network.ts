/** Methods about peers and their addresses. */
import { fail, ok } from '../../consensus/brand.ts';
import type { Endpoint } from '../boundary.ts';
import { PROTOCOL_VERSION, SERVICE_NETWORK, SERVICE_WEBSOCKET, SERVICE_WITNESS } from '../wire/message.ts';
import { command, error, RpcCode, result } from './answer.ts';
import type { PeerSummary } from './context.ts';
import { parseDialTarget } from './dial-target.ts';
import { amount, hexNumber, type JsonValue } from './json.ts';
import { RELAY_FEE_RATE } from './mempool.ts';
import { method, type RpcMethod } from './method.ts';
import { NETWORK_NAMES } from './network-names.ts';
import { bool, defaulted, int, long, object, optional, readTexts, text } from './params.ts';

/** Client libraries choose their behaviour by this number: it says whose calls we answer, that is Bitcoin Core 28.1's. */
const CORE_VERSION = 280_100;
/** Fewer outbound clocks than this say nothing about ours. */
const MIN_CLOCKS = 5;
/** Items that setdeny takes. */
const MAX_DENIED = 1000;

const SERVICE_NAMES: readonly (readonly [bit: bigint, name: string])[] = [
  [SERVICE_NETWORK, 'NETWORK'],
  [1n << 2n, 'BLOOM'],
  [SERVICE_WITNESS, 'WITNESS'],
  [1n << 6n, 'COMPACT_FILTERS'],
  [1n << 10n, 'NETWORK_LIMITED'],
  [1n << 11n, 'P2P_V2'],
  [SERVICE_WEBSOCKET, 'WEBSOCKET'],
];

/** Networks whose addresses we can dial. */
const DIALLED: readonly string[] = ['ipv4', 'ipv6', 'wss'];

/** The names of all bits that are set; Core's way of naming those that it does not know. */
function serviceNames(services: bigint): string[] {
  const names: string[] = [];
  for (let bit = 0n; bit < 64n; bit++) {
    const flag = 1n << bit;
    if ((services & flag) === 0n) continue;
    names.push(SERVICE_NAMES.find(([known]) => known === flag)?.[1] ?? `UNKNOWN[2^${bit}]`);
  }
  return names;
}

/** `host:port`, an IPv6 literal in brackets. */
function endpointText({ host, port }: Endpoint): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The network of an IP literal as Core names it; private and loopback addresses are on none. */
function networkOf(host: string): string {
  const isPrivate = /^(127|10|0|169\.254|192\.168|172\.(1[6-9]|2\d|3[01]))\.|^(::1?$|f[cde])/i.test(host);
  if (isPrivate) return 'not_publicly_routable';
  if (host.includes(':')) return 'ipv6';
  return /^[\d.]+$/.test(host) ? 'ipv4' : 'not_publicly_routable';
}

function peerJson(peer: PeerSummary): JsonValue {
  const { version, kind } = peer;
  // Links that carry blocks only, or lead to nothing but a handshake.
  const isBare = kind === 'block-relay-only' || kind === 'feeler';
  const services = version?.services ?? 0n;
  // To the microsecond, as in Core.
  const seconds = (ms: number | undefined) => (ms === undefined ? undefined : Math.round(ms * 1000) / 1_000_000);
  return {
    id: peer.id,
    addr: endpointText(peer.remote),
    addrbind: endpointText(peer.local),
    addrlocal: version?.seenAs === undefined ? undefined : endpointText(version.seenAs),
    network: networkOf(peer.remote.host),
    services: hexNumber(services, 16),
    servicesnames: serviceNames(services),
    relaytxes: !isBare && (version?.relay ?? false),
    lastsend: peer.lastSend,
    lastrecv: peer.lastReceive,
    last_transaction: peer.lastTransaction,
    last_block: peer.lastBlock,
    bytessent: peer.bytesSent,
    bytesrecv: peer.bytesReceived,
    conntime: peer.connectedAt,
    timeoffset: version?.timeOffset ?? 0,
    pingtime: seconds(peer.pingLastMs),
    minping: seconds(peer.pingMinMs),
    pingwait: seconds(peer.pingWaitingMs),
    version: version?.version ?? 0,
    subver: version?.userAgent ?? '',
    inbound: kind === 'inbound',
    bip152_hb_to: false,
    bip152_hb_from: false,
    startingheight: version?.startHeight ?? -1,
    presynced_headers: -1,
    synced_headers: peer.syncedHeaders,
    synced_blocks: peer.syncedBlocks,
    inflight: peer.inFlight,
    addr_relay_enabled: peer.exchangesAddresses,
    addr_processed: peer.addressesProcessed,
    addr_rate_limited: peer.addressesRateLimited,
    permissions: [],
    minfeefilter: amount(peer.feeFilter),
    bytessent_per_msg: Object.fromEntries(peer.bytesSentByType),
    bytesrecv_per_msg: Object.fromEntries(peer.bytesReceivedByType),
    connection_type: kind,
    transport_protocol_type: 'v1',
    session_id: '',
    // Ours: what carries the stream, how we came to know the peer, with whom it counts as one, and bytes held for it.
    link: peer.transport,
    learned: peer.learned,
    netgroup: peer.netgroup,
    memory: peer.memoryBytes,
  };
}

/** The middle of the outbound peers' clocks less ours, in seconds. */
function medianOffset(peers: readonly PeerSummary[]): number {
  const offsets = peers
    .flatMap(({ direction, version }) =>
      direction === 'outbound' && version !== undefined ? [version.timeOffset] : [],
    )
    .sort((a, b) => a - b);
  return offsets.length < MIN_CLOCKS ? 0 : (offsets[Math.floor(offsets.length / 2)] ?? 0);
}

/** The parameter of setdeny. */
const denied = object(
  '{"names":[...],"endpoints":[...]}',
  'Whom to shut out; what is not named is let in again',
  (value) => {
    for (const name of Object.keys(value)) {
      if (name !== 'names' && name !== 'endpoints') return fail(error(RpcCode.parameter, `Unexpected key ${name}`));
    }
    const names = readTexts(value['names'] ?? []);
    if (!names.ok) return names;
    const endpoints = readTexts(value['endpoints'] ?? []);
    if (!endpoints.ok) return endpoints;
    if (names.value.length + endpoints.value.length > MAX_DENIED) {
      return fail(error(RpcCode.parameter, `At most ${MAX_DENIED} names and endpoints can be denied`));
    }
    return ok({ names: names.value, endpoints: endpoints.value });
  },
);

export const networkMethods: readonly RpcMethod[] = [
  addNode(),

  method({
    name: 'disconnectnode',
    category: 'network',
    description: 'Closes the link to a peer, named either by its address or by its id.',
    params: {
      address: optional(text('The address as getpeerinfo shows it; empty to go by the id')),
      nodeid: optional(long('The id as getpeerinfo shows it')),
    },
    result: 'null',
    example: '"" 1',
    run: ({ peers }, { address, nodeid }) => {
      const byAddress = address !== undefined && nodeid === undefined;
      const byId = nodeid !== undefined && (address === undefined || address === '');
      if (!byAddress && !byId) {
        return error(RpcCode.invalidParams, 'Only one of address and nodeid should be provided.');
      }
      const peer = peers().find(({ id, remote }) => (byId ? id === nodeid : endpointText(remote) === address));
      if (peer === undefined) return error(RpcCode.nodeNotConnected, 'Node not found in connected nodes');
      return command({ type: 'disconnect-node', peer: peer.id });
    },
  }),

  method({
    name: 'getconnectioncount',
    category: 'network',
    description: 'How many peers are connected.',
    params: {},
    result: 'n    (numeric)',
    example: '',
    run: ({ peers }) => result(peers().length),
  }),

  method({
    name: 'getnetworkinfo',
    category: 'network',
    description: 'The state of the peer-to-peer network as this node sees it.',
    params: {},
    result: '{ "version", "subversion", "localservices", "connections", "localaddresses", ... }    (object)',
    example: '',
    run: ({ peers, services, userAgent, verifier, localAddresses, networkActive }) => {
      const links = peers();
      const inbound = links.filter(({ direction }) => direction === 'inbound').length;
      return result({
        version: CORE_VERSION,
        subversion: userAgent,
        protocolversion: PROTOCOL_VERSION,
        localservices: hexNumber(services, 16),
        localservicesnames: serviceNames(services),
        localrelay: true,
        timeoffset: medianOffset(links),
        networkactive: networkActive,
        connections: links.length,
        connections_in: inbound,
        connections_out: links.length - inbound,
        networks: NETWORK_NAMES.map(({ name }) => {
          const reachable = DIALLED.includes(name);
          return { name, limited: !reachable, reachable, proxy: '', proxy_randomize_credentials: false };
        }),
        relayfee: amount(RELAY_FEE_RATE),
        incrementalfee: amount(RELAY_FEE_RATE),
        localaddresses: localAddresses.map(({ host, port, score }) => ({ address: host, port, score })),
        warnings: [],
        // Ours: what verifies signatures. Missing in the first moments.
        verifier: verifier === undefined ? undefined : { ...verifier },
      });
    },
  }),

  method({
    name: 'getnodeaddresses',
    category: 'network',
    description: 'Addresses of other nodes that this node has heard of.',
    params: {
      count: defaulted(int('How many at most; 0 for all'), 1),
      network: optional(text('Only those of this network: ipv4, ipv6, onion, i2p, cjdns or wss')),
    },
    result: '[ { "time", "services", "address", "port", "network" }, ... ]    (array of objects)',
    example: '0',
    run: ({ addresses }, { count, network }) => {
      if (count < 0) return error(RpcCode.parameter, 'Address count out of range');
      const called = network?.toLowerCase() ?? '';
      const wanted = NETWORK_NAMES.find(({ name, also }) => name === called || also === called)?.network;
      if (network !== undefined && wanted === undefined) {
        return error(RpcCode.parameter, `Network not recognized: ${network}`);
      }
      const found = addresses().filter((address) => wanted === undefined || address.network === wanted);
      return result(
        found.slice(0, count === 0 ? undefined : count).map(({ time, services, host, port, network }) => ({
          time,
          services,
          address: host,
          port,
          network: NETWORK_NAMES.find((one) => one.network === network)?.name,
        })),
      );
    },
  }),

  method({
    name: 'getpeerinfo',
    category: 'network',
    description: 'All links to peers, and what is known of each.',
    params: {},
    result: '[ { "id", "addr", "services", "version", "subver", "inbound", ... }, ... ]    (array of objects)',
    example: '',
    run: ({ peers }) => result(peers().map(peerJson)),
  }),

  method({
    name: 'setdeny',
    category: 'hidden',
    description:
      'Divides a network for tests: links to these nodes are closed and not made again. Two empty lists heal it.',
    params: { deny: denied },
    result: 'null',
    example: '\'{"names":["n1"],"endpoints":["127.0.0.1:18444"]}\'',
    run: (_, { deny }) => command({ type: 'set-deny', ...deny }),
  }),
];

function addNode(): RpcMethod {
  const addNode: RpcMethod = method({
    name: 'addnode',
    category: 'network',
    description:
      'Dials a node once ("onetry"), or keeps a link to it ("add") until it is removed ("remove"). A plain HOST:PORT is\n' +
      'dialled over TCP.',
    params: {
      node: text('HOST:PORT, ws://HOST:PORT/PATH, wss://HOST:PORT/PATH or tcp://HOST:PORT'),
      command: text('onetry, add or remove'),
      v2transport: defaulted(bool('BIP 324; not spoken here'), false),
    },
    result: 'null',
    example: '"127.0.0.1:18444" "onetry"',
    run: ({ params, manualNodes, networkActive }, { node, command: how, v2transport }) => {
      if (how !== 'onetry' && how !== 'add' && how !== 'remove') return error(RpcCode.misc, addNode.help);
      if (v2transport) {
        return error(RpcCode.parameter, 'Error: v2transport requested but not enabled (see -v2transport)');
      }
      const target = parseDialTarget(node, params.defaultPort);
      const isAdded = manualNodes().includes(node);
      if (how === 'remove' && !isAdded) {
        const message = 'Error: Node could not be removed. It has not been added previously.';
        return error(RpcCode.nodeNotAdded, message);
      }
      if (!target.ok) return error(RpcCode.parameter, `Error: ${JSON.stringify(node)} ${target.error}`);
      if (how === 'add' && isAdded) return error(RpcCode.nodeAlreadyAdded, 'Error: Node already added');
      if (how === 'onetry' && !networkActive) {
        return error(RpcCode.clientNotConnected, 'Error: Networking is off; setnetworkactive true switches it on');
      }
      return command({ type: 'add-node', target: target.value, text: node, how });
    },
  });
  return addNode;
}
