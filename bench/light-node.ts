/**
 * A whole node on real sockets inside this process, with its store in memory and without threads: so that many fit where as
 * many processes would not. It can do everything but verify signatures and mine.
 */
import { randomBytes } from 'node:crypto';
import { regtest } from '../consensus/params.ts';
import type { DialTarget, Endpoint, RpcParams, ScanId } from '../node/boundary.ts';
import { MemoryBlockFiles, MemoryStore } from '../node/chain/memory-store.ts';
import { localLimits } from '../node/limits.ts';
import { createNode } from '../node/node.ts';
import { SeededRandom } from '../node/random.ts';
import { systemClock } from '../node/runtime/clock.ts';
import { Driver, type DriverStore, type DriverWorkers } from '../node/runtime/driver.ts';
import { silentLogger } from '../node/runtime/log.ts';
import { NetTransport, type TransportEvent } from '../node/runtime/transport.ts';

export class LightNode {
  readonly endpoint: Endpoint;
  readonly #driver: Driver;
  readonly #transport: NetTransport;

  /** Listens on a free port of the loopback interface and dials `connect`. */
  static async start(connect: readonly DialTarget[]): Promise<LightNode> {
    let node: LightNode | undefined;
    const emit = (event: TransportEvent) => node?.onEvent(event);
    const transport = new NetTransport({ magic: regtest.magic, limits: localLimits, emit });
    const endpoint = await transport.listen({ host: '127.0.0.1', port: 0 });
    node = new LightNode(endpoint, connect, transport);
    node.#driver.start();
    return node;
  }

  private constructor(endpoint: Endpoint, connect: readonly DialTarget[], transport: NetTransport) {
    this.endpoint = endpoint;
    this.#transport = transport;
    const store = new MemoryStore();
    const clock = systemClock;
    const core = createNode({
      params: regtest,
      limits: localLimits,
      random: new SeededRandom(randomBytes(32)),
      store,
      blockFiles: new MemoryBlockFiles(),
      rows: { headers: [], addresses: [], pool: [] },
      listen: [endpoint],
      connect,
      pex: true,
      now: clock.now(),
    });
    this.#driver = new Driver({
      core,
      clock,
      transport,
      store: new ScannedStore(store),
      workers: NO_WORKERS,
      logger: silentLogger,
      onNotice: () => undefined,
      onFatal: fail,
    });
  }

  call(method: string, params: RpcParams = []): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#driver.call(method, params, (outcome) => {
        if (outcome.ok) resolve(JSON.parse(outcome.json));
        else reject(new Error(`${method}: ${outcome.message}`));
      });
    });
  }

  onEvent(event: TransportEvent): void {
    this.#driver.deliver(event);
  }

  async stop(): Promise<void> {
    this.#driver.stop();
    await this.#transport.close();
  }
}

/** What the driver wants of a store besides what the core wants. */
class ScannedStore implements DriverStore {
  readonly backlogBytes = 0;
  readonly #store: MemoryStore;

  constructor(store: MemoryStore) {
    this.#store = store;
  }

  flush(): Promise<void> {
    return this.#store.flush();
  }

  scan(_id: ScanId, gte: string, lt: string): ReturnType<DriverStore['scan']> {
    return Promise.resolve({ rows: this.#store.range(gte, lt), done: true });
  }

  cancelScan(): void {
    // A scan is over when it is asked for.
  }
}

const NO_WORKERS: DriverWorkers = {
  verify: () => fail(new Error('there is nothing to verify with')),
  mine: () => fail(new Error('there is nothing to mine with')),
  cancel: () => undefined,
};

function fail(error: Error): never {
  throw error;
}
