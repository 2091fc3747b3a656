/**
 * A node as a process: puts the core, its driver and the parts that do its I/O together, says when it is ready, and ends
 * it in order. Nothing is decided here about blocks, peers or calls.
 */
import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import type { ChainParams } from '../../consensus/params.ts';
import type { Endpoint, Event, Notice } from '../boundary.ts';
import { addressesRange, headersRange, poolRange } from '../chain/schema.ts';
import { createNode } from '../node.ts';
import { StoreDamage } from '../ports.ts';
import { SeededRandom } from '../random.ts';
import { systemClock } from '../runtime/clock.ts';
import { removeCookie, writeCookie } from '../runtime/cookie.ts';
import { openDataDirectory, REINDEX_HINT } from '../runtime/data-directory.ts';
import { Driver } from '../runtime/driver.ts';
import { RpcServer } from '../runtime/http.ts';
import type { Logger } from '../runtime/log.ts';
import { errorText, StartError } from '../runtime/start-error.ts';
import { StratumServer } from '../runtime/stratum-server.ts';
import type { TlsIdentity } from '../runtime/tls.ts';
import { endpointText, targetText } from '../runtime/trace.ts';
import { NetTransport } from '../runtime/transport.ts';
import { WorkerPool } from '../runtime/worker-pool.ts';
import type { Listener } from './addresses.ts';
import { CliError, Exit, type GlobalOptions, printResult, reportError } from './cli.ts';
import { type Closer, closeAll } from './closers.ts';
import { EarlyEvents } from './early-events.ts';
import { lanPlan } from './lan-plan.ts';
import type { NodeSettings } from './node.ts';
import { type NodeLog, nodeLog, verifierText } from './node-log.ts';
import { rebuildStore } from './rebuild-store.ts';
import { type StopSignal, stopSignal } from './stop-signal.ts';

/** Pause before each block of `--mine`: without it regtest would grow by thousands of blocks a minute. */
const MINE_INTERVAL_MS = 5000;
/**
 * V8 collects garbage when the heap has grown by this much since the last time. By itself it waits for several times the
 * live heap: an initial sync took 355 MB at most, with this 270 to 280 MB and some 5 % more processor time.
 */
const HEAP_GROWTH_PERCENT = 25;
const VERIFIER_HINT = 'Without GRAPEVINE_VERIFY the node takes the fastest that works here.';

