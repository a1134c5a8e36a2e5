import { describeError, isPodwrightError } from '#base/errors.ts';
import { done, type KeyOutcome } from '#base/keyed-queue.ts';
import { persistentVolumeClaims, persistentVolumes, volumeAttributesClasses } from '#api/schema/kind-ref.ts';
import type {
  PersistentVolume,
  PersistentVolumeClaim,
  VolumeAttributesClass,
} from '#api/generated/objects.ts';
import { objectKey } from '#api/meta/object.ts';
import { runController, source, type Controller } from '#client/controller.ts';
import { isUnsure } from '#proto/csi/answers.ts';
import { statusNameOf } from '#proto/status.ts';
import { changeClaimStatus } from './claim-status.ts';
import { secretOf, type CsiContext } from './csi-context.ts';
import { modifiedStatus, planModify, unfitAttributes, type ModifyNews } from './plan-modify.ts';
import { annotatedSecret } from './plan-volume.ts';
import { claimKeysOfVolume, isBoundBy } from './bound-claim.ts';
import { createRetryGate, type RetryGate } from './retry-gate.ts';

/** How long a class that a driver took for wrong is not asked for again. */
const infeasibleMs = 300_000;
/** Gives volumes the attributes of the classes that their claims name (external-resizer's modify controller). */
export function runModifier(context: CsiContext): Controller {
  const { informers, clock, logger, driver } = context;
  const claims = informers.for(persistentVolumeClaims, {
    indexes: { wantedAttributes: ({ spec }) => [spec?.volumeAttributesClassName ?? ''] },
  });
  const volumes = informers.for(persistentVolumes);
  const gate = createRetryGate(clock);
  return runController({
    name: 'csi-modifier',
    ...{ clock, logger },
    sources: [
      source(claims, ({ key }) => [key]),
      source(volumes, ({ current }) => claimKeysOfVolume(current)),
      // Claims may name a class before it is there.
      source(informers.for(volumeAttributesClasses), ({ key }) =>
        claims.byIndex('wantedAttributes', key).map((claim) => objectKey(claim)),
      ),
    ],
    reconcile: async (key, signal) => {
      const claim = claims.get(key);
      const volume = volumes.get(claim?.spec?.volumeName ?? '');
      if (claim === undefined || volume === undefined || !isBoundBy(driver.name, claim, volume)) return;
      return modify(context, { claim, volume, gate }, signal);
    },
  });
}

interface Work {
  readonly claim: PersistentVolumeClaim;
  readonly volume: PersistentVolume;
  readonly gate: RetryGate;
}

/** Said on the claim, done by the driver, told on the volume, then on the claim: safe to repeat from any cut. */
async function modify(context: CsiContext, work: Work, signal: AbortSignal): Promise<KeyOutcome> {
  const { informers, recorder, clock, driver } = context;
  const { claim, gate } = work;
  const uid = claim.metadata?.uid ?? '';
  const step = planModify(claim, gate.refused(uid));
  const tell = (news: ModifyNews): Promise<void> =>
    changeClaimStatus(context, claim, (status) => modifiedStatus(status, news, clock.now()));
  if (step.kind !== 'ask') {
    gate.clear(uid);
    if (step.kind === 'forget') await tell({ kind: 'forgotten' });
    return done;
  }
  const { target, isBegun } = step;
  const afterMs = gate.waitMs(uid, target);
  if (afterMs > 0) return { kind: 'again', afterMs };
  const regarding = { kind: persistentVolumeClaims, object: claim };
  const found = informers.for(volumeAttributesClasses).get(target);
  const why =
    found === undefined
      ? `VolumeAttributesClass ${target} is not there: create it, or name another`
      : unfitAttributes(driver, found);
  if (found === undefined || why !== undefined) {
    recorder.record(regarding, 'Warning', 'VolumeModifyFailed', why ?? '');
    // What may have begun stays so: nobody knows what the volume has.
    if (!isBegun) await tell({ kind: 'pending', target });
    return done;
  }
  if (!isBegun) {
    await tell({ kind: 'begun', target });
    const words = `external resizer is modifying volume ${claim.metadata?.name ?? ''} with vac ${target}`;
    recorder.record(regarding, 'Normal', 'VolumeModify', words);
  }
  try {
    await ask(context, work.volume, found, signal);
  } catch (error) {
    signal.throwIfAborted();
    const status = isPodwrightError(error) ? statusNameOf(error) : 'UNKNOWN';
    const isInfeasible = status === 'INVALID_ARGUMENT';
    gate.fail(uid, target, { isFinal: !isUnsure(status), minMs: isInfeasible ? infeasibleMs : 0 });
    recorder.record(regarding, 'Warning', 'VolumeModifyFailed', describeError(error));
    await tell({ kind: 'failed', target, error: describeError(error), isInfeasible });
    context.logger.warn(
      { driver: driver.name, claim: objectKey(claim), error: describeError(error) },
      'modify',
    );
    // The claim may ask for another by now.
    return { kind: 'again', afterMs: gate.waitMs(uid, target) };
  }
  await tellVolume(context, work.volume, target);
  await tell({ kind: 'done', target });
  gate.clear(uid);
  const words = `external resizer modified volume ${claim.metadata?.name ?? ''} with vac ${target} successfully`;
  recorder.record(regarding, 'Normal', 'VolumeModifySuccessful', words);
  return done;
}

async function ask(
  context: CsiContext,
  volume: PersistentVolume,
  { parameters = {} }: VolumeAttributesClass,
  signal: AbortSignal,
): Promise<void> {
  const secrets = await secretOf(context, annotatedSecret(volume, 'controller-modify'));
  const request = {
    volume_id: volume.spec?.csi?.volumeHandle ?? '',
    secrets,
    mutable_parameters: parameters,
  };
  await context.driver.call('ControllerModifyVolume', request, signal);
}

/** On the volume first: a claim that says it has a class is the end. */
async function tellVolume(
  { client, informers }: CsiContext,
  { metadata }: PersistentVolume,
  target: string,
): Promise<void> {
  const body = { metadata: { uid: metadata?.uid }, spec: { volumeAttributesClassName: target } };
  const written = await client.patch(
    persistentVolumes,
    { name: metadata?.name ?? '' },
    { kind: 'merge', body },
  );
  informers.for(persistentVolumes).observe(written);
}
