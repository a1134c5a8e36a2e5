import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { describeError, isPodwrightError } from '#base/errors.ts';
import { formatMicroTime } from '#api/meta/time.ts';
import { at, numberOf, objectOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { builtIn } from './built-in.ts';
import { identityOf } from './identity.ts';
import { ensure, serverUser } from './ensure.ts';
import type { ServerContext } from './server-context.ts';
import { deleteObject, plainDelete } from './verbs/delete.ts';
import { updateObject } from './verbs/update.ts';

/*
 * Which API servers there are: each has a Lease in kube-system, which it renews, and those of servers that went are collected an hour
 * after their last word (KEP-1965). Written as objects, for whoever wants to know; servers find each other by announced-servers.ts.
 */
const leases = builtIn('coordination.k8s.io', 'v1', 'leases');
const namespace = 'kube-system';

const identityLabel = 'apiserver.kubernetes.io/identity';
const identityValue = 'kube-apiserver';
/** kube-apiserver's IdentityLeaseDurationSeconds, IdentityLeaseRenewIntervalSeconds, and how often it collects. */
const durationSeconds = 3600;
const renewMs = 10_000;
const collectMs = 3_600_000;

/** Whether a server's lease says that it has gone; one that does not say how long it holds is no server's. Pure. */
export function isOver(lease: JsonObject, nowMs: number): boolean {
  if (at(lease, ['metadata', 'labels', identityLabel]) !== identityValue) return false;
  const renewedMs = Date.parse(stringOf(at(lease, 'spec.renewTime')));
  const seconds = numberOf(at(lease, 'spec.leaseDurationSeconds'));
  return Number.isNaN(renewedMs) || seconds <= 0 || renewedMs + seconds * 1000 < nowMs;
}

/** Makes this server's lease, renews it while the server runs, and collects those of others that have gone. */
export async function keepIdentity(context: ServerContext): Promise<Disposable> {
  const holder = `${identityOf(hostname())}_${randomUUID()}`;
  await renewIdentity(context, holder);
  await collectIdentities(context);
  let isClosed = false;
  const repeat = (everyMs: number, what: string, step: () => Promise<void>): (() => void) => {
    const wait = (): Disposable =>
      context.clock.after(everyMs, () => {
        void step()
          .catch((error: unknown) => context.logger.warn({ error: describeError(error) }, what))
          .then(() => {
            if (!isClosed) timer = wait();
          });
      });
    let timer = wait();
    return () => timer[Symbol.dispose]();
  };
  const ends = [
    repeat(renewMs, 'the lease of this server will be renewed again', () => renewIdentity(context, holder)),
    repeat(collectMs, 'leases of servers that went are collected later', () => collectIdentities(context)),
  ];
  return {
    [Symbol.dispose]: () => {
      isClosed = true;
      for (const end of ends) end();
    },
  };
}

async function renewIdentity(context: ServerContext, holderIdentity: string): Promise<void> {
  const host = hostname();
  const name = identityOf(host);
  const { advertise, clock } = context;
  const metadata = {
    labels: { [identityLabel]: identityValue, 'kubernetes.io/hostname': host },
    annotations: { 'kubernetes.io/peer-advertise-address': `${advertise.host}:${advertise.port}` },
  };
  const spec = {
    holderIdentity,
    leaseDurationSeconds: durationSeconds,
    renewTime: formatMicroTime(clock.now()),
  };
  const first = { metadata: { name, namespace, ...metadata }, spec };
  if ((await context.registry.read(leases, namespace, name)) === undefined) {
    return ensure(context, leases, first);
  }
  await updateObject(context, {
    ...{ kind: leases, namespace, name, dryRun: false },
    admittedAs: { user: serverUser, verb: 'update', subresource: '' },
    change: (current) => ({
      ...current,
      metadata: { ...objectOf(current['metadata']), ...metadata },
      spec,
    }),
  });
}

async function collectIdentities(context: ServerContext): Promise<void> {
  for (const lease of await context.registry.readAll(leases, namespace)) {
    if (!isOver(lease, context.clock.now())) continue;
    const name = stringOf(at(lease, 'metadata.name'));
    const preconditions = { resourceVersion: stringOf(at(lease, 'metadata.resourceVersion')) };
    await deleteObject(context, {
      ...{ kind: leases, namespace, name, user: serverUser },
      options: { ...plainDelete, preconditions },
    }).catch((error: unknown) => {
      // Renewed, or collected by another server, meanwhile.
      if (!isPodwrightError(error, 'E_API')) throw error;
    });
  }
}
