/**
 * A real node in the test process: the core over a store in memory, driven and asked over HTTP as the node command does,
 * without links. Its devnet's accounts are those of `fakeDevnet`, so that commands run against it.
 */
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { regtest } from '../../consensus/params.ts';
import type { DialId, Event, JobId, ScanId } from '../../node/boundary.ts';
import { MemoryBlockFiles, MemoryStore } from '../../node/chain/memory-store.ts';
import { headersRange } from '../../node/chain/schema.ts';
import { localLimits } from '../../node/limits.ts';
import { grind } from '../../node/mining/grind.ts';
import { createNode } from '../../node/node.ts';
import { SeededRandom } from '../../node/random.ts';
import { systemClock } from '../../node/runtime/clock.ts';
import { Driver } from '../../node/runtime/driver.ts';
import { RpcServer } from '../../node/runtime/http.ts';
import { silentLogger } from '../../node/runtime/log.ts';
import { verifyChecks } from '../../node/verify/verify-checks.ts';
import { readDevnetFile, writeDevnetFile } from '../../wallet/devnet-file.ts';
import { RpcClient } from '../../wallet/rpc-client.ts';
import { COOKIE } from './fake-node.ts';

/** What a node has stored: another one can begin with it. */
export interface NodeImage {
  readonly store: MemoryStore;
  readonly blockFiles: MemoryBlockFiles;
}

export class RealNode {
  readonly client: RpcClient;
  readonly endpoint: string;
  readonly #server: RpcServer;
  readonly #driver: Driver;
  readonly #image: NodeImage;

  private constructor(endpoint: string, server: RpcServer, driver: Driver, image: NodeImage) {
    this.#image = image;
    this.endpoint = endpoint;
    this.client = new RpcClient({ endpoint, credentials: COOKIE, cookieFile: '' });
    this.#server = server;
    this.#driver = driver;
  }

  static async start(image?: NodeImage): Promise<RealNode> {
    const store = image?.store.snapshot() ?? new MemoryStore();
    const blockFiles = image?.blockFiles ?? new MemoryBlockFiles();
    const clock = systemClock;
    const core = createNode({
      params: regtest,
      limits: localLimits,
      random: new SeededRandom(new Uint8Array(32)),
      store,
      blockFiles,
      rows: { headers: store.range(headersRange.gte, headersRange.lt), addresses: [], pool: [] },
      listen: [],
      connect: [],
      pex: false,
      now: clock.now(),
    });
    const later = (event: () => Event) => setImmediate(() => driver.deliver(event()));
    const scans = new Map<ScanId, { after: string; readonly rows: MemoryStore }>();
    const none = () => undefined;
    const driver: Driver = new Driver({
      core,
      clock,
      logger: silentLogger,
      onNotice: none,
      onFatal: (error) => {
        throw error;
      },
      transport: {
        dial: (dial: DialId) => later(() => ({ type: 'dial-failed', dial, reason: 'there is no network' })),
        send: none,
        disconnect: none,
        pause: none,
        resume: none,
        hold: none,
        shape: none,
      },
      store: {
        backlogBytes: 0,
        flush: async () => undefined,
        async scan(id, gte, lt, limit) {
          const scan = scans.get(id) ?? { after: gte, rows: store.snapshot() };
          scans.set(id, scan);
          const rows = scan.rows.range(scan.after, lt, limit);
          const last = rows.at(-1);
          const done = last === undefined || rows.length < limit;
          if (done) scans.delete(id);
          else scan.after = `${last.key}\0`;
          return { rows, done };
        },
        cancelScan: (id) => void scans.delete(id),
      },
      workers: {
        verify: (job: JobId, checks) => later(() => ({ type: 'verified', job, failed: verifyChecks(checks) })),
        mine: (job: JobId, header, bits) => later(() => ({ type: 'mined', job, ...grind(header, bits, 0, 2 ** 32) })),
        cancel: none,
      },
    } as ConstructorParameters<typeof Driver>[0]);
    const server = new RpcServer({
      caller: driver,
      credentials: COOKIE,
      maxRequests: localLimits.maxRequests,
      logger: silentLogger,
    });
    const { host, port } = await server.listen({ host: '127.0.0.1', port: 0 });
    driver.start();
    return new RealNode(`${host}:${port}`, server, driver, { store, blockFiles });
  }

  async stop(): Promise<void> {
    this.client.close();
    this.#driver.stop();
    await this.#server.close();
  }

  /** What it has stored by now. Block files only grow, so that several nodes can share them. */
  image(): NodeImage {
    return { store: this.#image.store.snapshot(), blockFiles: this.#image.blockFiles };
  }

  call<T>(method: string, ...params: readonly unknown[]): Promise<T> {
    return this.client.call(method, params) as Promise<T>;
  }

  /** Blocks that pay to an address. */
  async mine(count: number, address: string): Promise<void> {
    await this.call('generatetoaddress', count, address);
  }

  /** Makes the first node of a devnet file this one. */
  joinDevnet(path: string): void {
    const file = readDevnetFile(path);
    if (file === undefined) throw new Error(`there is no devnet at ${path}`);
    const cookie = join(dirname(path), 'cookie');
    writeFileSync(cookie, COOKIE);
    const [node] = file.nodes;
    if (node === undefined) throw new Error('the devnet has no node');
    writeDevnetFile(path, { ...file, nodes: [{ ...node, rpc: this.endpoint, cookie }] });
  }
}
