import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { removeDrafts, writeDurablySync } from '#base/durable-file.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import {
  createAuthority,
  isUsable,
  issueCertificate,
  type CertificateRequest,
  type KeyPair,
} from './certificate.ts';

/** The keys and certificates of a cluster, kept in one directory and reused for as long as they serve. */
export interface ClusterPki {
  readonly caCertPem: string;
  /** What the API server shows to its clients. */
  readonly serving: KeyPair;
  /** User kubernetes-admin of group system:masters. */
  readonly admin: KeyPair;
  /** What the API server shows to kubelets. */
  readonly kubeletClient: KeyPair;
  /** Signs service account tokens; PEM, PKCS #8. */
  readonly serviceAccountKeyPem: string;
  issueClient(commonName: string, organizations: readonly string[]): Promise<KeyPair>;
  /** For a server (a kubelet) at those DNS names and addresses. */
  issueServing(
    commonName: string,
    organizations: readonly string[],
    hosts: readonly string[],
  ): Promise<KeyPair>;
}

export interface PkiOptions {
  readonly directory: string;
  /** DNS names and addresses by which clients reach the API server. */
  readonly hosts: readonly string[];
  readonly nowMs: number;
}

/** Opens the directory, making what it lacks, what is about to expire, and a serving certificate that misses a host. */
export async function ensureClusterPki(options: PkiOptions): Promise<ClusterPki> {
  const { directory, hosts, nowMs } = options;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  removeDrafts(directory);
  const authority =
    readPair(directory, 'ca') ?? savePair(directory, 'ca', await createAuthority('podwright-ca', nowMs));
  const ensure = async (name: string, request: Omit<CertificateRequest, 'nowMs'>): Promise<KeyPair> => {
    const present = readPair(directory, name);
    if (present !== undefined && isUsable(present, authority, request.hosts ?? [], nowMs)) return present;
    return savePair(directory, name, await issueCertificate(authority, { ...request, nowMs }));
  };
  const masters = ['system:masters'];
  const [serving, admin, kubeletClient] = await Promise.all([
    ensure('apiserver', { commonName: 'kube-apiserver', hosts, usages: ['server'] }),
    ensure('admin', { commonName: 'kubernetes-admin', organizations: masters, usages: ['client'] }),
    ensure('apiserver-kubelet-client', {
      commonName: 'kube-apiserver-kubelet-client',
      organizations: masters,
      usages: ['client'],
    }),
  ]);
  return {
    caCertPem: authority.certPem,
    serving,
    admin,
    kubeletClient,
    serviceAccountKeyPem: ensureServiceAccountKey(directory),
    issueClient: (commonName, organizations) =>
      issueCertificate(authority, { commonName, organizations, usages: ['client'], nowMs }),
    issueServing: (commonName, organizations, names) =>
      issueCertificate(authority, { commonName, organizations, hosts: names, usages: ['server'], nowMs }),
  };
}

function readPair(directory: string, name: string): KeyPair | undefined {
  const [cert, key] = [join(directory, `${name}.crt`), join(directory, `${name}.key`)];
  if (!existsSync(cert) || !existsSync(key)) return undefined;
  const pair = { certPem: readFileSync(cert, 'utf8'), keyPem: readFileSync(key, 'utf8') };
  readable(cert, () => new X509Certificate(pair.certPem));
  readable(key, () => createPrivateKey(pair.keyPem));
  return pair;
}

/** @throws E_INVALID naming the file: a key cut off by a full disk says nothing of where it lies */
function readable(path: string, read: () => unknown): void {
  try {
    read();
  } catch (cause) {
    const why = readFileSync(path).byteLength === 0 ? 'it is empty' : describeError(cause);
    throw new PodwrightError(
      'E_INVALID',
      `read ${path}: ${why}; put it back from a copy, or remove it to have a new one made (which ends the trust in what the old one signed)`,
      { cause },
    );
  }
}

function savePair(directory: string, name: string, pair: KeyPair): KeyPair {
  savePrivate(join(directory, `${name}.key`), pair.keyPem);
  savePrivate(join(directory, `${name}.crt`), pair.certPem); // Last: a pair without it is made anew.
  return pair;
}

function ensureServiceAccountKey(directory: string): string {
  const path = join(directory, 'sa.key');
  if (existsSync(path)) {
    const text = readFileSync(path, 'utf8');
    readable(path, () => createPrivateKey(text));
    return text;
  }
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return savePrivate(path, privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
}

/** Whole or not at all, readable by the owner only. */
function savePrivate(path: string, text: string): string {
  writeDurablySync(path, text);
  return text;
}
