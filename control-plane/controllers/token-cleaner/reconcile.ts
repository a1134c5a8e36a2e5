import { configMaps, pods, secrets, serviceAccounts } from '#api/schema/kind-ref.ts';
import type { Secret } from '#api/generated/objects.ts';
import { invalidSinceLabel, tokenSecretType } from '#api/meta/token-secret.ts';
import { describeError, isPodwrightError } from '#base/errors.ts';
import { isConflict, isNotFound } from '#client/api-error.ts';
import { onlySynced, runController, type Controller } from '#client/controller.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { formatDay, planCleaning } from './plan.ts';

const intervalMs = 86_400_000;
const everything = 'all';
const tracking = { namespace: 'kube-system', name: 'kube-apiserver-legacy-service-account-token-tracking' };

/**
 * Marks and then removes tokens that the cluster once made for accounts and that nobody uses, once a day.
 * @param cleanUpMs `--legacy-service-account-token-clean-up-period`
 */
export function runLegacyTokenCleaner(context: ControllerContext, cleanUpMs?: number): Controller {
  const { informers, client, clock, logger } = context;
  const secretInformer = informers.for(secrets, { fieldSelector: `type=${tokenSecretType}` });
  const accountInformer = informers.for(serviceAccounts);
  const podInformer = informers.for(pods);
  const trackedSince = async (): Promise<string | undefined> => {
    try {
      return (await client.get(configMaps, tracking)).data?.['since'];
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  };
  const mark = async ({ metadata }: Secret): Promise<void> => {
    const { namespace, name = '', uid } = metadata ?? {};
    const labels = { [invalidSinceLabel]: formatDay(clock.now()) };
    const body = { metadata: { uid, labels } };
    await unlessChanged(client.patch(secrets, { namespace, name }, { kind: 'merge', body }));
    logger.info({ namespace, secret: name }, 'a token that nobody used for a year is no longer taken');
  };
  const remove = async ({ metadata }: Secret): Promise<void> => {
    const { namespace, name = '', uid, resourceVersion } = metadata ?? {};
    await unlessChanged(
      client.delete(secrets, { namespace, name }, { preconditions: { uid, resourceVersion } }),
    );
    logger.info({ namespace, secret: name }, 'a token that was not taken for a year is removed');
  };
  /** One that somebody (a hook, a policy) does not let be changed keeps no other: it is looked at again tomorrow. */
  const goingOn = async (act: (secret: Secret) => Promise<void>, secret: Secret): Promise<void> => {
    try {
      await act(secret);
    } catch (error) {
      if (!isPodwrightError(error, 'E_API')) throw error;
      const { namespace, name } = secret.metadata ?? {};
      logger.error(
        { namespace, secret: name, error: describeError(error) },
        'an unused token could be neither marked nor removed',
      );
    }
  };
  const controller = runController({
    name: 'legacy-service-account-token-cleaner',
    clock,
    logger,
    concurrencyMax: 1,
    sources: [onlySynced(secretInformer), onlySynced(accountInformer), onlySynced(podInformer)],
    reconcile: async () => {
      const plan = planCleaning({
        nowMs: clock.now(),
        trackedSince: await trackedSince(),
        secrets: secretInformer.list(),
        accounts: accountInformer.list(),
        pods: podInformer.list(),
        cleanUpMs,
      });
      for (const secret of plan.invalid) await goingOn(mark, secret);
      for (const secret of plan.removed) await goingOn(remove, secret);
      return { kind: 'again', afterMs: intervalMs };
    },
  });
  controller.enqueue(everything);
  return controller;
}

/** Whoever changed it first: the next round sees it as it is then. */
async function unlessChanged(write: Promise<unknown>): Promise<void> {
  try {
    await write;
  } catch (error) {
    if (!isNotFound(error) && !isConflict(error)) throw error;
  }
}
