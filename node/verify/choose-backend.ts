/**
 * Which backend verifies signatures: the fastest that loads and passes its test, unless `GRAPEVINE_VERIFY` names one.
 * Loading one takes memory and some 20 ms: only threads that verify do it, never the main thread of a node.
 */
import { fail, ok, type Result } from '../../consensus/brand.ts';
import { type Backend, type BackendName, backendNames, type FastBackendName, fastBackendNames } from './backend.ts';
import { loadNativeBackend } from './native.ts';
import { nobleBackend } from './noble.ts';
import { passesSelfTest } from './self-test.ts';
import { loadSystemBackend } from './system.ts';
import { loadWebAssemblyBackend } from './wasm.ts';

const loaders: Readonly<Record<FastBackendName, () => Result<Backend, string>>> = {
  system: loadSystemBackend,
  native: loadNativeBackend,
  wasm: loadWebAssemblyBackend,
};

/** The backend, or why it cannot be used here. The fast ones are tested first; noble is what they are measured by. */
export function loadBackend(name: BackendName): Result<Backend, string> {
  if (name === 'noble') return ok(nobleBackend);
  const loaded = loaders[name]();
  if (!loaded.ok || passesSelfTest(loaded.value)) return loaded;
  return fail(`${loaded.value.library} fails the test vectors of BIP 340`);
}

/** The backend to use. Fails only if one is forced, by name, and cannot be used. */
export function chooseBackend(forced: string | undefined = process.env['GRAPEVINE_VERIFY']): Result<Backend, string> {
  if (forced !== undefined && forced !== '') {
    const name = backendNames.find((known) => known === forced);
    if (name === undefined) return fail(`GRAPEVINE_VERIFY=${forced} is none of ${backendNames.join(', ')}`);
    const loaded = loadBackend(name);
    return loaded.ok ? loaded : fail(`GRAPEVINE_VERIFY=${forced} cannot be used: ${loaded.error}`);
  }
  for (const name of fastBackendNames) {
    const loaded = loadBackend(name);
    if (loaded.ok) return loaded;
  }
  return ok(nobleBackend);
}
