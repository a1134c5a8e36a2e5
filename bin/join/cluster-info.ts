/** What the ConfigMap cluster-info says of a cluster. Pure. */
import { createHash, X509Certificate } from 'node:crypto';
import { load } from 'js-yaml';
import { at, isObject, listOf, objectOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';

/** SHA-256 of a certificate's public key (RFC 7469 2.4), hexadecimal: how a cluster's authority is named for nodes that join. */
export function hashOfAuthority(certPem: string): string {
  const spki = new X509Certificate(certPem).publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(spki).digest('hex');
}

/** PEM of the authority in a kubeconfig like that of cluster-info; undefined where there is none. */
export function authorityIn(kubeconfig: string): string | undefined {
  const data = stringOf(at(clusterIn(kubeconfig), 'certificate-authority-data'));
  const pem = Buffer.from(data, 'base64').toString();
  try {
    return new X509Certificate(pem).ca ? pem : undefined;
  } catch {
    return undefined;
  }
}

/** The address of the server in it. */
export function serverIn(kubeconfig: string): string | undefined {
  const server = stringOf(at(clusterIn(kubeconfig), 'server'));
  return server === '' ? undefined : server;
}

function clusterIn(kubeconfig: string): JsonObject {
  try {
    const config: unknown = load(kubeconfig);
    const [first] = isObject(config) ? listOf(config['clusters']) : [];
    return objectOf(objectOf(first)['cluster']);
  } catch {
    return {}; // Not YAML: it names nothing.
  }
}
