import { systemClock, type Clock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import type { CustomResourceDefinition } from '#api/generated/objects.ts';
import { findCondition, isConditionTrue } from '#api/meta/condition.ts';
import { customResourceDefinitions } from '#api/schema/kind-ref.ts';
import { isAlreadyExists, isNotFound } from '#client/api-error.ts';
import type { ApiClient } from '#client/client.ts';
import { updateAgain } from '#client/operator/update-again.ts';
import { kindOf } from './kind-of.ts';

const lookMs = 50;
const waitMsMax = 30_000;

/**
 * Sees that a definition is there as given, and waits until its kind is served, half a minute at most.
 * @throws {E_CONFLICT} when another kind has its names; {E_TIMEOUT}; {E_API} what the server refuses
 */
export async function ensureDefinition(
  client: ApiClient,
  definition: CustomResourceDefinition,
  { clock = systemClock, signal }: { readonly clock?: Clock; readonly signal?: AbortSignal } = {},
): Promise<void> {
  const name = definition.metadata?.name ?? '';
  const kind = kindOf(definition);
  try {
    await client.create(customResourceDefinitions, definition);
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
    const change = (current: CustomResourceDefinition): CustomResourceDefinition => ({
      ...current,
      spec: definition.spec,
    });
    await updateAgain(client, { kind: customResourceDefinitions, name }, change, { clock, signal });
  }
  for (let waitedMs = 0; waitedMs < waitMsMax; waitedMs += lookMs) {
    const { status } = await client.get(customResourceDefinitions, { name });
    const accepted = findCondition(status?.conditions, 'NamesAccepted');
    if (accepted?.status === 'False')
      throw new PodwrightError('E_CONFLICT', `define ${name}: ${accepted.message ?? accepted.reason}`);
    // That it is established is known before each server serves it.
    if (isConditionTrue(status?.conditions, 'Established') && (await isServed(client, kind))) return;
    await clock.sleep(lookMs, signal);
  }
  throw new PodwrightError('E_TIMEOUT', `define ${name}: not served within ${waitMsMax} ms`);
}

async function isServed(client: ApiClient, kind: ReturnType<typeof kindOf>): Promise<boolean> {
  try {
    await client.list(kind, { limit: 1, metadataOnly: true });
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}
