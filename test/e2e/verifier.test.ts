/** What verifies signatures, as the user of a node sees it: in the log, in `node status`, and when one is forced. */
import { describe, expect, test } from '@jest/globals';
import type { Verifier } from '../../node/boundary.ts';
import { eventually, NodeProcess, run } from '../support/node-process.ts';
import { temporaryFolders } from '../support/temporary-folder.ts';

const newFolder = temporaryFolders();

async function verifierOf(node: NodeProcess): Promise<Verifier | undefined> {
  const info = await node.call<{ readonly verifier?: Verifier }>('getnetworkinfo');
  return info.verifier;
}

/** A node with GRAPEVINE_VERIFY set. */
function startForced(backend: string): Promise<NodeProcess> {
  return NodeProcess.startAfter(`export GRAPEVINE_VERIFY=${backend}`, newFolder());
}

describe('the verifier of a node', () => {
  test('stands in the log and in its status', async () => {
    const node = await NodeProcess.start(newFolder());
    const verifier = await eventually(
      () => verifierOf(node),
      (value) => value !== undefined,
    );
    const to = ['--datadir', node.ready.datadir, '--node', node.ready.rpc];
    const [text, json] = await Promise.all([run('node', 'status', ...to), run('node', 'status', '--json', ...to)]);
    expect(JSON.parse(json.stdout).signatures).toEqual(verifier);
    expect(text.stdout).toContain(`signatures  ${verifier?.library}, `);
    const { stderr } = await node.signal('SIGTERM');
    expect(stderr).toContain(`signatures: ${verifier?.library}, `);
  });

  test('is the one that is forced, known from the first answer on', async () => {
    if (process.platform === 'win32') return; // No shell to set the variable.
    const node = await startForced('wasm');
    expect(await verifierOf(node)).toMatchObject({ backend: 'wasm', library: 'WebAssembly libsecp256k1' });
  });

  test('cannot be one that there is not: then there is no node', async () => {
    if (process.platform === 'win32') return;
    await expect(startForced('gpu')).rejects.toThrow('GRAPEVINE_VERIFY=gpu is none of system, native, wasm, noble');
  });

  test('does not disturb the end of a node that has only just started', async () => {
    for (let i = 0; i < 3; i++) {
      const node = await NodeProcess.start(newFolder());
      await new Promise((resolve) => setTimeout(resolve, i * 40));
      expect((await node.signal('SIGTERM')).code).toBe(0);
    }
  });
});
