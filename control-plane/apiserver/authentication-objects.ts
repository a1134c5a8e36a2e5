import type { JsonObject } from '#api/meta/object.ts';
import { lastUsedLabel } from '#api/meta/token-secret.ts';
import { at, equalJson, stringMapOf, withPath } from '#api/wire/json.ts';
import { describeError } from '#base/errors.ts';
import { parseTrustBundle } from './pki/trust-bundle.ts';
import { builtIn } from './built-in.ts';
import { standardHeaders, type FrontProxyOptions } from './chain/authn/front-proxy.ts';
import { frontProxyName } from './pki/cluster-pki.ts';
import type { ServerAuthentication } from './chain/authn/server-authentication.ts';
import { ensure, serverUser } from './ensure.ts';
import type { ServerContext } from './server-context.ts';
import { updateObject } from './verbs/update.ts';

/*
 * What authentication writes: whom extension API servers are to believe, since when uses of legacy tokens are noted, and those uses; and what it counts.
 */

const configMaps = builtIn('', 'v1', 'configmaps');
const secrets = builtIn('', 'v1', 'secrets');
const namespace = 'kube-system';
const extensionName = 'extension-apiserver-authentication';
const trackingName = 'kube-apiserver-legacy-service-account-token-tracking';
const againMs = 60_000;
/** An authority that expired is left in for this long: clocks differ. */
const expiredMs = 300_000;

export interface ExtensionAuthentication {
  readonly known: Pick<ServerAuthentication, 'clientCaPem' | 'frontProxyCaPem'>;
  readonly frontProxy: FrontProxyOptions | undefined;
  /** Who signed what this server shows to those behind it. */
  readonly ownProxyCaPem: () => string;
}

/** Writes both ConfigMaps, and looks after them from then on. `changed` writes them at once. */
export async function keepAuthenticationObjects(
  context: ServerContext,
  extension: ExtensionAuthentication,
): Promise<Disposable & { readonly changed: () => void }> {
  let isOver = false;
  let isWriting = true;
  let isAsked = false;
  let timer: Disposable | undefined;
  const write = async (): Promise<void> => {
    const nowMs = context.clock.now();
    const dataOf = (data: Data): Data => combineData(data, wantedData(extension), nowMs);
    await ensureData(context, extensionName, dataOf);
    await ensureData(context, trackingName, (data) => trackingData(data, nowMs));
  };
  const written = (): void => {
    isWriting = false;
    if (isOver) return;
    if (isAsked) step();
    else timer = context.clock.after(againMs, step);
  };
  const step = (): void => {
    isWriting = true;
    isAsked = false;
    timer?.[Symbol.dispose]();
    void write()
      .catch((error: unknown) => {
        const { logger } = context;
        logger.warn({ error: describeError(error) }, 'whom extension servers believe will be written again');
      })
      .then(written);
  };
  await write();
  written();
  return {
    changed: () => {
      isAsked = true;
      if (!isWriting && !isOver) step();
    },
    [Symbol.dispose]: () => {
      isOver = true;
      timer?.[Symbol.dispose]();
    },
  };
}

type Data = Readonly<Record<string, string>>;

async function ensureData(context: ServerContext, name: string, dataOf: (data: Data) => Data): Promise<void> {
  await ensure(context, configMaps, { metadata: { name, namespace }, data: dataOf({}) });
  await updateObject(context, {
    ...{ kind: configMaps, namespace, name, dryRun: false },
    admittedAs: { user: serverUser, verb: 'update', subresource: '' },
    change: (current) => {
      const data = dataOf(stringMapOf(current['data']));
      return equalJson(data, current['data']) ? current : { ...current, data };
    },
  });
}

/** What this server goes by, in the words that extension API servers read (client-go, DelegatingAuthenticationOptions). Pure. */
function wantedData({ known, frontProxy, ownProxyCaPem }: ExtensionAuthentication): Data {
  const { extraHeaderPrefixes, groupHeaders, uidHeaders, usernameHeaders } = standardHeaders;
  const proxyCa = known.frontProxyCaPem() ?? '';
  // All names of a bundle are believed where none is said: then none is said here either.
  const isAnyName = frontProxy !== undefined && frontProxy.allowedNames.length === 0;
  const both = (own: readonly string[], others: readonly string[] = []): string =>
    JSON.stringify([...new Set([...others, ...own])]);
  return {
    'client-ca-file': known.clientCaPem(),
    'requestheader-allowed-names': isAnyName ? '[]' : both([frontProxyName], frontProxy?.allowedNames),
    'requestheader-client-ca-file': `${proxyCa}${ownProxyCaPem()}`,
    'requestheader-extra-headers-prefix': both(extraHeaderPrefixes, frontProxy?.extraHeaderPrefixes),
    'requestheader-group-headers': both(groupHeaders, frontProxy?.groupHeaders),
    'requestheader-uid-headers': both(uidHeaders, frontProxy?.uidHeaders),
    'requestheader-username-headers': both(usernameHeaders, frontProxy?.usernameHeaders),
  };
}

/**
 * What is there and what is wanted, each once: servers of one store may believe different authorities, and an extension server must believe
 * all. What cannot be read is replaced. Pure.
 */
export function combineData(current: Data, wanted: Data, nowMs: number): Data {
  const combined = new Map<string, string>();
  for (const key of new Set([...Object.keys(current), ...Object.keys(wanted)])) {
    const [old, own] = [current[key], wanted[key]];
    if (!/^(client-ca-file|requestheader-.*)$/.test(key)) continue;
    const isBundle = key.endsWith('-ca-file');
    const text = isBundle ? joinBundles(old, own, nowMs) : joinLists(old, own);
    if (text !== '') combined.set(key, text);
  }
  return Object.fromEntries([...combined].toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function joinBundles(old: string | undefined, own: string | undefined, nowMs: number): string {
  const certificates = [old, own].flatMap((pem) => {
    try {
      return pem === undefined ? [] : parseTrustBundle(pem).authorities;
    } catch {
      return []; // Whoever broke it: what this server believes is written again.
    }
  });
  const current = certificates.filter(({ validToDate }) => validToDate.getTime() > nowMs - expiredMs);
  return [...new Set(current.map((certificate) => certificate.toString()))].join('');
}

function joinLists(old: string | undefined, own: string | undefined): string {
  const names = [old, own].flatMap((text) => {
    try {
      const list: unknown = JSON.parse(text ?? '[]');
      return Array.isArray(list) ? list.map(String) : [];
    } catch {
      return [];
    }
  });
  return JSON.stringify([...new Set(names)]);
}

/** Since when uses of legacy tokens are noted: what was not used since then may be cleaned away (KEP 2799). Pure. */
function trackingData(current: Data, nowMs: number): Data {
  const { since = '' } = current;
  if (/^\d{4}-\d{2}-\d{2}$/.test(since) && !Number.isNaN(Date.parse(since))) return current;
  return { ...current, since: new Date(nowMs).toISOString().slice(0, 10) };
}

/** Notes that a token was used, on the Secret that holds it. */
export async function markTokenUsed(
  context: ServerContext,
  secret: { readonly namespace: string; readonly name: string },
  day: string,
): Promise<void> {
  const change = (current: JsonObject): JsonObject =>
    at(current, ['metadata', 'labels', lastUsedLabel]) === day
      ? current
      : withPath(current, ['metadata', 'labels', lastUsedLabel], day);
  await updateObject(context, {
    ...{ kind: secrets, ...secret, dryRun: false, change },
    admittedAs: { user: serverUser, verb: 'update', subresource: '' },
  });
}
