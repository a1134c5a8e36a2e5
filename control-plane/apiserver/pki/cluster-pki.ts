import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { removeDrafts, writeDurablySync } from '#base/durable-file.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import {
  createAuthority,
  isAuthorityOld,
  isUsable,
  issueCertificate,
  renewAuthority,
  type CertificateRequest,
  type KeyPair,
} from './certificate.ts';
import { signRequest, type SigningOrder } from './sign-request.ts';

/** The keys and certificates of a cluster, as they are now, kept in one directory and reused for as long as they serve. */
export interface ClusterPki {
  readonly caCertPem: string;
  /** What the API server shows to its clients. */
  readonly serving: KeyPair;
  /** User kubernetes-admin of group system:masters. */
  readonly admin: KeyPair;
  /** What the API server shows to kubelets. */
  readonly kubeletClient: KeyPair;
  /** What the API server shows to servers behind it, which believe it who asks, and who signed that: nobody else's authority. */
  readonly frontProxy: { readonly caCertPem: string; readonly client: KeyPair };
  /** Signs service account tokens; PEM, PKCS #8. */
  readonly serviceAccountKeyPem: string;
  issueClient(commonName: string, organizations: readonly string[]): Promise<KeyPair>;
  /** For a server (a kubelet) at those DNS names and addresses. */
  issueServing(
    commonName: string,
    organizations: readonly string[],
    hosts: readonly string[],
  ): Promise<KeyPair>;
  /** Signs a request that somebody approved. @returns PEM */
  signRequest(order: Omit<SigningOrder, 'nowMs'>): Promise<string>;
  /** Makes anew what is about to expire. @returns which: `ca`, `apiserver`, `admin`, `apiserver-kubelet-client` */
  renew(): Promise<readonly string[]>;
  /** Whether a pair is of this authority, fits the hosts, and needs no renewal yet. */
  isUsable(pair: KeyPair, hosts: readonly string[]): boolean;
}

export interface PkiOptions {
  readonly directory: string;
  /** DNS names and addresses by which clients reach the API server. */
  readonly hosts: readonly string[];
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Opens the directory, making what it lacks, what is about to expire, and a serving certificate that misses a host. */
export async function ensureClusterPki(options: PkiOptions): Promise<ClusterPki> {
  const { directory, hosts, now } = options;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  removeDrafts(directory);
  const held = {
    authority:
      readPair(directory, 'ca') ?? savePair(directory, 'ca', await createAuthority('podwright-ca', now())),
  };
  const ensure = async (wanted: Wanted): Promise<KeyPair> => {
    const present = readPair(directory, wanted.name);
    if (present !== undefined && isUsable(present, held.authority, wanted.hosts ?? [], now())) return present;
    const issued = await issueCertificate(held.authority, { ...wanted, nowMs: now() });
    return savePair(directory, wanted.name, issued);
  };
  const wantedPairs = wantedOf(hosts);
  const ensureAll = async (): Promise<Pairs> => {
    const [serving, admin, kubeletClient] = await Promise.all([
      ensure(wantedPairs.serving),
      ensure(wantedPairs.admin),
      ensure(wantedPairs.kubeletClient),
    ]);
    return { serving, admin, kubeletClient };
  };
  let pairs = await ensureAll();
  const ensureProxy = (): Promise<FrontProxyPairs> => ensureFrontProxy(directory, now());
  let frontProxy = await ensureProxy();
  return {
    get frontProxy() {
      return { caCertPem: frontProxy.authority.certPem, client: frontProxy.client };
    },
    get caCertPem() {
      return held.authority.certPem;
    },
    get serving() {
      return pairs.serving;
    },
    get admin() {
      return pairs.admin;
    },
    get kubeletClient() {
      return pairs.kubeletClient;
    },
    serviceAccountKeyPem: ensureServiceAccountKey(directory),
    issueClient: (commonName, organizations) =>
      issueCertificate(held.authority, { commonName, organizations, usages: ['client'], nowMs: now() }),
    issueServing: (commonName, organizations, names) => {
      const request = { commonName, organizations, hosts: names, usages: ['server'] as const, nowMs: now() };
      return issueCertificate(held.authority, request);
    },
    signRequest: (order) => signRequest(held.authority, { ...order, nowMs: now() }),
    renew: async () => {
      const isOld = isAuthorityOld(held.authority, now());
      if (isOld) held.authority = savePair(directory, 'ca', await renewAuthority(held.authority, now()));
      const before = pairs;
      pairs = await ensureAll();
      const proxyBefore = frontProxy;
      frontProxy = await ensureProxy();
      const isProxyNew = proxyBefore.client.certPem !== frontProxy.client.certPem;
      const names = (['serving', 'admin', 'kubeletClient'] as const).filter(
        (each) => before[each].certPem !== pairs[each].certPem,
      );
      return [
        ...(isOld ? ['ca'] : []),
        ...names.map((each) => wantedPairs[each].name),
        ...(isProxyNew ? [frontProxyName] : []),
      ];
    },
    isUsable: (pair, names) => isUsable(pair, held.authority, names, now()),
  };
}

/** As whom it shows itself: the one name that is to be believed. */
export const frontProxyName = 'front-proxy-client';

interface FrontProxyPairs {
  readonly authority: KeyPair;
  readonly client: KeyPair;
}

async function ensureFrontProxy(directory: string, nowMs: number): Promise<FrontProxyPairs> {
  const file = 'front-proxy-ca';
  const found = readPair(directory, file) ?? savePair(directory, file, await createAuthority(file, nowMs));
  const isOld = isAuthorityOld(found, nowMs);
  const authority = isOld ? savePair(directory, file, await renewAuthority(found, nowMs)) : found;
  const present = readPair(directory, frontProxyName);
  if (present !== undefined && isUsable(present, authority, [], nowMs)) return { authority, client: present };
  const request = { commonName: frontProxyName, usages: ['client'] as const, nowMs };
  const client = savePair(directory, frontProxyName, await issueCertificate(authority, request));
  return { authority, client };
}

type Pairs = Readonly<Record<'serving' | 'admin' | 'kubeletClient', KeyPair>>;

/** A certificate with the name of its files. */
type Wanted = Omit<CertificateRequest, 'nowMs'> & { readonly name: string };

function wantedOf(hosts: readonly string[]): Readonly<Record<keyof Pairs, Wanted>> {
  const masters = ['system:masters'];
  return {
    serving: { name: 'apiserver', commonName: 'kube-apiserver', hosts, usages: ['server'] },
    admin: { name: 'admin', commonName: 'kubernetes-admin', organizations: masters, usages: ['client'] },
    kubeletClient: {
      name: 'apiserver-kubelet-client',
      // Of no group: bound by name to system:kubelet-api-admin (rbac/podwright-policy.json).
      commonName: 'kube-apiserver-kubelet-client',
      usages: ['client'],
    },
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
