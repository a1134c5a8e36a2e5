/** Certificates of pods: the node makes the key, a signer of the cluster the certificate (KEP-4317). */
import { X509Certificate } from 'node:crypto';
import type { Clock } from '#base/clock.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import type { Pod, PodCertificateProjection, PodCertificateRequest } from '#api/generated/objects.ts';
import { findCondition } from '#api/meta/condition.ts';
import { nodes, podCertificateRequests, serviceAccounts } from '#api/schema/kind-ref.ts';
import { isNotFound } from '#client/api-error.ts';
import type { ApiClient } from '#client/client.ts';
import { makePodKey, type PodKey } from './stub-request.ts';

export interface CertificateWish {
  readonly pod: Pod;
  readonly volume: string;
  readonly source: PodCertificateProjection;
  readonly signal: AbortSignal;
}

export interface PodCertificate {
  readonly keyPem: string;
  /** The pod's own first. */
  readonly chainPem: string;
  readonly refreshAtMs: number;
}

export interface PodCertificates {
  /**
   * The pod's certificate, asked for once and kept, in memory alone, until its signer wants it renewed; while that is under way, and if it
   * fails, the one before as long as it is good. @throws PodwrightError whose message is the event's: no signer has answered yet, or one
   * has refused
   */
  get(wish: CertificateWish): Promise<PodCertificate>;
}

interface Entry {
  current?: (PodCertificate & { readonly notAfterMs: number }) | undefined;
  /** The request that nobody has answered yet. */
  asked?: { readonly name: string; readonly key: PodKey } | undefined;
  /** Refused for good: it is not asked for again. */
  refusal?: string | undefined;
}

/** What a default of the API stands for (PodCertificateProjection.maxExpirationSeconds). */
const defaultSeconds = 86_400;
const entriesMax = 2048;
/** How often, and how long at once, an answer is looked for: who asks comes back. */
const [lookMs, looksMax] = [250, 20];
/** When a renewal that is not there yet is looked for again. */
const renewalMs = 10_000;

export interface PodCertificatesOptions {
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly nodeName: string;
}

export function createPodCertificates(options: PodCertificatesOptions): PodCertificates {
  const { clock } = options;
  const entries = new Map<string, Entry>();
  const entryOf = (key: string): Entry => {
    const entry = entries.get(key) ?? {};
    entries.delete(key);
    entries.set(key, entry);
    const [oldest] = entries.keys();
    if (entries.size > entriesMax && oldest !== undefined) entries.delete(oldest);
    return entry;
  };
  return {
    get: async (wish) => {
      const entry = entryOf(JSON.stringify([wish.pod.metadata?.uid, wish.volume, wish.source]));
      const { current } = entry;
      const now = clock.now();
      if (current !== undefined && now < current.refreshAtMs) return current;
      // Pods that have one do not wait for the next.
      const looks = current !== undefined && now < current.notAfterMs ? 1 : looksMax;
      try {
        entry.current = await issue(options, { wish, entry, looks });
        return entry.current;
      } catch (error) {
        wish.signal.throwIfAborted();
        if (looks > 1 || current === undefined) throw error;
        return { ...current, refreshAtMs: now + renewalMs };
      }
    },
  };
}

interface Issue {
  readonly wish: CertificateWish;
  readonly entry: Entry;
  readonly looks: number;
}

/** Asks, unless it has been, and looks for the answer. */
async function issue(
  options: PodCertificatesOptions,
  { wish, entry, looks }: Issue,
): Promise<NonNullable<Entry['current']>> {
  const { client, clock } = options;
  if (entry.refusal !== undefined) throw new PodwrightError('E_PERMISSION', entry.refusal);
  entry.asked ??= await ask(options, wish);
  const { name, key } = entry.asked;
  const where = { namespace: wish.pod.metadata?.namespace ?? '', name };
  for (let look = 1; ; look++) {
    const request = await found(client, where);
    // Nobody answers a request that is gone: the next is a new one.
    if (request === undefined) entry.asked = undefined;
    const answer = readAnswer(request, { wish, key });
    if (answer.kind === 'issued') {
      entry.asked = undefined;
      return { ...answer, keyPem: key.pem };
    }
    if (answer.kind === 'refused') {
      entry.asked = undefined;
      entry.refusal = answer.message;
      throw new PodwrightError('E_PERMISSION', answer.message);
    }
    if (request === undefined || look >= looks) throw new PodwrightError('E_BUSY', answer.message);
    await clock.sleep(lookMs, wish.signal);
  }
}

