import type { Clock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { secrets } from '#api/schema/kind-ref.ts';
import type { SecretReference } from '#api/generated/objects.ts';
import type { ApiClient } from '#client/client.ts';
import type { EventRecorder } from '#client/event-recorder.ts';
import type { Informers } from '#client/informers.ts';
import type { ControllerDriver } from './controller-driver.ts';

/** What the loops of a driver share. */
export interface CsiContext {
  readonly driver: ControllerDriver;
  readonly client: ApiClient;
  readonly informers: Informers;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly recorder: EventRecorder;
}

/** The values of a Secret that a call is given; none where none is named. @throws those of the API */
export async function secretOf(
  { client }: Pick<CsiContext, 'client'>,
  reference: SecretReference | undefined,
): Promise<Readonly<Record<string, string>>> {
  const { name, namespace } = reference ?? {};
  if (name === undefined) return {};
  if (namespace === undefined)
    throw new PodwrightError('E_INVALID', `secret ${name}: its namespace is not said`);
  const { data = {} } = await client.get(secrets, { namespace, name });
  return Object.fromEntries(
    Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString('utf8')]),
  );
}

/** Finalizers of sidecars name the driver like this. */
export function attacherFinalizer(driver: string): string {
  return `external-attacher/${driver.replaceAll(/[^a-zA-Z0-9-]/g, '-')}`;
}
