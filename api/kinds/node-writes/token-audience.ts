import type { NodeLookUp } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';

/**
 * Why a node may not ask for a token for these audiences: a pod's volumes name them, drivers of its volumes do, or somebody gave the node the
 * right (noderestriction, ServiceAccountNodeAudienceRestriction; where a volume leads nowhere the right counts, too, kubernetes #140607).
 * undefined: it may.
 */
export async function audienceProblem(
  {
    node,
    pod,
    audiences,
  }: { readonly node: string; readonly pod: JsonObject; readonly audiences: readonly string[] },
  lookUp: NodeLookUp,
): Promise<string | undefined> {
  const [audience = '', ...others] = audiences;
  if (others.length > 0) return 'node may only request 0 or 1 audiences';
  const problems: string[] = [];
  for (const volume of objectsOf(at(pod, 'spec.volumes'))) {
    if (isProjected(volume, audience)) return undefined;
    const driver = await driverOf(volume, pod, lookUp);
    if ('problem' in driver) problems.push(driver.problem);
    else if (driver.name !== '' && (await drivesFor(driver.name, audience, { lookUp, problems })))
      return undefined;
  }
  const quoted = JSON.stringify(audience);
  if (await lookUp.mayRequestAudience(audience)) return undefined;
  if (problems.length > 0) return `error validating audience ${quoted}: ${aggregate(problems)}`;
  return `audience ${quoted} not found in pod spec volume, system:node:${node} is not authorized to request tokens for this audience`;
}

/** A token without an audience is for the API server: '' is that one. */
function isProjected(volume: JsonObject, audience: string): boolean {
  return objectsOf(at(volume, 'projected.sources')).some(
    ({ serviceAccountToken: token }) =>
      token !== undefined && stringOf(objectOf(token)['audience']) === audience,
  );
}

type Driver = { readonly name: string } | { readonly problem: string };

/** The driver that a volume leads to: its own, or that of the volume that a claim has. '' for none. */
async function driverOf(volume: JsonObject, pod: JsonObject, lookUp: NodeLookUp): Promise<Driver> {
  const own = stringOf(at(volume, 'csi.driver'));
  if (own !== '') return { name: own };
  const claim =
    volume['ephemeral'] === undefined
      ? stringOf(at(volume, 'persistentVolumeClaim.claimName'))
      : `${stringOf(at(pod, 'metadata.name'))}-${stringOf(volume['name'])}`;
  if (claim === '') return { name: '' };
  const claimed = await lookUp.find('persistentvolumeclaims', claim);
  if (claimed === undefined) return { problem: `persistentvolumeclaim ${JSON.stringify(claim)} not found` };
  const name = stringOf(at(claimed, 'spec.volumeName'));
  const held = name === '' ? undefined : await lookUp.find('persistentvolumes', name);
  if (held === undefined) return { problem: `persistentvolume ${JSON.stringify(name)} not found` };
  return { name: stringOf(at(held, 'spec.csi.driver')) };
}

async function drivesFor(
  name: string,
  audience: string,
  { lookUp, problems }: { readonly lookUp: NodeLookUp; readonly problems: string[] },
): Promise<boolean> {
  const driver = await lookUp.find('csidrivers', name);
  if (driver === undefined) problems.push(`csidriver.storage.k8s.io ${JSON.stringify(name)} not found`);
  return objectsOf(at(driver, 'spec.tokenRequests')).some((one) => stringOf(one['audience']) === audience);
}

/** As Go's errors of several are written (utilerrors.NewAggregate). */
function aggregate(problems: readonly string[]): string {
  const different = [...new Set(problems)];
  return different.length === 1 ? (different[0] ?? '') : `[${different.join(', ')}]`;
}