async function found(
  client: ApiClient,
  where: { readonly namespace: string; readonly name: string },
): Promise<PodCertificateRequest | undefined> {
  try {
    return await client.get(podCertificateRequests, where);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

async function ask(
  { client, nodeName }: PodCertificatesOptions,
  { pod, source }: CertificateWish,
): Promise<NonNullable<Entry['asked']>> {
  const { namespace = '' } = pod.metadata ?? {};
  const key = await makePodKey(source.keyType);
  const account = pod.spec?.serviceAccountName ?? 'default';
  const [{ metadata: accountMetadata }, { metadata: nodeMetadata }] = await Promise.all([
    client.get(serviceAccounts, { namespace, name: account }),
    client.get(nodes, { name: nodeName }),
  ]);
  const uids = { serviceAccountUID: accountMetadata?.uid ?? '', nodeUID: nodeMetadata?.uid ?? '' };
  const request = renderRequest(pod, source, { key, nodeName, ...uids });
  try {
    const made = await client.create(podCertificateRequests, request);
    return { name: made.metadata?.name ?? '', key };
  } catch (error) {
    if (!isNotFound(error)) throw error;
    throw new PodwrightError(
      'E_UNSUPPORTED',
      'projected source podCertificate: the API server does not serve podcertificaterequests of certificates.k8s.io/v1beta1',
      { cause: error },
    );
  }
}

interface Asking {
  readonly key: Pick<PodKey, 'request'>;
  readonly nodeName: string;
  readonly serviceAccountUID: string;
  readonly nodeUID: string;
}

/** Pure. */
export function renderRequest(
  { metadata, spec }: Pod,
  source: PodCertificateProjection,
  { key, ...facts }: Asking,
): PodCertificateRequest {
  const { name = '', namespace, uid = '' } = metadata ?? {};
  const owner = { apiVersion: 'v1', kind: 'Pod', name, uid };
  return {
    metadata: { generateName: 'req-', namespace, ownerReferences: [owner] },
    spec: {
      ...{ signerName: source.signerName, podName: name, podUID: uid, ...facts },
      serviceAccountName: spec?.serviceAccountName ?? 'default',
      maxExpirationSeconds: source.maxExpirationSeconds ?? defaultSeconds,
      stubPKCS10Request: key.request.toString('base64'),
      ...(source.userAnnotations === undefined ? {} : { unverifiedUserAnnotations: source.userAnnotations }),
    },
  };
}

type Answer =
  | {
      readonly kind: 'issued';
      readonly chainPem: string;
      readonly refreshAtMs: number;
      readonly notAfterMs: number;
    }
  | { readonly kind: 'waiting' | 'refused'; readonly message: string };

/** What a signer has said so far. Pure. */
export function readAnswer(
  request: PodCertificateRequest | undefined,
  { wish, key }: { readonly wish: Pick<CertificateWish, 'volume' | 'source'>; readonly key: PodKey },
): Answer {
  const where = `volume "${wish.volume}": podCertificate of signer ${wish.source.signerName}`;
  if (request === undefined)
    return { kind: 'waiting', message: `${where}: the request is gone; another is made` };
  const { conditions, certificateChain = '', beginRefreshAt = '', notAfter = '' } = request.status ?? {};
  const at = `PodCertificateRequest ${request.metadata?.name ?? ''}`;
  for (const type of ['Denied', 'Failed']) {
    const { status, reason = '', message = '' } = findCondition(conditions, type) ?? {};
    if (status === 'True')
      return {
        kind: 'refused',
        message: `${where}: ${at} is ${type.toLowerCase()}: ${reason}: ${message}; another pod asks again`,
      };
  }
  if (findCondition(conditions, 'Issued')?.status !== 'True')
    return { kind: 'waiting', message: `${where}: ${at} is not answered yet` };
  const fault = chainFault(certificateChain, key);
  if (fault !== undefined) return { kind: 'refused', message: `${where}: ${at}: ${fault}` };
  const [refreshAtMs, notAfterMs] = [Date.parse(beginRefreshAt), Date.parse(notAfter)];
  if (Number.isNaN(refreshAtMs) || Number.isNaN(notAfterMs))
    return { kind: 'refused', message: `${where}: ${at} does not say how long it is good` };
  return { kind: 'issued', chainPem: certificateChain, refreshAtMs, notAfterMs };
}

/** Why it is no certificate of the key. */
function chainFault(chain: string, { key }: PodKey): string | undefined {
  try {
    return new X509Certificate(chain).checkPrivateKey(key)
      ? undefined
      : 'the certificate is not of the key that was asked for';
  } catch (error) {
    return `its certificate cannot be read: ${describeError(error)}`;
  }
}
