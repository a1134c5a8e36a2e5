import { secrets, serviceAccounts } from '#api/schema/kind-ref.ts';
import type { Secret, ServiceAccount } from '#api/generated/objects.ts';
import { tokenSecretType } from '#api/meta/token-secret.ts';
import { objectKey } from '#api/meta/object.ts';
import { isConflict, isNotFound } from '#client/api-error.ts';
import { runController, source, type Controller } from '#client/controller.ts';
import type { Change } from '#client/informer.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { renewalOf, type RootCa } from '#control-plane/controllers/root-ca.ts';
import { accountOf, filledSecret, isTokenOf, planTokenSecret, withoutReference } from './plan.ts';

/** What is signed for an account, to lie in a Secret of that name. */
export interface SecretToken {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly secretName: string;
}

export interface TokenSecretsOptions {
  readonly rootCa: RootCa;
  readonly signToken: (about: SecretToken) => Promise<string>;
}

/** Puts the token of their account into Secrets that ask for it, and removes them with their account. */
export function runTokenSecrets(
  context: ControllerContext,
  { rootCa, signToken }: TokenSecretsOptions,
): Controller {
  const { informers, client, clock, logger } = context;
  const secretInformer = informers.for(secrets, { fieldSelector: `type=${tokenSecretType}` });
  const accountInformer = informers.for(serviceAccounts);
  /** The cache's, or what is there: a Secret is removed only where its account is truly gone. */
  const findAccount = async (secret: Secret): Promise<ServiceAccount | undefined> => {
    const namespace = secret.metadata?.namespace ?? '';
    const { name } = accountOf(secret);
    const cached = accountInformer.get(`${namespace}/${name}`);
    if (cached !== undefined && isTokenOf(secret, cached)) return cached;
    return name === '' ? undefined : orAbsent(client.get(serviceAccounts, { namespace, name }));
  };
  const fill = async (secret: Secret, account: ServiceAccount, needsToken: boolean): Promise<void> => {
    const { namespace = '', name = '', uid = '' } = account.metadata ?? {};
    const about = { namespace, name, uid, secretName: secret.metadata?.name ?? '' };
    const token = needsToken ? await signToken(about) : undefined;
    const filled = filledSecret(secret, { account, token, rootCaPem: rootCa.pem });
    secretInformer.observe(await client.update(secrets, filled));
  };
  const syncSecret = async (key: string): Promise<void> => {
    const secret = secretInformer.get(key);
    if (secret === undefined) return;
    const plan = planTokenSecret(secret, await findAccount(secret), rootCa.pem);
    if (plan.kind === 'fill') await fill(secret, plan.account, plan.needsToken);
    if (plan.kind === 'remove') {
      const { namespace, name = '', uid } = secret.metadata ?? {};
      await unlessGone(client.delete(secrets, { namespace, name }, { preconditions: { uid } }));
    }
  };
  const dropReference = async ({ namespace, account, uid, secret }: Reference): Promise<void> => {
    if (secretInformer.get(`${namespace}/${secret}`) !== undefined) return; // Made again meanwhile.
    const found = await orAbsent(client.get(serviceAccounts, { namespace, name: account }));
    if (found === undefined || (uid !== '' && uid !== found.metadata?.uid)) return;
    const without = withoutReference(found, secret);
    if (without !== undefined) await client.update(serviceAccounts, without);
  };
  const secretsOf = (account: ServiceAccount | undefined): readonly string[] =>
    account === undefined
      ? []
      : secretInformer
          .list()
          .filter((secret) => isTokenOf(secret, account))
          .map(objectKey);
  return runController({
    name: 'serviceaccount-token-controller',
    clock,
    logger,
    concurrencyMax: context.syncsMax,
    sources: [
      source(secretInformer, keysOfSecret),
      source(accountInformer, ({ old, current }) => secretsOf(current ?? old)),
      renewalOf(rootCa, () => secretInformer.list().map(objectKey)),
    ],
    reconcile: async (key) => {
      const reference = readReference(key);
      await (reference === undefined ? syncSecret(key) : dropReference(reference));
    },
  });
}

/** A Secret that has gone, which its account may still name. */
interface Reference {
  readonly namespace: string;
  readonly account: string;
  readonly uid: string;
  readonly secret: string;
}

/** `NAMESPACE/NAME` of a Secret that is there; of one that has gone `NAMESPACE/ACCOUNT/UID/NAME`. */
function keysOfSecret({ key, old, current }: Change<Secret>): readonly string[] {
  if (current !== undefined || old === undefined) return [key];
  const { name, uid } = accountOf(old);
  return name === '' ? [] : [[old.metadata?.namespace, name, uid, old.metadata?.name].join('/')];
}

function readReference(key: string): Reference | undefined {
  const [namespace = '', account = '', uid = '', secret] = key.split('/');
  return secret === undefined ? undefined : { namespace, account, uid, secret };
}

async function orAbsent<T>(read: Promise<T>): Promise<T | undefined> {
  try {
    return await read;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

async function unlessGone(removal: Promise<void>): Promise<void> {
  try {
    await removal;
  } catch (error) {
    if (!isNotFound(error) && !isConflict(error)) throw error;
  }
}
