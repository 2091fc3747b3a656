/** The files that `--tls-cert`, `--tls-key` and `--tls-ca` name: read, and checked before a node starts with them. */
import { readFileSync } from 'node:fs';
import { errorText, systemCode } from '../runtime/start-error.ts';
import { readCertificates, serverContext, type TlsIdentity } from '../runtime/tls.ts';
import { usageError } from './cli.ts';

/** What a node shows to those who dial it over TLS, and what its user should hear about it. */
export interface CheckedIdentity {
  readonly identity: TlsIdentity;
  readonly warnings: readonly string[];
}

/** `announced` are the names under which others will dial. `nowMs` since 1970. Throws usage errors. */
export function readIdentity(
  certFile: string,
  keyFile: string,
  announced: readonly string[],
  nowMs: number,
): CheckedIdentity {
  const cert = readFile(certFile, '--tls-cert');
  const key = readFile(keyFile, '--tls-key');
  const [leaf] = certificatesIn(cert, certFile, '--tls-cert');
  if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(key)) {
    throw usageError(`--tls-key: there is no private key in ${keyFile}`, 'PEM is wanted: BEGIN PRIVATE KEY');
  }
  if (key.includes('ENCRYPTED')) {
    throw usageError(`--tls-key: ${keyFile} is protected by a password`, 'take it off: openssl pkey -in FILE');
  }
  try {
    serverContext({ cert, key });
  } catch (error) {
    throw keyError(error, certFile, keyFile);
  }
  const warnings = [];
  if (leaf !== undefined) {
    if (Date.parse(leaf.validTo) < nowMs) warnings.push(`the certificate in ${certFile} has expired (${leaf.validTo})`);
    if (Date.parse(leaf.validFrom) > nowMs) warnings.push(`the certificate in ${certFile} is not valid yet`);
    for (const name of announced) {
      if (leaf.checkHost(name) === undefined) warnings.push(`the certificate in ${certFile} is not for ${name}`);
    }
  }
  return { identity: { cert, key }, warnings };
}

/** Certificates of authorities, in PEM. Throws usage errors. */
export function readAuthorities(file: string): string {
  const text = readFile(file, '--tls-ca');
  certificatesIn(text, file, '--tls-ca');
  return text;
}

function readFile(file: string, option: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const reason = systemCode(error) === 'ENOENT' ? 'there is no such file' : errorText(error);
    throw usageError(`${option}: ${file} cannot be read: ${reason}`, 'the node reads it once, when it starts');
  }
}

function certificatesIn(text: string, file: string, option: string) {
  let found: ReturnType<typeof readCertificates>;
  try {
    found = readCertificates(text);
  } catch (error) {
    throw usageError(`${option}: a certificate in ${file} cannot be read: ${errorText(error)}`, 'is it damaged?');
  }
  if (found.length > 0) return found;
  throw usageError(`${option}: there is no certificate in ${file}`, 'PEM is wanted: BEGIN CERTIFICATE');
}

function keyError(error: unknown, certFile: string, keyFile: string) {
  switch (systemCode(error)) {
    case 'ERR_OSSL_X509_KEY_VALUES_MISMATCH':
    case 'ERR_OSSL_X509_KEY_TYPE_MISMATCH':
      return usageError(`--tls-key: ${keyFile} is not the key of the certificate in ${certFile}`, 'they come in pairs');
    default:
      return usageError(`--tls-cert, --tls-key: ${errorText(error)}`, 'give a certificate and its private key in PEM');
  }
}
