/** Credentials of images by programs, kept for as long as these say. */
import { createHash } from 'node:crypto';
import type { Clock } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import { ExpiringMap } from '#base/expiring-map.ts';
import type { Logger } from '#base/log.ts';
import { parseReference, repositoryOf } from '#api/oci/reference.ts';
import type { Pod } from '#api/generated/objects.ts';
import type { Credentials } from '#agent/runtime/images/registry/registry-auth.ts';
import { askProvider, type ProviderAnswer, type ProviderQuestion } from './ask-provider.ts';
import type { Holder } from '#agent/kubelet/images/pulled/verification.ts';
import { matchesImage } from './match-image.ts';
import type { CredentialProvider, TokenAttributes } from './provider-config.ts';

/** Of a program, and for whose service account it gave them; undefined: for anybody's. */
export interface GivenCredentials extends Credentials {
  readonly account?: Holder;
}

export interface ImageCredentials {
  /** Those that programs give for a pod's image; of one that fails there are none, and that is told. */
  of(image: string, pod: Pod, signal: AbortSignal): Promise<readonly GivenCredentials[]>;
  /** The pod's service account, as programs are told of it; undefined: none is told of any. */
  accountOf(image: string, pod: Pod): Promise<Holder | undefined>;
}

export interface ProviderPorts {
  readonly clock: Clock;
  readonly logger: Logger;
  /** A token of the pod's service account. */
  readonly token: (pod: Pod, audience: string) => Promise<string>;
  readonly serviceAccount: (
    namespace: string,
    name: string,
  ) => Promise<{ readonly uid: string; readonly annotations: Readonly<Record<string, string>> }>;
}

const answersMax = 1000;

export function createImageCredentials(
  providers: readonly CredentialProvider[],
  ports: ProviderPorts,
): ImageCredentials {
  const { clock, logger } = ports;
  const kept = new ExpiringMap<string, ProviderAnswer>(answersMax);
  const underWay = new Map<string, Promise<ProviderAnswer>>();

  const ask = async (
    provider: CredentialProvider,
    image: string,
    pod: Pod,
  ): Promise<(ProviderAnswer & { readonly account?: Holder }) | undefined> => {
    const asked = await questionOf(provider.token, image, pod, ports);
    if (asked === undefined) return undefined;
    const [host = ''] = image.split('/', 1);
    const key = (what: string): string => JSON.stringify([provider.name, asked.cacheKey, what]);
    const [byImage, byRegistry, all] = [key(`image ${image}`), key(`registry ${host}`), key('global')];
    for (const each of [byImage, byRegistry, all]) {
      const known = kept.get(each, clock.now());
      if (known !== undefined) return { ...known, ...asked.whose };
    }
    const answer = await (underWay.get(byImage) ??
      start(byImage, askProvider(provider, asked.question, clock)));
    const ttlMs = answer.cacheMs ?? provider.defaultCacheMs;
    const place = { Image: byImage, Registry: byRegistry, Global: all }[answer.cacheKeyType];
    if (ttlMs > 0) kept.set(place, answer, { ttlMs, nowMs: clock.now() });
    return { ...answer, ...asked.whose };
  };
  const start = (key: string, asking: Promise<ProviderAnswer>): Promise<ProviderAnswer> => {
    underWay.set(key, asking);
    asking.catch(() => undefined).finally(() => underWay.delete(key));
    return asking;
  };
  return {
    of: async (reference, pod, signal) => {
      const image = repositoryOf(parseReference(reference));
      const found: GivenCredentials[] = [];
      for (const provider of providers) {
        signal.throwIfAborted();
        if (!provider.matchImages.some((pattern) => matchesImage(pattern, image))) continue;
        try {
          const answer = await ask(provider, image, pod);
          if (answer === undefined) continue;
          const { account } = answer;
          const whose = account === undefined ? {} : { account };
          found.push(...fitting(answer, image).map((each) => ({ ...each, ...whose })));
        } catch (error) {
          logger.error(
            { image, provider: provider.name, error: describeError(error) },
            'no credentials of a provider',
          );
        }
      }
      return found;
    },
    accountOf: async (reference, pod) => {
      const image = repositoryOf(parseReference(reference));
      const asks = providers.some(
        ({ token, matchImages }) =>
          token !== undefined && matchImages.some((pattern) => matchesImage(pattern, image)),
      );
      const name = pod.spec?.serviceAccountName ?? '';
      const { namespace = '' } = pod.metadata ?? {};
      if (!asks || name === '') return undefined;
      return { uid: (await ports.serviceAccount(namespace, name)).uid, namespace, name };
    },
  };
}

/** The most particular first, as keyrings sort them: by the pattern, backwards. */
function fitting({ auth }: ProviderAnswer, image: string): readonly Credentials[] {
  return [...auth]
    .filter(([pattern]) => matchesImage(pattern, image))
    .toSorted(([a], [b]) => (a < b ? 1 : -1))
    .map(([, credentials]) => credentials);
}

interface Asked {
  readonly question: ProviderQuestion;
  /** Whose it is. */
  readonly cacheKey: string;
  readonly whose: { readonly account?: Holder };
}

/** Undefined: this provider is not asked for the pod. */
async function questionOf(
  token: TokenAttributes | undefined,
  image: string,
  pod: Pod,
  ports: ProviderPorts,
): Promise<Asked | undefined> {
  if (token === undefined) return { question: { image }, cacheKey: '', whose: {} };
  const name = pod.spec?.serviceAccountName ?? '';
  const { namespace = '' } = pod.metadata ?? {};
  if (name === '') return token.isRequired ? undefined : { question: { image }, cacheKey: '', whose: {} };
  const account = await ports.serviceAccount(namespace, name);
  if (token.requiredAnnotations.some((key) => account.annotations[key] === undefined)) return undefined;
  const keys = [...token.requiredAnnotations, ...token.optionalAnnotations];
  const annotations = Object.fromEntries(
    keys.flatMap((key) => {
      const value = account.annotations[key];
      return value === undefined ? [] : [[key, value]];
    }),
  );
  const secret = await ports.token(pod, token.audience);
  const key = [namespace, name, account.uid, annotations, token.isByToken ? hashOf(secret) : ''];
  const whose = { account: { uid: account.uid, namespace, name } };
  return { question: { image, token: secret, annotations }, cacheKey: JSON.stringify(key), whose };
}

const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex');
