import {
  bootstrapTokenNamespace,
  bootstrapTokenType,
  hasTokenExpired,
  parseExpiration,
  readBootstrapToken,
} from '#api/bootstrap-token/bootstrap-token.ts';
import type { Secret } from '#api/generated/objects.ts';
import { configMaps, secrets } from '#api/schema/kind-ref.ts';
import { isNotFound } from '#client/api-error.ts';
import type { Informer } from '#client/client.ts';
import { ownKey, runController, source, type Controller } from '#client/controller.ts';
import type { WritableInformer } from '#client/informer.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { signDetached } from './jws.ts';
import { kubeconfigKey, signingTokens, withSignatures } from './plan.ts';

const clusterInfo = { namespace: 'kube-public', name: 'cluster-info' };
const clusterInfoKey = `${clusterInfo.namespace}/${clusterInfo.name}`;

/** Tokens alone: other Secrets are not read. */
function tokenSecrets({ informers }: ControllerContext): WritableInformer<Secret> {
  return informers.for(secrets, {
    namespace: bootstrapTokenNamespace,
    fieldSelector: `type=${bootstrapTokenType}`,
  });
}

/** Removes tokens when their time is over (tokencleaner). */
export function runBootstrapTokenCleaner(context: ControllerContext): Controller {
  const { client, clock, logger } = context;
  const informer = tokenSecrets(context);
  return runController({
    name: 'token-cleaner-controller',
    clock,
    logger,
    sources: [ownKey(informer)],
    reconcile: async (key) => {
      const secret = informer.get(key);
      const expiresAtMs = secret === undefined ? undefined : expiryOf(secret);
      if (secret === undefined || expiresAtMs === undefined) return undefined;
      if (!hasTokenExpired({ expiresAtMs }, clock.now())) {
        return { kind: 'again', afterMs: expiresAtMs - clock.now() };
      }
      const { namespace, name = '', uid } = secret.metadata ?? {};
      try {
        await client.delete(secrets, { namespace, name }, { preconditions: { uid } });
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
      return undefined;
    },
  });
}

/** As upstream, of any Secret of the type: also of one that is otherwise no token. */
function expiryOf({ data }: Secret): number | undefined {
  const text = Buffer.from(data?.['expiration'] ?? '', 'base64').toString();
  return text === '' ? undefined : parseExpiration(text);
}

/** Signs what everybody may read of the cluster with each token that is for that (bootstrapsigner). */
export function runBootstrapSigner(context: ControllerContext): Controller {
  const { informers, client, clock, logger } = context;
  const tokens = tokenSecrets(context);
  const maps = informers.for(configMaps, {
    namespace: clusterInfo.namespace,
    fieldSelector: `metadata.name=${clusterInfo.name}`,
  });
  return runController({
    name: 'bootstrap-signer-controller',
    clock,
    logger,
    sources: [ownKey(maps), source(tokens, () => [clusterInfoKey])],
    reconcile: async (key) => {
      const map = maps.get(key);
      const content = map?.data?.[kubeconfigKey];
      if (map === undefined || content === undefined) return;
      const signatures = new Map<string, string>();
      for (const token of signingTokens(tokensIn(tokens), clock.now()))
        signatures.set(token.id, await signDetached(content, token));
      const data = withSignatures(map.data ?? {}, signatures);
      if (data !== undefined) maps.observe(await client.update(configMaps, { ...map, data }));
    },
  });
}

function tokensIn(informer: Informer<Secret>): readonly NonNullable<ReturnType<typeof readBootstrapToken>>[] {
  return informer
    .list()
    .flatMap((secret) => readBootstrapToken(secret) ?? [])
    .toSorted((a, b) => (a.id < b.id ? -1 : 1));
}
