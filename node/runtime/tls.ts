/**
 * TLS of peer links: what we show to those who dial us, whom we trust when we dial, and why a dial failed, in words. A
 * certificate that does not hold is a failed dial, always: there is no way to dial without looking at it.
 */
import { X509Certificate } from 'node:crypto';
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls';
import { errorText, systemCode } from './start-error.ts';

/** A certificate with its chain, and its private key, both in PEM. */
export interface TlsIdentity {
  readonly cert: string;
  readonly key: string;
}

/** What goes with every TLS listener. Throws what OpenSSL says if the key cannot be read or is of another certificate. */
export function serverContext({ cert, key }: TlsIdentity): SecureContext {
  return createSecureContext({ cert, key });
}

/** Node's own authorities and these more, in PEM. Made once: it parses all of them. */
export function clientContext(authorities: string): SecureContext {
  return createSecureContext({ ca: [...rootCertificates, authorities] });
}

/** The certificates in a PEM text, in order. Throws if one cannot be read. */
export function readCertificates(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => {
    const certificate = new X509Certificate(block);
    const times = [certificate.validFrom, certificate.validTo];
    // OpenSSL reads it all the same, and no peer would ever accept it.
    if (times.some((time) => Number.isNaN(Date.parse(time))))
      throw new Error('the time for which it is valid is no time');
    return certificate;
  });
}

/** Why a dial over TLS failed: what is wrong with the certificate where that is the cause. */
export function tlsFailure(error: Error): string {
  switch (systemCode(error)) {
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return `the certificate is for other names (${namesIn(error)})`;
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
      return 'the certificate is self-signed';
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
      return 'the certificate is signed by an unknown authority (--tls-ca adds one)';
    case 'CERT_HAS_EXPIRED':
      return 'the certificate has expired';
    case 'CERT_NOT_YET_VALID':
      return 'the certificate is not valid yet';
    case 'CERT_REVOKED':
      return 'the certificate was revoked';
    case 'EPROTO':
      return protocolFailure(error.message);
    default:
      return errorText(error);
  }
}

/** Of OpenSSL's `…:SSL routines:function:reason:file:…` the reason. */
function protocolFailure(message: string): string {
  const [, reason = 'the handshake failed'] = /:SSL routines:[^:]*:([^:]+)/.exec(message) ?? [];
  return reason === 'wrong version number' || reason === 'packet length too long'
    ? 'no TLS is spoken there'
    : `TLS: ${reason}`;
}

/** At most this much of what a stranger's certificate says. */
const MAX_NAMES_LENGTH = 100;

function namesIn(error: Error): string {
  const { cert } = error as { readonly cert?: { readonly subjectaltname?: string } };
  const names = cert?.subjectaltname ?? 'none';
  const plain = names.replace(/DNS:|IP Address:/g, '').replace(/[^ -~]/g, '?');
  return plain.length > MAX_NAMES_LENGTH ? `${plain.slice(0, MAX_NAMES_LENGTH)}…` : plain;
}