/** Runs a node until it is told to stop. Throws CliError if it cannot start. If it fails later, the process ends with 1. */
export async function runNode(settings: NodeSettings, options: GlobalOptions): Promise<void> {
  const log = nodeLog(options);
  const { logger } = log;
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWTH_PERCENT}`);
  const stop = stopSignal(settings.exitWithParent);
  /** What was opened is closed in reverse order, also if the start fails half way. */
  const closers: Closer[] = [];
  const errors: unknown[] = [];
  try {
    await start(settings, options, log, stop, closers);
    await stop.requested;
    logger.log('info', 'stopping');
  } catch (error) {
    errors.push(startFailure(error));
  }
  errors.push(...(await closeAll(closers)));
  stop.release();
  for (const error of errors.slice(1)) logger.log('error', 'not closed in order', { reason: errorText(error) });
  if (errors.length > 0) throw errors[0];
}

async function start(
  settings: NodeSettings,
  options: GlobalOptions,
  { logger, onNotice: logNotice }: NodeLog,
  stop: StopSignal,
  closers: Closer[],
): Promise<void> {
  const { params, limits, announce, connect, seedNodes, pex, userAgentComments, mineTo, miningShare } = settings;
  const clock = systemClock;
  const tls = await readTls(settings, logger);
  const onFatal = (error: Error) => {
    const [code, hint] =
      error instanceof StoreDamage
        ? ['datadir-damaged', REINDEX_HINT]
        : ['node-failed', 'What it had confirmed is on disk. Start it again when the cause is gone; -v shows more.'];
    reportError(new CliError(Exit.failed, code, `the node cannot go on: ${error.message}`, hint), options);
    if (options.verbose) process.stderr.write(`${error.stack}\n`);
    process.exit(Exit.failed);
  };
  const early = new EarlyEvents();
  const emit = (event: Event) => early.emit(event);
  let driver: Driver | undefined;
  const onFailure = (error: Error) => (driver === undefined ? onFatal(error) : driver.fail(error));

  const directory = await openDataDirectory(options.datadir, params, { onFailure, reindex: settings.reindex });
  const cookie = writeCookie(directory.cookiePath);
  const forgetCookie = () => removeCookie(directory.cookiePath, cookie);
  process.once('exit', forgetCookie);
  closers.push(forgetCookie, () => directory.close());
  const workers = new WorkerPool({ emit, onFailure, miningShare });
  closers.push(() => workers.close());
  const { allowedOrigins } = settings;
  const transport = new NetTransport({
    magic: params.magic,
    limits,
    emit,
    allowedOrigins,
    authorities: tls.authorities,
  });
  closers.push(() => transport.close());

  const { store, blockFiles } = directory;
  if (directory.needsReindex) await rebuildStore(directory, { params, limits, now: clock.now().unix }, logger);
  const rows = {
    headers: await store.rows(headersRange),
    addresses: await store.rows(addressesRange),
    pool: await store.rows(poolRange),
  };
  const listeners: Listener[] = [];
  for (const { host, port, tls: isSecure } of settings.listen) {
    const bound = await transport.listen({ host, port }, isSecure ? tls.identity : undefined);
    listeners.push({ ...bound, tls: isSecure });
  }
  // Over TLS peers dial a name, which only --announce tells.
  const listen = listeners.filter(({ tls: isSecure }) => !isSecure).map(({ host, port }) => ({ host, port }));
  const core = createNode({
    params,
    limits,
    random: new SeededRandom(randomBytes(32)),
    store,
    blockFiles,
    rows,
    listen,
    connect,
    seedNodes,
    announce,
    pex,
    userAgentComments,
    traceItems: settings.traceItems,
    offline: settings.offline,
    ...(settings.mockTime === undefined ? {} : { mockTime: settings.mockTime }),
    ...(mineTo === undefined ? {} : { mineTo: { script: mineTo, intervalMs: minePause(params) } }),
    now: clock.now(),
  });
  const onNotice = (notice: Notice) => {
    logNotice(notice);
    if (notice.kind === 'stop-requested') stop.request();
  };
  const running = new Driver({ core, clock, transport, store, workers, logger, onNotice, onFatal });
  driver = running;
  early.open(running);

  const rpc = new RpcServer({ caller: running, credentials: cookie, maxRequests: limits.maxRequests, logger });
  closers.push(
    () => rpc.close(),
    () => {
      transport.stopListening();
      running.stop();
    },
  );
  const rpcEndpoint = await rpc.listen(settings.rpc);
  if (!/^(localhost|127\.[\d.]+|::1)$/.test(rpcEndpoint.host)) {
    logger.log('warn', 'RPC can be reached from other machines, and its password travels unencrypted');
  }
  let stratum: Endpoint | undefined;
  if (settings.stratum !== undefined) {
    const firstExtra = randomBytes(4).readUInt32LE();
    const now = () => clock.now().mono;
    const server = new StratumServer({ caller: running, params, defaultScript: mineTo, firstExtra, logger, now });
    closers.push(() => server.close());
    stratum = await server.listen(settings.stratum);
  }
  running.start();
  if (settings.lan) closers.push(await startLan(listen, params, emit, logger));

  const tellVerifier = async () => {
    const verifier = await workers.verifier();
    if (!verifier.ok) throw new StartError('verifier-unavailable', verifier.error, VERIFIER_HINT);
    logger.log('info', `signatures: ${verifierText(verifier.value)}`);
    running.deliver({ type: 'verifier', verifier: verifier.value });
  };
  // A backend that the user forces must load, or there is no start. Without that one is always found, and nobody waits.
  const isForced = (process.env['GRAPEVINE_VERIFY'] ?? '') !== '';
  if (isForced) await tellVerifier();

  const ready = {
    event: 'ready',
    network: params.name,
    rpc: endpointText(rpcEndpoint),
    listen: listeners.map((endpoint) => `${endpoint.tls ? 'wss' : 'ws'}://${endpointText(endpoint)}`),
    ...(announce.length === 0 ? {} : { announce: announce.map(targetText) }),
    ...(stratum === undefined ? {} : { stratum: `stratum+tcp://${endpointText(stratum)}` }),
    cookie: resolve(directory.cookiePath),
    datadir: resolve(options.datadir),
    pid: process.pid,
  };
  printResult(options, ready, () =>
    [
      `Grapevine node on ${ready.network} (pid ${ready.pid})`,
      `  peers   ${ready.listen.join(' ')}`,
      ...(ready.announce === undefined ? [] : [`  public  ${ready.announce.join(' ')}`]),
      `  rpc     http://${ready.rpc}`,
      ...(ready.stratum === undefined ? [] : [`  miners  ${ready.stratum}`]),
      `  cookie  ${ready.cookie}`,
      'Ctrl-C stops it.',
    ].join('\n'),
  );
  if (!isForced) tellVerifier().catch(onFailure);
}

/** What the options of TLS name, read before anything is opened. */
async function readTls({ tls, authoritiesFile, announce }: NodeSettings, logger: Logger): Promise<TlsSettings> {
  if (tls === undefined && authoritiesFile === undefined) return { identity: undefined, authorities: undefined };
  const files = await import('./tls-files.ts');
  const names = announce.filter(({ transport }) => transport === 'wss').map(({ host }) => host);
  const checked = tls && files.readIdentity(tls.certFile, tls.keyFile, names, Date.now());
  for (const warning of checked?.warnings ?? []) logger.log('warn', warning);
  const authorities = authoritiesFile === undefined ? undefined : files.readAuthorities(authoritiesFile);
  return { identity: checked?.identity, authorities };
}

interface TlsSettings {
  readonly identity: TlsIdentity | undefined;
  readonly authorities: string | undefined;
}

/** Begins local discovery; the result ends it. */
async function startLan(
  listen: readonly Endpoint[],
  params: ChainParams,
  emit: (event: Event) => void,
  logger: Logger,
): Promise<Closer> {
  const plan = lanPlan(listen, params.loopbackRoutable);
  if (plan === undefined) return () => undefined;
  const { LanDiscovery } = await import('../runtime/lan-discovery.ts');
  const lan = await LanDiscovery.start({
    ...plan,
    genesis: params.genesis.header.hash,
    network: params.name,
    onFound: (addresses, source) => emit({ type: 'addresses-found', addresses, source }),
    onTrouble: (reason) => logger.log('debug', 'local discovery', { reason }),
    now: () => systemClock.now().mono,
  });
  return () => lan.close();
}

/** Where blocks cost work there is no need to wait. */
function minePause({ retargeting }: ChainParams): number {
  return retargeting === undefined ? MINE_INTERVAL_MS : 0;
}

/** What the runtime says as the command's error. */
function startFailure(error: unknown): unknown {
  if (error instanceof StartError) return new CliError(Exit.failed, error.code, error.message, error.hint);
  if (error instanceof StoreDamage) {
    return new CliError(Exit.failed, 'datadir-damaged', error.message, REINDEX_HINT);
  }
  return error;
}
